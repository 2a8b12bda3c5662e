package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/registry"
)

func imagesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "images",
		Short: "List a release's images, and fill and check the mirror",
		Long: `The images of a release, those that stand in arguments included: what they are,
whether the mirror has them, and how they get there.

Registries are logged in to with the credentials of the Docker configuration
($DOCKER_CONFIG, ~/.docker/config.json).`,
	}
	cmd.AddCommand(imagesListCommand(), imagesVerifyCommand(), imagesLockCommand(), imagesCopyCommand(), imagesSaveCommand(), imagesLoadCommand(), imagesExportCommand())
	return cmd
}

// registryFlags say how registries are spoken to.
type registryFlags struct {
	caFile    string
	plainHTTP []string
}

func (r *registryFlags) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&r.caFile, "ca-file", "", "PEM `FILE` of certificate authorities to trust besides the system's")
	f.StringArrayVar(&r.plainHTTP, "plain-http", nil, "`HOST` and port of a registry to speak to without TLS, passwords included (repeatable; hosts of this machine need none)")
}

func (r *registryFlags) options() registry.Options {
	return registry.Options{CAFile: r.caFile, PlainHTTP: r.plainHTTP}
}

// outputFlag is how results are printed.
type outputFlag string

func (o *outputFlag) flags(cmd *cobra.Command) {
	cmd.Flags().StringVarP((*string)(o), "output", "o", "table", "`FORMAT` of the result: table or json")
}

func (o *outputFlag) check() error {
	if *o != "table" && *o != "json" {
		return fmt.Errorf("--output %q is not known: say table or json", *o)
	}
	return nil
}

func printJSON(out io.Writer, v any) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// releaseImage is one image of a release, and where it goes.
type releaseImage struct {
	// candidates are never empty.
	candidates []image.Rewritten
	// places are where it stands, object and path.
	places []string
}

func (r releaseImage) from() image.Reference { return r.candidates[0].From }

// orUpstream lets a command do without a mirror.
func (s *source) orUpstream() *source {
	if s.mirror == "" && s.config == "" {
		s.mirror = "upstream"
	}
	return s
}

// releaseImages lists the images of the manifests, each once.
func (s *source) releaseImages(ctx context.Context, in io.Reader, talk io.Writer) ([]releaseImage, *loaded, error) {
	l, err := s.read(ctx, in, talk)
	if err != nil {
		return nil, nil, err
	}
	var images []releaseImage
	var problems []error
	number := map[string]int{}
	for _, obj := range l.objects {
		for _, field := range object.Images(obj.Object) {
			place := obj.GetKind() + "/" + obj.GetName() + ": " + field.Path
			i, seen := number[field.Value]
			if seen {
				images[i].places = append(images[i].places, place)
				continue
			}
			candidates, err := candidatesOf(field.Value, l.rules)
			if err != nil {
				problems = append(problems, fmt.Errorf("%s: %w", place, err))
				continue
			}
			number[field.Value] = len(images)
			images = append(images, releaseImage{candidates: candidates, places: []string{place}})
		}
	}
	return images, l, errors.Join(problems...)
}

func candidatesOf(written string, rules *image.Rules) ([]image.Rewritten, error) {
	ref, err := image.Parse(written)
	if err != nil {
		return nil, err
	}
	return rules.Candidates(ref)
}

func candidates(images []releaseImage) [][]image.Rewritten {
	all := make([][]image.Rewritten, 0, len(images))
	for _, i := range images {
		all = append(all, i.candidates)
	}
	return all
}

// pinned puts the digests of the lock file, where there is one, in place of
// those that wait for them.
func (s *source) pinned(rules *image.Rules) (*image.Rules, error) {
	if s.lock == "" {
		return rules, nil
	}
	lock, err := registry.ReadLock(s.lock)
	if errors.Is(err, fs.ErrNotExist) {
		return rules, nil
	}
	if err != nil {
		return nil, err
	}
	return lock.Apply(rules)
}
