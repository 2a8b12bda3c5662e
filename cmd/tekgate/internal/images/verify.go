package images

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/registry"
)

func verifyCommand() *cobra.Command {
	var (
		s         release.Source
		output    cli.Output
		platforms []string
		signed    signers
		nonRoot   bool
	)
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Check that nodes can pull every image from the mirror",
		Long: `Ask the mirror for every image of the release: whether it is there with the digest
that the manifests pin, or else that Tekton published, and for each wanted platform also its manifest, its
configuration and its layers: name those of all your nodes. Ends with status 1 if a pull would fail. A warning names what nodes do
not need and others do, such as other platforms that an index lists and the
mirror lacks. No layer is downloaded and nothing is changed.

If the release switches Tekton's feature flag set-security-context on, or with --non-root, it
also reads the users of the images that Tekton adds to the Pods of runs: the kubelet does not start
them as root, or as a user without a number.

With --signatures it also checks who signed each image, by the signatures that the
mirror has beside it. Only the mirror is asked: the key or the trusted root is a file.`,
		Example: `  tekgate images verify --mirror registry.example.com/tekton --platform linux/amd64 --platform linux/arm64
  tekgate images verify --mirror registry.example.com/tekton --signatures 'ghcr.io/tektoncd/**=tekton.pub'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			signers, err := signed.parse()
			if err != nil {
				return err
			}
			images, l, err := s.Images(cmd.Context(), cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			wanted, err := signersOf(signers, images, l.Rules)
			if err != nil {
				return err
			}
			results := registry.Probe(cmd.Context(),
				registry.ProbeRequest{Images: release.Candidates(images), Platforms: platforms}, s.Registries.Options())
			if err := checkUsers(cmd.Context(), l, nonRoot, results, platforms); err != nil {
				return err
			}
			comparePublished(cmd.ErrOrStderr(), images, results, l.Rules.Published)
			sayProbed(cmd.ErrOrStderr(), results)
			checkSignatures(cmd.Context(), cmd.ErrOrStderr(), results, wanted, s.Registries.Options())
			return printResults(cmd.OutOrStdout(), output, results)
		},
	}
	s.Flags(cmd)
	s.Registries.Flags(cmd)
	output.Table(cmd)
	release.ProbedPlatformsFlag(cmd, &platforms)
	cmd.Flags().BoolVar(&nonRoot, "non-root", false,
		"check users as if the feature flag set-security-context were on, for a cluster that sets it")
	signed.flags(cmd)
	return cmd
}

// checkUsers checks the users of injected images if the flag or the release demands it.
func checkUsers(
	ctx context.Context, l *release.Loaded, nonRoot bool, results []registry.Result, platforms []string,
) error {
	byRelease, err := l.NonRoot()
	if err == nil && (nonRoot || byRelease) {
		l.CheckUsers(ctx, results, platforms)
	}
	return err
}

// asked are images that a registry was asked for.
type asked []registry.Result

// Names returns the names that they have on the mirror.
func (a asked) Names() []string {
	names := make([]string, 0, len(a))
	for _, r := range a {
		names = append(names, r.Image.To.String())
	}
	return names
}

// printResults prints how images stand, and is an error where any is not right.
func printResults(out io.Writer, output cli.Output, results []registry.Result) error {
	err := output.Print(out, asked(results), func(out io.Writer) error { return registry.WriteTable(out, results) })
	if err != nil {
		return err
	}
	bad := 0
	for _, r := range results {
		if r.Status.Fatal() {
			bad++
		}
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d images are not on the mirror as they should be", bad, len(results))
	}
	return nil
}

// sayProbed names what is right and still deserves a word.
func sayProbed(errOut io.Writer, results []registry.Result) {
	for _, r := range results {
		done := r.Image
		switch {
		case r.Status != registry.StatusOK:
		case done.Relock:
			fmt.Fprintf(errOut, "warning: %s is not locked yet (%s): run `tekgate images lock`\n", done.To, done.Rule)
		case done.DigestDropped && r.Digest != done.From.Digest:
			fmt.Fprintf(errOut, "warning: %s has digest %s, and not that of %s, which the rule drops (%s)\n", done.To,
				r.Digest, done.From, done.Rule)
		}
	}
}

func lockCommand() *cobra.Command {
	var (
		s         release.Source
		output    cli.Output
		platforms []string
		programs  []string
		trust     bool
	)
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Pin the mirror's own digests, after proving that the images are the same",
		Long: `Resolve the digest that the mirror has for every image whose rule says
` + "`digest: relock`" + `, prove by the digests of configurations or layers that it is the
same image as at its source, and write all of it into the lock file. A digest that
Tekton published proves an image without its source.

Where the source cannot be reached, an existing lock file proves an image that it
knows. An image without a proof is refused, unless --trust accepts what the mirror has.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := output.Check(); err != nil {
				return err
			}
			file := s.IgnoreLock()
			if len(programs) > 0 {
				return lockEntrypoints(cmd.Context(), cli.StreamsOf(cmd), &s, programs)
			}
			images, l, err := s.Images(cmd.Context(), cli.StreamsOf(cmd))
			if err != nil {
				return err
			}
			previous, err := registry.ReadLock(file)
			if err != nil {
				previous = nil
			}
			lock, results, err := registry.Relock(cmd.Context(), registry.RelockRequest{
				Images: release.Candidates(images), Platforms: platforms, Published: l.Rules.Published,
				Previous: previous, Trust: trust,
			}, s.Registries.Options())
			if err != nil {
				return err
			}
			if len(results) == 0 {
				return fmt.Errorf(
					"no image of this release has a rule with digest policy relock: say `digest: relock` in the mirror section")
			}
			if err := printResults(cmd.OutOrStdout(), output, results); err != nil {
				return fmt.Errorf("%w: %s is left as it was", err, file)
			}
			return writeLock(cmd.ErrOrStderr(), lock, file)
		},
	}
	s.Flags(cmd)
	s.Registries.Flags(cmd)
	output.Table(cmd)
	release.ProbedPlatformsFlag(cmd, &platforms)
	cmd.Flags().StringArrayVar(&programs, "entrypoints", nil,
		"`IMAGE` of steps: only read on the mirror what it starts, and print the ConfigMap for mutator.imageMirror.entrypoints (repeatable)")
	cmd.Flags().BoolVar(&trust, "trust", false,
		"lock also what cannot be proven, for its source is out of reach and no lock knows it")
	return cmd
}

func writeLock(errOut io.Writer, lock *registry.Lock, file string) error {
	for _, l := range lock.Images {
		if l.Proof == registry.ProofNone {
			fmt.Fprintf(errOut, "warning: nothing proves that %s is %s\n", l.To, l.From)
		}
	}
	if err := lock.Write(file); err != nil {
		return err
	}
	fmt.Fprintf(errOut, "%d images are locked in %s\n", len(lock.Images), file)
	return nil
}
