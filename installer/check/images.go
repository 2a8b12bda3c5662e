package check

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/object"
)

var imageChecks = []Check{
	{
		ID: "images-mirrored", Category: "images",
		Title: "no workload names an image outside the mirror",
		Fatal: true, Retry: true, Needs: "pipelines-definitions",
		Doc: "Every image in a container or an argument of Tekton's and Tekgate's workloads and Pods has to come from where the mirror's rules lead. One that does not is pulled from a registry that the cluster may not reach, sometimes only when a TaskRun starts.\n\n" +
			"Run `tekgate install` with the same configuration again. If another tool applies Tekton's manifests too, it has to stop. An image that is meant to stay where it is belongs into `mirror.keep`.",
		run: imagesMirrored,
	},
	{
		ID: "eventlistener-images", Category: "images",
		Title: "EventListeners run the image that Triggers gives out now",
		Retry: true, Needs: "triggers-definitions",
		Doc: "EventListeners' Deployments are made by Triggers' controller, with the image that it got as an argument. After another mirror or version was installed it brings them up to date one by one; until then their Pods need the old image.\n\n" +
			"If it stays so, the log of tekton-triggers-controller says why that EventListener is not reconciled.",
		run: eventListenerImages,
	},
	injectedUsersCheck,
	injectedImagesCheck,
	hangingRunsCheck,
}

func imagesMirrored(ctx context.Context, s *state) error {
	configuration, err := s.configuration(ctx)
	if err != nil {
		return skip("the configuration, which holds the mirror's rules, cannot be read: see the check configuration")
	}
	if configuration == nil || configuration.Mirror == nil {
		return skip("the configuration names no mirror")
	}
	var found problems
	seen := map[string]bool{}
	for _, kind := range kindsWithImages {
		workloads, err := s.In(ctx, kind, slices.Concat(live.Namespaces, live.ComponentNamespaces)...)
		if err != nil {
			return err
		}
		for _, w := range workloads {
			for _, field := range object.Images(w.Object) {
				why := outside(configuration.Mirror, field.Value)
				if line := kube.Name(w) + ": " + field.Value + " " + why; why != "" && !seen[line] {
					seen[line] = true
					found.add("%s", line)
				}
			}
		}
	}
	return found.err()
}

// outside says why a reference is not the mirror's; empty where it is.
func outside(mirror *image.Rules, reference string) string {
	ref, err := image.Parse(reference)
	if err != nil {
		return "is no image reference"
	}
	done, err := mirror.Rewrite(ref)
	var former *image.FormerError
	if errors.As(err, &former) {
		return "is outside the mirror: " + former.Reason()
	}
	if err != nil {
		return "is outside the mirror, and no rule leads it there"
	}
	if done.Rule != "" && done.To != ref {
		return fmt.Sprintf("is outside the mirror: %s would make it %s", done.Rule, done.To)
	}
	return ""
}

func eventListenerImages(ctx context.Context, s *state) error {
	current, err := s.SinkImage(ctx)
	if err != nil {
		return err
	}
	if current == "" {
		return skip("Triggers' controller does not run or names no image")
	}
	deployments, err := s.EventListeners(ctx)
	if err != nil {
		return err
	}
	var found problems
	for _, d := range deployments {
		for _, container := range live.Containers(d) {
			if container["name"] == "event-listener" && container["image"] != current {
				found.add("%s still runs %v; Triggers gives out %s now", kube.Name(d), container["image"], current)
			}
		}
	}
	return found.err()
}
