package images

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/display"
)

func listCommand() *cobra.Command {
	var (
		s      release.Source
		output cli.Output
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
			if err := output.Check(); err != nil {
				return err
			}
			images, _, err := s.OrUpstream().Images(cmd.Context(), cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			if output.JSON() {
				return display.JSON(cmd.OutOrStdout(), listed(images))
			}
			return printImages(cmd.OutOrStdout(), listed(images))
		},
	}
	s.Flags(cmd)
	output.TableOrJSON(cmd)
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

func listed(images []release.Image) []listedImage {
	list := make([]listedImage, 0, len(images))
	for _, i := range images {
		first := i.Candidates[0]
		one := listedImage{Image: first.From.String(), Source: first.From.Canonical().String(),
			Mirror: first.To.String(), Rule: first.Rule, Places: i.Places}
		for _, c := range i.Candidates[1:] {
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
