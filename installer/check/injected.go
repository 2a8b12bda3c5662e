package check

import (
	"context"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/registry"
)

var injectedImagesCheck = Check{
	ID: "injected-images", Category: "images",
	Title: "the registry has the images that Tekton adds to Pods",
	Fatal: true, Needs: "pipelines-definitions",
	Doc: "Tekton's controller gets the images of the containers prepare, place-scripts and others as arguments. Tekton does not report that such a container cannot start (Tekton Pipelines v1.15.1): every run that needs it stays Pending until its timeout. The check asks the registries for these images and the platforms of the nodes, with the credentials and authorities of the machine that it runs on. It is skipped where they do not answer, or refuse that account.\n\n" +
		"Fill the mirror with `tekgate images copy`, and see `tekgate images verify`.",
	run: injectedImages,
}

var hangingRunsCheck = Check{
	ID: "hanging-runs", Category: "images",
	Title: "no run waits for an image without Tekton reporting it",
	Needs: "pipelines-definitions",
	Doc: "Tekton fails a run whose step's image cannot be pulled, but not one whose sidecar, prepare or place-scripts container has no image (Tekton Pipelines v1.15.1): that run stays Pending until its timeout. The check looks for such containers in the pending Pods of runs, in all namespaces. It is skipped for users who may not list Pods there.\n\n" +
		"`tekgate why taskrun NAME` says what the image lacks.",
	run: hangingRuns,
}

// injectedImages asks registries for the images of the controller's arguments.
func injectedImages(ctx context.Context, s *state) error {
	if s.options.Probe == nil {
		return skip("no registry is asked here: run `tekgate check`")
	}
	platforms, err := s.platforms(ctx)
	if err != nil {
		return err
	}
	seen := map[image.Reference]bool{}
	uses, refs, err := s.injected(ctx, func(_ manifest.Injected, ref image.Reference) bool {
		again := seen[ref]
		seen[ref] = true
		return !again
	})
	if err != nil {
		return err
	}
	var found problems
	unknown := ""
	for i, result := range s.options.Probe(ctx, refs, platforms) {
		switch result.Status {
		case registry.StatusUnreachable, registry.StatusDenied:
			unknown = result.Err.Error()
		default:
			if result.Status.Fatal() {
				found.add("%v: the controller's argument -%s names it: %s", result.Err, uses[i].Flag, uses[i].Fails)
			}
		}
	}
	if len(found) == 0 && unknown != "" {
		return skip(unknown)
	}
	return found.err()
}

// injected returns the images of the controller's arguments that are wanted, without those that are no references.
func (s *state) injected(ctx context.Context, wanted func(manifest.Injected, image.Reference) bool) (
	uses []manifest.Injected, refs []image.Reference, err error) {
	deployments, err := s.In(ctx, live.Deployment, live.Pipelines)
	if err != nil {
		return nil, nil, err
	}
	for _, use := range manifest.InjectedImages(deployments) {
		if ref, err := image.Parse(use.Image); err == nil && wanted(use, ref) {
			uses, refs = append(uses, use), append(refs, ref)
		}
	}
	return uses, refs, nil
}

// pullReasons are those of containers whose image cannot be pulled.
var pullReasons = []string{"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull"}

// hangingRuns looks for containers beside steps whose image cannot be pulled.
func hangingRuns(ctx context.Context, s *state) error {
	pods, err := s.List(ctx, live.Pod, client.HasLabels{"tekton.dev/taskRun"},
		client.MatchingFields{"status.phase": "Pending"})
	if apierrors.IsForbidden(err) {
		return skip("you may not list Pods in all namespaces")
	}
	if err != nil {
		return err
	}
	var found problems
	for _, pod := range pods {
		for _, list := range []string{"initContainerStatuses", "containerStatuses"} {
			for _, status := range live.Maps(pod.Object, "status", list) {
				hanging(pod, status, &found)
			}
		}
	}
	return found.err()
}

// hanging notes a container that Tekton does not watch.
func hanging(pod *unstructured.Unstructured, status map[string]any, found *problems) {
	name := live.Text(status, "name")
	reason := live.Text(status, "state", "waiting", "reason")
	if strings.HasPrefix(name, "step-") || !slices.Contains(pullReasons, reason) {
		return
	}
	found.add("%s: container %s waits for its image (%s), which Tekton does not report: `tekgate why taskrun %s -n %s` says why",
		kube.Name(pod), name, reason, pod.GetLabels()["tekton.dev/taskRun"], pod.GetNamespace())
}
