package check

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
)

var injectedUsersCheck = Check{
	ID: "injected-users", Category: "images",
	Title: "the images that Tekton adds to Pods can run without root",
	Fatal: true, Needs: "pipelines-definitions",
	Doc: "With the feature flag set-security-context, which Tekton Pipelines v1.16 switches on, the containers that Tekton adds to the Pods of runs must not be root. Tekton gives them no user, so their images have to name one, by a number: otherwise the Pod stays in CreateContainerConfigError until the run's timeout, with \"image will run as root\" or \"image has non-numeric user\". The check asks the registries that the images come from, with the credentials and authorities of the machine that it runs on, and is skipped where they do not answer. It also passes where the flag is off, where config-defaults gives all Pods a user, and on OpenShift, which assigns one.\n\n" +
		"Name an image with a numeric user under `mirror.images` and run `tekgate install`, or set set-security-context to \"false\" in the ConfigMap feature-flags.",
	run: injectedUsers,
}

func injectedUsers(ctx context.Context, s *state) error {
	on, err := s.nonRoot(ctx)
	if err != nil || !on {
		return err
	}
	if s.options.Users == nil {
		return skip("no registry is asked here: run `tekgate check`")
	}
	platforms, err := s.platforms(ctx)
	if err != nil {
		return err
	}
	uses, refs, err := s.injected(ctx, func(use manifest.Injected, _ image.Reference) bool { return use.Known })
	if err != nil {
		return err
	}
	users, errs := s.options.Users(ctx, refs, platforms)
	var found problems
	for i, use := range uses {
		if err := use.Refused(users[i]); err != nil {
			found.add("%s: %v", use.Image, err)
		}
	}
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 && len(found) == 0 {
		return skip(errs[i].Error())
	}
	return found.err()
}

// nonRoot reports whether the containers that Tekton adds to Pods need a user from their image.
func (s *state) nonRoot(ctx context.Context) (bool, error) {
	data := map[string]map[string]string{}
	for _, name := range []string{"feature-flags", "pipelines-info", "config-defaults"} {
		cm, err := s.Get(ctx, live.ConfigMap, live.Pipelines, name)
		if err != nil {
			return false, err
		}
		if cm != nil {
			data[name] = live.Data(cm)
		}
	}
	if !manifest.SetsSecurityContext(data["feature-flags"], data["pipelines-info"]["version"]) {
		return false, nil
	}
	if uid, ok := manifest.UserOfPods(data["config-defaults"]); ok && uid != 0 {
		return false, nil
	}
	assigned, err := s.Serves(live.SecurityContextConstraints)
	return !assigned, err
}

// platforms returns those of the cluster's nodes, such as linux/arm64.
func (s *state) platforms(ctx context.Context) ([]string, error) {
	nodes, err := s.List(ctx, schema.GroupVersionKind{Version: "v1", Kind: "Node"})
	if err != nil {
		return nil, fmt.Errorf("listing nodes: %w", err)
	}
	return slices.Sorted(maps.Keys(live.Platforms(nodes))), nil
}
