package installer

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/fluxcd/cli-utils/pkg/kstatus/status"
	"github.com/fluxcd/pkg/ssa"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
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
func (r *run) until(ctx context.Context, limit time.Duration, ready func(ctx context.Context) (missing string, err error)) error {
	last := ""
	err := wait.PollUntilContextTimeout(ctx, interval, limit, true, func(ctx context.Context) (bool, error) {
		missing, err := ready(ctx)
		if err != nil {
			return false, err
		}
		if missing != last && missing != "" {
			r.report.Waiting(missing)
		}
		last = missing
		return missing == "", nil
	})
	if wait.Interrupted(err) && ctx.Err() == nil {
		return fmt.Errorf("after %s still waiting for %s: look at what it says with kubectl describe; --timeout gives it longer, --wait=false does not wait", limit, last)
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
		return r.firstUnready(ctx, changes, func(live *unstructured.Unstructured) (string, error) {
			if established(live) {
				return "", nil
			}
			return name(live) + " to be served", nil
		})
	})
	// What was unknown a moment ago is served now.
	meta.MaybeResetRESTMapper(r.client.RESTMapper())
	return err
}

// established reports whether a definition is served. That its names are
// accepted is not asked: where a release gives a definition short names that
// equal its own plural, as Pipelines v0.44 does, the server calls that a
// conflict and serves it all the same.
func established(crd *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(c any) bool {
		condition, _ := c.(map[string]any)
		return condition["type"] == "Established" && condition["status"] == "True"
	})
}

// firstUnready reads the objects of changes and returns what the first of them
// lacks that lacks anything.
func (r *run) firstUnready(ctx context.Context, changes []*Change, lacks func(*unstructured.Unstructured) (string, error)) (string, error) {
	for _, change := range changes {
		live, err := r.live(ctx, change.Desired)
		if err != nil {
			return "", err
		}
		if live == nil {
			return "", fmt.Errorf("%s was deleted by somebody else while waiting for it", name(change.Desired))
		}
		if missing, err := lacks(live); err != nil || missing != "" {
			return missing, err
		}
	}
	return "", nil
}

// waitRollouts waits until the Deployments among the changes run what they
// should, and fails as soon as a Pod of theirs cannot pull its image.
func (r *run) waitRollouts(ctx context.Context, changes []*Change) error {
	deployments := slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool { return c.Desired.GetKind() != "Deployment" })
	watch := pullWatch{run: r, since: map[string]time.Time{}}
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, deployments, func(live *unstructured.Unstructured) (string, error) {
			missing, err := rolledOut(live)
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

func rolledOut(live *unstructured.Unstructured) (missing string, err error) {
	result, err := status.Compute(live)
	if err != nil {
		return "", err
	}
	switch result.Status {
	case status.CurrentStatus:
		return "", nil
	case status.FailedStatus:
		return "", fmt.Errorf("%s does not come up: %s", name(live), result.Message)
	}
	return fmt.Sprintf("%s (%s)", name(live), result.Message), nil
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
var failing = append([]string{"ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError"}, hopeless...)

func (w pullWatch) check(ctx context.Context, deployment *unstructured.Unstructured) error {
	labels, _, _ := unstructured.NestedStringMap(deployment.Object, "spec", "selector", "matchLabels")
	pods, err := w.list(ctx, schema.GroupVersionKind{Version: "v1", Kind: "PodList"}, client.InNamespace(deployment.GetNamespace()), client.MatchingLabels(labels))
	if err != nil {
		return ignoreForbidden(err)
	}
	wanted := containerImages(deployment, "spec", "template", "spec")
	for i := range pods {
		for container, image := range containerImages(&pods[i], "spec") {
			// Pods of the release before may fail for as long as they like.
			if wanted[container] != image {
				continue
			}
			if err := w.judge(&pods[i], container, image); err != nil {
				return err
			}
		}
	}
	return nil
}

func containerImages(obj *unstructured.Unstructured, path ...string) map[string]string {
	images := map[string]string{}
	for _, field := range []string{"initContainers", "containers"} {
		containers, _, _ := unstructured.NestedSlice(obj.Object, append(path[:len(path):len(path)], field)...)
		for _, c := range containers {
			container, _ := c.(map[string]any)
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
	return fmt.Errorf("%s cannot pull image %s (%s%s), which %s", name(pod), image, reason, prefixed(": ", message), w.ruleOf(image))
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

func waitingFor(pod *unstructured.Unstructured, container string) (reason, message string) {
	for _, field := range []string{"initContainerStatuses", "containerStatuses"} {
		statuses, _, _ := unstructured.NestedSlice(pod.Object, "status", field)
		for _, s := range statuses {
			containerStatus, _ := s.(map[string]any)
			if containerStatus["name"] != container {
				continue
			}
			reason, _, _ = unstructured.NestedString(containerStatus, "state", "waiting", "reason")
			message, _, _ = unstructured.NestedString(containerStatus, "state", "waiting", "message")
			return reason, message
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
		return fmt.Sprintf("%s made of %s: copy that image there with `tekgate images copy`, or correct the rule", done.Rule, done.From)
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
	configurations := slices.DeleteFunc(slices.Clone(changes), func(c *Change) bool { return !isWebhookConfiguration(c.Desired) })
	return r.until(ctx, r.options.Timeout, func(ctx context.Context) (string, error) {
		return r.firstUnready(ctx, configurations, func(live *unstructured.Unstructured) (string, error) {
			for _, webhook := range webhooksOf(live) {
				if _, inside, _ := unstructured.NestedMap(webhook, "clientConfig", "service"); inside && !hasBundle(webhook) {
					return name(live) + " to get the caBundle of its server", nil
				}
			}
			return "", nil
		})
	})
}

func hasBundle(withClientConfig map[string]any) bool {
	bundle, _, _ := unstructured.NestedString(withClientConfig, "clientConfig", "caBundle")
	return bundle != ""
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
		return r.firstUnready(ctx, interceptors, func(live *unstructured.Unstructured) (string, error) {
			if spec, _, _ := unstructured.NestedMap(live.Object, "spec"); !hasBundle(spec) {
				return name(live) + " to get the caBundle of its server", nil
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
		if !known || change.Desired.GetKind() != "CustomResourceDefinition" {
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
			return "", fmt.Errorf("a %s is refused that Tekton's admission server should accept: %w", probe.GetKind(), err)
		}
	}
	return "", nil
}

func probeOf(crd *unstructured.Unstructured, spec map[string]any) *unstructured.Unstructured {
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	kind, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "kind")
	probe := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	probe = probe.DeepCopy()
	probe.SetGroupVersionKind(schema.GroupVersionKind{Group: group, Version: storageVersion(crd), Kind: kind})
	probe.SetNamespace(live.ProbeNamespace)
	probe.SetName("tekgate-probe")
	return probe
}
