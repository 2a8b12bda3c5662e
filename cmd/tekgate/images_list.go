package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func imagesListCommand() *cobra.Command {
	var (
		s      source
		output outputFlag
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List every image of a release, where it stands, and its name on the mirror",
		Long: `List every image that the manifests name, also in arguments and variables, with
the name that it has on the mirror. Without a mirror the upstream names alone.
Nothing is asked of a registry.`,
		Example: `  tekgate images list
  tekgate images list --mirror registry.example.com/tekton -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.check(); err != nil {
				return err
			}
			images, _, err := s.orUpstream().releaseImages(cmd.Context(), cmd.InOrStdin(), cmd.ErrOrStderr())
			if err != nil {
				return err
			}
			if output == "json" {
				return printJSON(cmd.OutOrStdout(), listed(images))
			}
			return printImages(cmd.OutOrStdout(), listed(images))
		},
	}
	s.flags(cmd)
	output.flags(cmd)
	return cmd
}

// listedImage is how machines see an image of a release.
type listedImage struct {
	// Image is the reference as it is written, Source the living name of it,
	// from which it is copied.
	Image  string `json:"image"`
	Source string `json:"source"`
	// Mirror is its name on the mirror, Fallbacks are others in their order.
	Mirror    string   `json:"mirror"`
	Fallbacks []string `json:"fallbacks,omitempty"`
	// Rule decides it; empty for an image that stays.
	Rule   string   `json:"rule,omitempty"`
	Places []string `json:"places"`
}

func listed(images []releaseImage) []listedImage {
	list := make([]listedImage, 0, len(images))
	for _, i := range images {
		first := i.candidates[0]
		one := listedImage{Image: first.From.String(), Source: first.From.Canonical().String(), Mirror: first.To.String(), Rule: first.Rule, Places: i.places}
		for _, c := range i.candidates[1:] {
			one.Fallbacks = append(one.Fallbacks, c.To.String())
		}
		list = append(list, one)
	}
	return list
}

func printImages(out io.Writer, images []listedImage) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "IMAGE\tMIRROR\tSTANDS IN")
	for _, i := range images {
		mirror := i.Mirror
		if i.Rule == "" {
			mirror = "(stays)"
		}
		for n, place := range i.Places {
			if n == 0 {
				fmt.Fprintf(w, "%s\t%s\t%s\n", i.Image, mirror, place)
				continue
			}
			fmt.Fprintf(w, "\t\t%s\n", place)
		}
	}
	return w.Flush()
}
