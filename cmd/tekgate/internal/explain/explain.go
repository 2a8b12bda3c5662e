// Package explain shows which mirror rule applies to an image, and the result.
package explain

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
)

// Command returns the command.
func Command() *cobra.Command {
	var (
		s      release.Source
		output cli.Output
	)
	cmd := &cobra.Command{
		Use:   "explain IMAGE",
		Short: "Say which rule decides where an image goes, and where that is",
		Long: `Say, for any image, which rule of the mirror decides where it goes, why those
before it do not, and every place where the mirror may have it, best first.
Nothing is asked of a registry.`,
		Example: `  tekgate explain cgr.dev/chainguard/busybox:latest --mirror daocloud`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			_, rules, err := s.Rules()
			if err != nil {
				return err
			}
			ref, err := image.Parse(args[0])
			if err != nil {
				return err
			}
			e := explain(rules, ref)
			return output.Print(cmd.OutOrStdout(), e, func(out io.Writer) error {
				printExplanation(out, e)
				return nil
			})
		},
	}
	s.ConfigFlags(cmd, "mirror in place of a file's mirror section: a preset `NAME`, or a registry and path")
	output.Table(cmd)
	return cmd
}

// explanation is what is known about an image.
type explanation struct {
	Image string `json:"image"`
	// Lives is where it can be pulled, if not under its name.
	Lives string `json:"lives,omitempty"`
	// CopyOf is the image of Tekton that its name says it is a copy of.
	CopyOf string `json:"copyOf,omitempty"`
	// Component and Binary say what an image of Tekton's holds.
	Component  string        `json:"component,omitempty"`
	Binary     string        `json:"binary,omitempty"`
	Steps      []string      `json:"steps"`
	Candidates []destination `json:"candidates"`
}

type destination struct {
	Image string `json:"image"`
	// Digest says what became of the digest: kept, dropped, to be locked, published where
	// Tekton's is pinned, or none where there was none.
	Digest string `json:"digest"`
}

// Names returns where the image may be, the best first.
func (e explanation) Names() []string {
	names := make([]string, 0, len(e.Candidates))
	for _, c := range e.Candidates {
		names = append(names, c.Image)
	}
	return names
}

func explain(rules *image.Rules, ref image.Reference) explanation {
	e := explanation{Image: ref.String(), Steps: rules.Explain(ref), Candidates: []destination{}}
	if living := ref.Canonical(); living != ref {
		e.Lives = living.String()
	}
	if origin, ok := manifest.CopyOf(ref); ok {
		e.CopyOf = origin.String()
	}
	if component, binary, ok := ref.Tekton(); ok {
		e.Component, e.Binary = component, binary
	}
	candidates, err := rules.Candidates(ref)
	var unproven *image.PublishedError
	if errors.As(err, &unproven) {
		e.Steps = append(e.Steps, unproven.Reason())
	}
	if err != nil {
		return e
	}
	for _, c := range candidates {
		e.Candidates = append(e.Candidates, destination{Image: c.To.String(), Digest: release.DigestFate(c)})
	}
	return e
}

func printExplanation(out io.Writer, e explanation) {
	fmt.Fprintln(out, e.Image)
	if e.Lives != "" {
		fmt.Fprintf(out, "  lives as  %s\n", e.Lives)
	}
	if e.CopyOf != "" {
		fmt.Fprintf(out, "  copy of   %s, which it is taken for in Tekton's release manifests only\n", e.CopyOf)
	}
	if e.Component != "" {
		fmt.Fprintf(out, "  holds     Tekton's %s of %s\n", e.Binary, e.Component)
	}
	for _, step := range e.Steps {
		fmt.Fprintf(out, "  rule      %s\n", step)
	}
	for n, c := range e.Candidates {
		word := "goes to "
		if n > 0 {
			word = "or to   "
		}
		fmt.Fprintf(out, "  %s  %s (digest: %s)\n", word, c.Image, c.Digest)
	}
}
