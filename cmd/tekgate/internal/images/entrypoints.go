package images

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/entrypoint"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// entrypointJobs is how many images are read at a time.
const entrypointJobs = 4

// lockEntrypoints reads on the mirror what images start, and prints the ConfigMap from which the
// admission server takes the commands of steps. Images are named as steps or as the mirror name
// them. If any cannot be read, nothing is printed.
func lockEntrypoints(ctx context.Context, streams cli.Streams, s *release.Source, names []string) error {
	rules, err := rulesOfSteps(s)
	if err != nil {
		return err
	}
	references, err := onMirror(names, rules)
	if err != nil {
		return err
	}
	options := s.Registries.Options()
	found := make([]entrypoint.Image, len(references))
	problems := make([]error, len(references))
	var group errgroup.Group
	group.SetLimit(entrypointJobs)
	for i, ref := range references {
		group.Go(func() error {
			found[i], problems[i] = registry.Entrypoint(ctx, ref, options)
			return nil
		})
	}
	_ = group.Wait()
	var read []entrypoint.Image
	for i, one := range found {
		if problems[i] != nil {
			fmt.Fprintf(streams.ErrOut, "warning: %v\n", problems[i])
			continue
		}
		if _, why := one.Command(entrypoint.SomeArgs); why != "" {
			fmt.Fprintf(streams.ErrOut, "warning: steps with %s are left to Tekton: %s\n", one.Image, why)
		}
		read = append(read, one)
	}
	if failed := len(references) - len(read); failed > 0 {
		// Whoever applies a part of it loses the rest.
		return fmt.Errorf("%d of %d images could not be read, so no ConfigMap is printed: mend what the warnings say, "+
			"or leave them out", failed, len(references))
	}
	return printEntrypoints(streams, read)
}

// rulesOfSteps returns the mirror's rules for the images of steps, nil if there are none.
func rulesOfSteps(s *release.Source) (*image.Rules, error) {
	config, rules, err := s.Engine()
	if own := config.ImageMirror.Mirror; err == nil && own != nil {
		return own.Compile()
	}
	return rules, err
}

// onMirror returns the names that images have on the mirror, each once.
func onMirror(names []string, rules *image.Rules) ([]image.Reference, error) {
	var references []image.Reference
	var problems []error
	seen := map[string]bool{}
	for _, name := range names {
		ref, err := image.Parse(strings.TrimSpace(name))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		if rules != nil {
			if done, err := rules.Rewrite(ref); err == nil {
				ref = done.To
			} // else no rule applies, and steps keep the name
		}
		if !seen[ref.String()] {
			seen[ref.String()] = true
			references = append(references, ref)
		}
	}
	return references, errors.Join(problems...)
}

func printEntrypoints(streams cli.Streams, images []entrypoint.Image) error {
	data, err := entrypoint.Data(images)
	if err != nil {
		return err
	}
	fields := map[string]any{}
	for key, text := range data {
		fields[key] = text
	}
	err = objects.PrintYAML(streams.Out, []*unstructured.Unstructured{{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"name": entrypoint.ConfigMap, "namespace": wellknown.TekgateNamespace},
		"data":     fields,
	}}})
	if err != nil {
		return err
	}
	fmt.Fprintf(streams.ErrOut, "the entrypoints of %d images are in ConfigMap %s/%s: apply it, and set mutator.imageMirror.entrypoints to mirror\n",
		len(images), wellknown.TekgateNamespace, entrypoint.ConfigMap)
	return nil
}
