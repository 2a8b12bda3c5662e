package images

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

func copyCommand() *cobra.Command {
	var (
		s         release.Source
		m         moving
		overwrite bool
	)
	cmd := &cobra.Command{
		Use:   "copy",
		Short: "Copy every image of a release to the mirror, digest for digest",
		Long: `Copy every image of the release from where it is published to where the mirror's
rules say, digest for digest, and check it there. Images that were published on
gcr.io/tekton-releases are fetched from ghcr.io, where they live on.

What the mirror has already is not moved again, and what it lacks of an image is
completed under the same tag: an interrupted copy resumes when it is run again.
Layers that images have in common are sent once. Signatures, attestations and
SBOMs that are stored beside an image go with it, unless --platform leaves a part
of it out. A tag that holds something else is left alone without --overwrite.`,
		Example: `  tekgate images copy --mirror registry.example.com/tekton

  # from another mirror, where the sources are out of reach
  tekgate images copy --mirror registry.example.com/tekton --from daocloud`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return m.run(cmd.Context(), cli.StreamsOf(cmd), &s,
				func(transfers []registry.Transfer, progress registry.Progress) ([]registry.TransferResult, error) {
					return registry.Copy(cmd.Context(), registry.CopyRequest{
						Transfers: transfers, Platforms: m.platforms, Overwrite: overwrite, Progress: progress,
					}, s.Registries.Options())
				})
		},
	}
	s.Flags(cmd)
	s.Registries.Flags(cmd)
	m.flags(cmd)
	cmd.Flags().BoolVar(&overwrite, "overwrite", false, "move tags that hold something else")
	return cmd
}

func saveCommand() *cobra.Command {
	var (
		s release.Source
		m moving
	)
	cmd := &cobra.Command{
		Use:   "save FILE",
		Short: "Save every image of a release in an archive, for an air gap",
		Long: `Save every image of the release in a tar file that holds an OCI image layout. It
fits every mirror: names are decided by the rules of the mirror that it is
loaded to.

Until it is complete its parts lie in FILE.partial: an interrupted save is run
again and goes on.`,
		Example: `  tekgate images save tekton.tar`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			m.all = true
			return m.run(cmd.Context(), cli.StreamsOf(cmd), s.OrUpstream(),
				func(transfers []registry.Transfer, progress registry.Progress) ([]registry.TransferResult, error) {
					return registry.Save(cmd.Context(), registry.SaveRequest{
						File: args[0], Transfers: transfers, Platforms: m.platforms, Progress: progress,
					}, s.Registries.Options())
				})
		},
	}
	s.Flags(cmd)
	s.Registries.Flags(cmd)
	m.flags(cmd)
	return cmd
}

func loadCommand() *cobra.Command {
	var (
		s         release.Source
		output    cli.Output
		overwrite bool
	)
	cmd := &cobra.Command{
		Use:   "load FILE",
		Short: "Load the images of an archive into the mirror",
		Long: `Put every image of an archive that save wrote onto the mirror, under the names that
its rules say, with the digests that they were saved with. What is there already
is not moved again.`,
		Example: `  tekgate images load tekton.tar --mirror registry.example.com/tekton`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			_, rules, err := s.Rules()
			if err != nil {
				return err
			}
			progress := newTransferProgress(cmd.ErrOrStderr())
			results, err := registry.Load(cmd.Context(),
				registry.LoadRequest{File: args[0], Rules: rules, Overwrite: overwrite, Progress: progress},
				s.Registries.Options())
			progress.wait()
			if err != nil {
				return err
			}
			return reportMoves(cli.StreamsOf(cmd), output, results)
		},
	}
	f := cmd.Flags()
	s.ConfigFlags(cmd,
		"where images go, in place of a file's mirror section: a registry and path such as registry.example.com/tekton")
	f.BoolVar(&overwrite, "overwrite", false, "move tags that hold something else")
	s.Registries.Flags(cmd)
	output.Table(cmd)
	return cmd
}

// moving is what copy and save share.
type moving struct {
	output    cli.Output
	platforms []string
	from      string
	// all says that images which stay where they are get moved too.
	all bool
}

func (m *moving) flags(cmd *cobra.Command) {
	m.output.Table(cmd)
	f := cmd.Flags()
	release.PlatformFlag(cmd, &m.platforms,
		"`PLATFORM` to take alone, such as linux/amd64 (repeatable; default: all, which keeps digests)")
	f.StringVar(&m.from, "from", "",
		"mirror to fetch from in place of the sources: a preset `NAME`, or a registry and path")
}

type move func([]registry.Transfer, registry.Progress) ([]registry.TransferResult, error)

func (m *moving) run(ctx context.Context, streams cli.Streams, s *release.Source, move move) error {
	if err := m.output.Check(); err != nil {
		return err
	}
	images, _, err := s.Images(ctx, streams)
	if err != nil {
		return err
	}
	transfers, err := m.transfers(streams, images)
	if err != nil {
		return err
	}
	progress := newTransferProgress(streams.ErrOut)
	results, err := move(transfers, progress)
	progress.wait()
	if err != nil {
		return err
	}
	return reportMoves(streams, m.output, results)
}

// transfers says what is moved, and from where.
func (m *moving) transfers(streams cli.Streams, images []release.Image) ([]registry.Transfer, error) {
	var from *image.Rules
	if m.from != "" {
		var err error
		if from, err = image.Shorthand(m.from).Compile(); err != nil {
			return nil, fmt.Errorf("--from: %w", err)
		}
	}
	var transfers []registry.Transfer
	for _, i := range images {
		if !m.all && i.Candidates[0].Rule == "" {
			continue
		}
		if !m.all && i.Candidates[0].Other {
			streams.Warn(replaced(i.Candidates[0]))
			continue
		}
		t := registry.Transfer{Image: i.Candidates[0]}
		if from != nil {
			found, err := from.Candidates(i.From())
			if err != nil {
				return nil, fmt.Errorf("--from %s: %w", m.from, err)
			}
			for _, c := range found {
				t.Sources = append(t.Sources, c.To)
			}
		}
		transfers = append(transfers, t)
	}
	return transfers, nil
}

// movedImage is how machines see what became of an image.
type movedImage struct {
	From         string           `json:"from"`
	To           string           `json:"to"`
	Outcome      registry.Outcome `json:"outcome"`
	Source       string           `json:"source,omitempty"`
	Digest       string           `json:"digest,omitempty"`
	SourceDigest string           `json:"sourceDigest,omitempty"`
	Attached     int              `json:"attached,omitempty"`
	Error        string           `json:"error,omitempty"`
	Remedy       string           `json:"remedy,omitempty"`
}

// movedImages are the images of a transfer.
type movedImages []movedImage

// Names returns the names that they have where they were moved to.
func (m movedImages) Names() []string {
	names := make([]string, 0, len(m))
	for _, i := range m {
		names = append(names, i.To)
	}
	return names
}

// reportMoves ends a transfer: with a result for machines, and for people what deserves a
// word beyond the progress that they saw.
func reportMoves(streams cli.Streams, output cli.Output, results []registry.TransferResult) error {
	if output.ForPrograms() {
		if err := output.Print(streams.Out, moved(results), nil); err != nil {
			return err
		}
	}
	errOut, count := streams.ErrOut, map[registry.Outcome]int{}
	for _, r := range results {
		count[r.Outcome]++
		if r.Outcome == registry.Copied && r.Subset() && pinsSource(r.Image) {
			saySubset(errOut, r)
		}
	}
	fmt.Fprintf(errOut, "%d images: %d copied, %d there already, %d not needed, %d failed\n", len(results),
		count[registry.Copied], count[registry.Present], count[registry.Unneeded], count[registry.Failed])
	if failed := count[registry.Failed]; failed > 0 {
		return fmt.Errorf("%d of %d images failed: follow the remedy of each, and run it again; what arrived is not "+
			"moved again", failed, len(results))
	}
	return nil
}

// pinsSource reports whether the manifests will name the digest that the image has upstream. With
// drop or relock they name none, or the mirror's own.
func pinsSource(done image.Rewritten) bool {
	return done.From.Digest != "" && !done.DigestDropped && !done.Relock
}

func saySubset(errOut io.Writer, r registry.TransferResult) {
	fmt.Fprintf(errOut,
		"warning: %s lacks platforms, so its digest is %s and not %s: the mirror's rules need `digest: relock` or `drop` for it\n",
		r.Image.From, r.Digest, r.SourceDigest)
}

func moved(results []registry.TransferResult) movedImages {
	list := make(movedImages, 0, len(results))
	for _, r := range results {
		one := movedImage{From: r.Image.From.String(), To: r.Image.To.String(), Outcome: r.Outcome, Digest: r.Digest,
			SourceDigest: r.SourceDigest, Attached: r.Attached, Remedy: r.Remedy}
		if r.Source.Host != "" {
			one.Source = r.Source.String()
		}
		if r.Err != nil {
			one.Error = r.Err.Error()
		}
		list = append(list, one)
	}
	return list
}
