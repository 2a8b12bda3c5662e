// Command generate writes the releases that are compiled into the tekgate
// binary: one file per manifest, <name>-<version>.json.gz, into the folder
// given. `go generate ./manifests` runs it.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/release"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "generate:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, log io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: generate FOLDER")
	}
	if err := removeOld(args[0]); err != nil {
		return err
	}
	for _, line := range release.Lines {
		for _, m := range release.Manifests {
			if err := write(ctx, args[0], line, m, log); err != nil {
				return err
			}
		}
	}
	for _, c := range release.Components {
		if err := writeComponent(ctx, args[0], c, log); err != nil {
			return err
		}
	}
	return nil
}

// write writes one manifest of a line.
func write(ctx context.Context, folder string, line release.Line, m release.Manifest, log io.Writer) error {
	module, err := line.Module(ctx, m)
	if err != nil {
		return err
	}
	objects, err := m.Assemble(os.DirFS(module.Dir), module.Version, image.PublishedName)
	if err != nil {
		return err
	}
	return writePacked(folder, m.Name, module.Version, objects, log)
}

// writePacked writes the objects of a manifest.
func writePacked(folder, name, version string, objects []*unstructured.Unstructured, log io.Writer) error {
	packed, err := release.Pack(objects)
	if err != nil {
		return err
	}
	file := filepath.Join(folder, name+"-"+version+release.PackedExt)
	if err := os.WriteFile(file, packed, 0o644); err != nil {
		return fmt.Errorf("writing the release: %w", err)
	}
	fmt.Fprintf(log, "%s %s: %d objects, %d bytes\n", name, version, len(objects), len(packed))
	return nil
}

// removeOld makes sure that a binary holds no version but those of the lines.
func removeOld(folder string) error {
	old, err := filepath.Glob(filepath.Join(folder, "*"+release.PackedExt))
	if err != nil {
		return err
	}
	for _, file := range old {
		if err := os.Remove(file); err != nil {
			return fmt.Errorf("removing an old release: %w", err)
		}
	}
	return nil
}
