package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Own is a program of this repository in a module of its own.
type Own struct {
	Program string
	// Dir is the module's folder below e2e, with slashes.
	Dir string
	// Package is what is built there.
	Package string
	// Sources are the files on which the build depends, by their names in the folder.
	Sources []string
}

// Build returns the path of the program. It is built into the cache on first use, which is written
// to log, and again when a source changes.
func (o Own) Build(ctx context.Context, log io.Writer) (string, error) {
	root, err := Root(ctx)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "e2e", filepath.FromSlash(o.Dir))
	key := "static, trimmed 1"
	for _, name := range o.Sources {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return "", fmt.Errorf("reading the source of %s: %w", o.Program, err)
		}
		key += string(text)
	}
	folder, err := Recipe{
		Name: o.Program, Dir: dir, Key: key, Packages: map[string]string{o.Program: o.Package},
		Linker: func() (string, error) { return "-s -w", nil },
	}.Build(ctx, log)
	return filepath.Join(folder, o.Program), err
}
