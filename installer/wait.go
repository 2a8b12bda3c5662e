package installer

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/kube"
)

const (
	servedTimeout = time.Minute
	interval      = 250 * time.Millisecond
	// pullGrace is how long a Pod may fail to pull before that counts: a mirror
	// that fetches on demand may refuse the first time.
	pullGrace = 20 * time.Second
)

// until asks again and again until ready returns an empty string; what it
// returns until then says what is missing.
func (r *run) until(
	ctx context.Context,
	limit time.Duration,
	ready func(ctx context.Context) (missing string, err error),
) error {
	last := ""
	err := wait.PollUntilContextTimeout(
		ctx,
		cmp.Or(r.options.Interval, interval),
		limit,
		true,
		func(ctx context.Context) (bool, error) {
			missing, err := ready(ctx)
			if err != nil {
				return false, err
			}
			if missing != last && missing != "" {
				r.report.Waiting(missing)
			}
			last = missing
			return missing == "", nil
		},
	)
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf(
			"after %s still waiting for %s: look at what it says with kubectl describe; --timeout gives it longer, --wait=false does not wait",
			limit,
			last,
		)
	}
	return err
}

// waitDefinitions waits until the server serves new kinds, wanted or not:
// nothing of them can be applied before.
func (r *run) waitDefinitions(ctx context.Context, changes []*Change) error {
	changes = slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool {
		return c.Action == ssa.UnchangedAction && established(c.Live)
	})
	if len(changes) == 0 {
		return nil
	}
	err := r.until(ctx, servedTimeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, changes, func(current *unstructured.Unstructured) (string, error) {
			if established(current) {
				return "", nil
			}
			return kube.Name(current) + " to be served", nil
		})
	})
	// What was unknown a moment ago is served now.
	meta.MaybeResetRESTMapper(r.client.RESTMapper())
	return err
}

// firstUnready reads the objects of changes and returns what the first of them
// lacks that lacks anything.
func (r *run) firstUnready(
	ctx context.Context,
	changes []*Change,
	lacks func(*unstructured.Unstructured) (string, error),
) (string, error) {
	for _, change := range changes {
		current, err := r.current(ctx, change.Desired)
		if err != nil {
			return "", err
		}
		if current == nil {
			return "", fmt.Errorf("%s was deleted by somebody else while waiting for it", kube.Name(change.Desired))
		}
		if missing, err := lacks(current); err != nil || missing != "" {
			return missing, err
		}
	}
	return "", nil
}

// waitRollouts waits until the Deployments among the changes run what they
// should, and fails as soon as a Pod of theirs cannot pull its image.
func (r *run) waitRollouts(ctx context.Context, changes []*Change) error {
	deployments := slices.DeleteFunc(
		slices.Clone(changes),
		func(c *Change) bool { return c.Desired.GetKind() != "Deployment" },
	)
	watch := pullWatch{run: r, since: map[string]time.Time{}}
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, deployments, func(current *unstructured.Unstructured) (string, error) {
			missing, err := rolledOut(current)
			if err != nil || missing == "" {
				return "", err
			}
			for _, change := range deployments {
				if err := watch.check(ctx, change.Desired); err != nil {
					return "", err
				}
			}
			return missing, nil
		})
	})
}

func rolledOut(current *unstructured.Unstructured) (missing string, err error) {
	result, err := status.Compute(current)
	if err != nil {
		return "", err
	}
	switch result.Status {
	case status.CurrentStatus:
		return "", nil
	case status.FailedStatus:
		return "", fmt.Errorf("%s does not come up: %s", kube.Name(current), result.Message)
	}
	return fmt.Sprintf("%s (%s)", kube.Name(current), result.Message), nil
}

// pullWatch finds Pods that cannot pull their images.
type pullWatch struct {
	*run
	since map[string]time.Time // when a Pod's image was first seen to fail
}

// hopeless are the reasons for which trying again does not help.
var hopeless = []string{"InvalidImageName", "ErrImageNeverPull"}

// failing are the reasons for which a container waits when its image does not
// come.
var failing = append(
	[]string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"},
	hopeless...)

func (w pullWatch) check(ctx context.Context, deployment *unstructured.Unstructured) error {
	labels, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	pods, err := w.List(ctx, live.Pod, client.InNamespace(deployment.GetNamespace()), client.MatchingLabels(labels))
	if err != nil {
		return ignoreForbidden(err)
	}
	wanted := containerImages(deployment, "spec", "template", "spec")
	for i := range pods {
		for container, image := range containerImages(pods[i], "spec") {
			// Pods of the release before may fail for as long as they like.
			if wanted[container] != image {
				continue
			}
			if err := w.judge(pods[i], container, image); err != nil {
				return err
			}
		}
	}
	return nil
}

func containerImages(obj *unstructured.Unstructured, path ...string) map[string]string {
	images := map[string]string{}
	for _, field := range []string{"initContainers", "containers"} {
		for _, container := range live.Maps(obj.Object, append(path[:len(path):len(path)], field)...) {
			containerName, _ := container["name"].(string)
			images[containerName], _ = container["image"].(string)
		}
	}
	return images
}

func (w pullWatch) judge(pod *unstructured.Unstructured, container, image string) error {
	reason, message := waitingFor(pod, container)
	key := pod.GetNamespace() + "/" + pod.GetName() + "/" + container
	if !slices.Contains(failing, reason) {
		delete(w.since, key)
		return nil
	}
	if w.since[key].IsZero() {
		w.since[key] = time.Now()
	}
	if !slices.Contains(hopeless, reason) && time.Since(w.since[key]) < min(pullGrace, w.options.Timeout/2) {
		return nil
	}
	return fmt.Errorf(
		"%s cannot pull image %s (%s%s), which %s",
		kube.Name(pod),
		image,
		reason,
		prefixed(": ", message),
		w.ruleOf(image),
	)
}

func waitingFor(pod *unstructured.Unstructured, container string) (reason, message string) {
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, containerStatus := range live.Maps(pod.Object, "status", field) {
			if containerStatus["name"] == container {
				return live.Text(
						containerStatus,
						"state",
						"waiting",
						"reason",
					), live.Text(
						containerStatus,
						"state",
						"waiting",
						"message",
					)
			}
		}
	}
	return "", ""
}

// ruleOf says where an image reference comes from, and so what to correct.
func (r *run) ruleOf(image string) string {
	for _, done := range r.plan.Release.Images {
		if done.To.String() != image {
			continue
		}
		if done.Rule == "" {
			return "stands in the manifest as it is and is kept: copy it to a mirror and give it a rule under mirror.rules"
		}
		return fmt.Sprintf(
			"%s made of %s: copy that image there with `tekgate images copy`, or correct the rule",
			done.Rule,
			done.From,
		)
	}
	return "does not come from this release"
}

// waitAdmission waits until Tekton's admission servers run, have registered
// themselves, and answer.
func (r *run) waitAdmission(ctx context.Context, changes []*Change) error {
	if err := r.waitRollouts(ctx, changes); err != nil {
		return err
	}
	if err := r.waitBundles(ctx, changes); err != nil {
		return err
	}
	return r.until(ctx, r.options.Timeout, r.probeAdmission)
}

// waitBundles waits until the webhook configurations among the changes carry
// the CA of the server that they name.
func (r *run) waitBundles(ctx context.Context, changes []*Change) error {
	configurations := slices.DeleteFunc(
		slices.Clone(changes),
		func(c *Change) bool { return !manifest.IsWebhookConfiguration(c.Desired) },
	)
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, configurations, func(current *unstructured.Unstructured) (string, error) {
			for _, webhook := range live.Maps(current.Object, "webhooks") {
				if callsService(webhook) && !hasBundle(webhook) {
					return kube.Name(current) + " to get the caBundle of its server", nil
				}
			}
			return "", nil
		})
	})
}

// waitControllers waits until the Deployments run, and have given their CA to the
// ClusterInterceptors that came before them.
func (r *run) waitControllers(ctx context.Context, changes []*Change) error {
	if err := r.waitRollouts(ctx, changes); err != nil {
		return err
	}
	return r.waitInterceptors(ctx, r.plan.changes)
}

// waitInterceptors waits until every ClusterInterceptor that is served by TLS
// has the CA of its server: one that lacks it stops every EventListener of the
// cluster (tektoncd/triggers#2034).
func (r *run) waitInterceptors(ctx context.Context, changes []*Change) error {
	interceptors := slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool {
		return c.Desired.GetKind() != "ClusterInterceptor" || c.Desired.GetLabels()["server/type"] != "https"
	})
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, interceptors, func(current *unstructured.Unstructured) (string, error) {
			if spec, _, _ := unstructured.NestedMap(current.Object, "spec"); !hasBundle(spec) {
				return kube.Name(current) + " to get the caBundle of its server", nil
			}
			return "", nil
		})
	})
}

// probes are the smallest objects that Tekton's admission servers accept, by
// the definition that they are of.
var probes = map[string]map[string]any{
	"tasks.tekton.dev":                    {"steps": []any{map[string]any{"name": "probe", "image": "probe"}}},
	"triggerbindings.triggers.tekton.dev": {"params": []any{map[string]any{"name": "probe", "value": "probe"}}},
}

// probeAdmission creates, without keeping it, an object of each component: only
// that shows that the API server reaches Tekton's admission servers.
func (r *run) probeAdmission(ctx context.Context) (missing string, err error) {
	for _, change := range r.plan.changes {
		spec, known := probes[change.Desired.GetName()]
		if !known || !manifest.IsDefinition(change.Desired) {
			continue
		}
		probe := probeOf(change.Desired, spec)
		missing, err := unanswered(r.client.Create(ctx, probe, client.DryRunAll, client.FieldOwner(FieldManager)))
		switch {
		case missing != "":
			return "Tekton's admission server to answer (" + missing + ")", nil
		case err == nil || apierrors.IsForbidden(err):
		case ctx.Err() != nil:
			return "", ctx.Err()
		default:
			return "", fmt.Errorf(
				"a %s is refused that Tekton's admission server should accept: %w",
				probe.GetKind(),
				err,
			)
		}
	}
	return "", nil
}

func probeOf(crd *unstructured.Unstructured, spec map[string]any) *unstructured.Unstructured {
	probe := NewObject(manifest.StorageKind(crd), live.ProbeNamespace, "tekgate-probe")
	probe.Object["spec"] = runtime.DeepCopyJSON(spec)
	return probe
}
