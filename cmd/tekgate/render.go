package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func renderCommand() *cobra.Command {
	var s source
	cmd := &cobra.Command{
		Use:   "render",
		Short: "Print what install would apply",
		Long: `Print, as YAML and in the order of the release, every object that install would
apply, its images rewritten. Nothing is asked of a cluster.`,
		Example: `  tekgate render --mirror registry.example.com/tekton > tekton.yaml`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := s.render(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			return printYAML(cmd.OutOrStdout(), r.objects)
		},
	}
	s.flags(cmd)
	return cmd
}

func printYAML(out io.Writer, objects []*unstructured.Unstructured) error {
	w := bufio.NewWriter(out)
	for _, obj := range objects {
		text, err := yaml.Marshal(obj.Object)
		if err != nil {
			return fmt.Errorf("printing %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
		fmt.Fprintf(w, "---\n%s", text)
	}
	return w.Flush()
}
