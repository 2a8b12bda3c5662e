// Package render prints the objects that an install would apply.
package render

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/manifest"
)

// Command returns the command.
func Command() *cobra.Command {
	var (
		s      release.Source
		split  string
		output cli.Output
	)
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print what install would apply",
		Long: `Print, as YAML unless -o says otherwise, and in the order of the release, every object that install would
apply, its images rewritten. Nothing is asked of a cluster: the servers sign their own
certificates unless certificates.source says cert-manager.

With --split each object goes into a file of its own, with a kustomization.yaml
that lists them, for Argo CD, Flux or a repository. Files of an earlier
rendering that the new one does not have are removed.`,
		Example: `  tekgate render --mirror registry.example.com/tekton > tekton.yaml
  tekgate render --mirror registry.example.com/tekton --split clusters/plant/tekton`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			r, err := s.Render(cmd.Context(), cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			for _, note := range r.Notes {
				fmt.Fprintf(cmd.ErrOrStderr(), "note: %s\n", note)
			}
			if split != "" {
				return splitYAML(split, r.Objects)
			}
			return objects.Print(cmd.OutOrStdout(), &output, r.Objects)
		},
	}
	s.Flags(cmd)
	output.Flag(cmd, "objects", objects.Formats...)
	cmd.Flags().StringVar(&split, "split", "", "write a file per object into `FOLDER`, in place of printing")
	return cmd
}

// kustomization is the file that says which files belong to a rendering.
const kustomization = "kustomization.yaml"

// listing is what splitYAML writes of a kustomization.
type listing struct {
	APIVersion string   `json:"apiVersion"`
	Kind       string   `json:"kind"`
	Resources  []string `json:"resources"`
}

// splitYAML writes each object to a file of its own. The files that an earlier
// rendering listed are removed; whatever else lies in the folder stays.
func splitYAML(folder string, objects []*unstructured.Unstructured) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making folder %s: %w", folder, err)
	}
	if err := removeListed(folder); err != nil {
		return err
	}
	files := listing{APIVersion: "kustomize.config.k8s.io/v1beta1", Kind: "Kustomization"}
	for _, obj := range objects {
		file := fileName(obj)
		text, err := manifest.YAML(obj)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(folder, file), text, 0o644); err != nil {
			return fmt.Errorf("writing %s: %w", file, err)
		}
		files.Resources = append(files.Resources, file)
	}
	text, err := yaml.Marshal(files)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, kustomization), text, 0o644)
}

// fileName is unique for an object, and sorts by kind.
func fileName(obj *unstructured.Unstructured) string {
	parts := []string{strings.ToLower(obj.GetKind())}
	if obj.GetNamespace() != "" {
		parts = append(parts, obj.GetNamespace())
	}
	// A colon, which RBAC allows in names, is none of some file systems.
	return strings.ReplaceAll(strings.Join(append(parts, obj.GetName()), "-"), ":", "_") + ".yaml"
}

func removeListed(folder string) error {
	text, err := os.ReadFile(filepath.Join(folder, kustomization))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var files listing
	if err == nil {
		err = yaml.Unmarshal(text, &files)
	}
	if err != nil {
		return fmt.Errorf("reading %s of an earlier rendering: %w: remove it, or choose another folder", kustomization,
			err)
	}
	for _, file := range files.Resources {
		// Only plain names are Tekgate's; a path may lead anywhere.
		if file != filepath.Base(file) {
			continue
		}
		if err := os.Remove(filepath.Join(folder, file)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing %s of an earlier rendering: %w", file, err)
		}
	}
	return nil
}
