package images

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/manifest"
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
the name that it has on the mirror. Without a mirror it prints the upstream names only.
If a mirror has renamed the images of the manifests, each is listed with the image of
Tekton that it is a copy of. No registry is asked.`,
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
			list := listed(images)
			return output.Print(cmd.OutOrStdout(), list, func(out io.Writer) error { return printImages(out, list) })
		},
	}
	s.Flags(cmd)
	output.Table(cmd)
	return cmd
}

// listedImage is how machines see an image of a release.
type listedImage struct {
	// Image is the reference as it is written.
	Image string `json:"image"`
	// CopyOf is the image upstream that Image is a copy of, if a mirror has renamed it.
	CopyOf string `json:"copyOf,omitempty"`
	// Origin says which program a copy holds, and what this is known by.
	Origin *manifest.Origin `json:"origin,omitempty"`
	// InPlaceOf is the image of others that the release names where Image stands.
	InPlaceOf string `json:"inPlaceOf,omitempty"`
	// Source is the name under which the image can be pulled today. It is copied from there.
	Source string `json:"source"`
	// Mirror is its name on the mirror, Fallbacks are others in their order.
	Mirror    string   `json:"mirror"`
	Fallbacks []string `json:"fallbacks,omitempty"`
	// Rule decides it; empty for an image that stays.
	Rule   string   `json:"rule,omitempty"`
	Places []string `json:"places"`

	stays bool // as it is, without a rule that pins it
}

// listing are the images of a release.
type listing []listedImage

// Names returns the names that they have on the mirror.
func (l listing) Names() []string {
	names := make([]string, 0, len(l))
	for _, i := range l {
		names = append(names, i.Mirror)
	}
	return names
}

func listed(images []release.Image) listing {
	list := make(listing, 0, len(images))
	for _, i := range images {
		first := i.Candidates[0]
		one := listedImage{Image: i.Written.String(), Source: first.Source().String(),
			Mirror: first.To.String(), Rule: first.Rule, Places: i.Places, InPlaceOf: i.InPlaceOf,
			stays: first.Rule == "" && first.To == first.From}
		if i.Upstream != i.Written {
			one.CopyOf, one.Origin = i.Upstream.String(), i.Origin
		}
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
		if i.stays {
			mirror = "(stays)"
		}
		names := []string{i.Image}
		if i.CopyOf != "" {
			names = append(names, "  copy of "+i.CopyOf)
		}
		if i.InPlaceOf != "" {
			names = append(names, "  in place of "+i.InPlaceOf)
		}
		for n := range max(len(names), len(i.Places)) {
			fmt.Fprintf(w, "%s\t%s\t%s\n", cell(names, n), mirror, cell(i.Places, n))
			mirror = ""
		}
	}
	return w.Flush()
}

// cell returns an element of a column, which is empty below its last one.
func cell(column []string, row int) string {
	if row < len(column) {
		return column[row]
	}
	return ""
}
