package manifests_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// typed returns our objects of one kind by name.
func typed[T any](t *testing.T, kind string) map[string]*T {
	t.Helper()
	found := map[string]*T{}
	for _, obj := range own(t) {
		if obj.GetKind() == kind {
			found[obj.GetName()] = convert[T](t, obj)
		}
	}
	return found
}

func convert[T any](t *testing.T, obj *unstructured.Unstructured) *T {
	t.Helper()
	into := new(T)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(obj.Object, into, true); err != nil {
		t.Fatalf("%s %s: %v", obj.GetKind(), obj.GetName(), err)
	}
	return into
}

// servers are our Deployments, both.
func servers(t *testing.T) map[string]*appsv1.Deployment {
	t.Helper()
	all := typed[appsv1.Deployment](t, "Deployment")
	for _, name := range []string{"tekgate-webhook", "tekgate-interceptor"} {
		if all[name] == nil {
			t.Fatalf("there is no Deployment %s", name)
		}
	}
	return all
}

// TestServersSurvive holds what keeps one replica there: while nodes are drained,
// one is lost, and a new version rolls out.
func TestServersSurvive(t *testing.T) {
	budgets := typed[policyv1.PodDisruptionBudget](t, "PodDisruptionBudget")
	for name, d := range servers(t) {
		if d.Spec.Replicas == nil || *d.Spec.Replicas < 2 {
			t.Errorf("%s has %v replicas", name, d.Spec.Replicas)
		}
		rolling := d.Spec.Strategy.RollingUpdate
		if rolling == nil || rolling.MaxUnavailable == nil || rolling.MaxUnavailable.IntValue() != 0 ||
			rolling.MaxUnavailable.String() != "0" {
			t.Errorf("%s loses a replica before the new one is ready", name)
		}
		spread := d.Spec.Template.Spec.TopologySpreadConstraints
		if len(spread) != 1 || spread[0].TopologyKey != corev1.LabelHostname ||
			!sameSelector(spread[0].LabelSelector, d.Spec.Selector) {
			t.Errorf("%s may have all replicas on one node: %v", name, spread)
		} else if spread[0].WhenUnsatisfiable != corev1.ScheduleAnyway {
			t.Errorf("%s does not start on a single node", name)
		}
		budget := budgets[name]
		switch {
		case budget == nil:
			t.Errorf("%s has no PodDisruptionBudget", name)
		case budget.Spec.MaxUnavailable == nil || budget.Spec.MaxUnavailable.String() != "1" ||
			budget.Spec.MinAvailable != nil:
			t.Errorf("%s: the PodDisruptionBudget lets %v go", name, budget.Spec.MaxUnavailable)
		case !sameSelector(budget.Spec.Selector, d.Spec.Selector):
			t.Errorf("%s: the PodDisruptionBudget is about other Pods", name)
		case budget.Spec.UnhealthyPodEvictionPolicy == nil ||
			*budget.Spec.UnhealthyPodEvictionPolicy != policyv1.AlwaysAllow:
			t.Errorf("%s: a Pod that is not ready blocks the drain of its node", name)
		}
	}
}

func sameSelector(a, b *metav1.LabelSelector) bool {
	return a != nil && b != nil && len(a.MatchLabels) > 0 &&
		metav1.FormatLabelSelector(a) == metav1.FormatLabelSelector(b)
}

// The servers' own times: the default of --drain, and serve.StopTimeout.
const (
	drains = 15 * time.Second
	stops  = 20 * time.Second
)

// TestServersMayEnd holds that the kubelet waits for longer than a server takes to
// end, which does so by itself and needs no preStop.
func TestServersMayEnd(t *testing.T) {
	for name, d := range servers(t) {
		pod := d.Spec.Template.Spec
		grace := 30 * time.Second
		if pod.TerminationGracePeriodSeconds != nil {
			grace = time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
		}
		drain := drains
		for _, arg := range pod.Containers[0].Args {
			if value, given := strings.CutPrefix(arg, "--drain="); given {
				var err error
				if drain, err = time.ParseDuration(value); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if grace < drain+stops {
			t.Errorf("%s is killed after %s, and may take %s to end", name, grace, drain+stops)
		}
		if pod.Containers[0].Lifecycle != nil {
			t.Errorf("%s has a lifecycle hook, and its image no program to run", name)
		}
	}
}

// TestServersAreConfined holds beyond the restricted standard, by which the API
// server judges the Pods elsewhere: nothing is written, memory is bounded, and the
// garbage collector knows the bound.
func TestServersAreConfined(t *testing.T) {
	for name, d := range servers(t) {
		pod := d.Spec.Template.Spec
		if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
			t.Fatalf("%s has %d containers", name, len(pod.Containers))
		}
		c := pod.Containers[0]
		if s := c.SecurityContext; s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
			t.Errorf("%s may write to its root file system", name)
		}
		for _, mount := range c.VolumeMounts {
			if !mount.ReadOnly {
				t.Errorf("%s may write to %s", name, mount.MountPath)
			}
		}
		limit, requested := c.Resources.Limits.Memory(), c.Resources.Requests
		if limit.IsZero() || requested.Memory().IsZero() || requested.Cpu().IsZero() {
			t.Errorf("%s: resources %v", name, c.Resources)
		}
		if !c.Resources.Limits.Cpu().IsZero() {
			t.Errorf("%s is slowed down by a CPU limit", name)
		}
		if heap := heapLimit(t, c); heap.Cmp(*limit) >= 0 || 10*heap.Value() < 7*limit.Value() {
			t.Errorf("%s: GOMEMLIMIT is %s, and the limit %s: leave room for what is not the heap", name, heap, limit)
		}
		if pod.PriorityClassName != "" || pod.HostNetwork {
			t.Errorf("%s: priority class %q, host network %v", name, pod.PriorityClassName, pod.HostNetwork)
		}
	}
}

// heapLimit reads the variable GOMEMLIMIT, whose MiB are Kubernetes' Mi.
func heapLimit(t *testing.T, c corev1.Container) *resource.Quantity {
	t.Helper()
	i := slices.IndexFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GOMEMLIMIT" })
	if i < 0 {
		t.Fatalf("%s has no GOMEMLIMIT", c.Name)
	}
	quantity, err := resource.ParseQuantity(strings.TrimSuffix(c.Env[i].Value, "B"))
	if err != nil {
		t.Fatalf("%s: GOMEMLIMIT=%s: %v", c.Name, c.Env[i].Value, err)
	}
	return &quantity
}

// TestServersAreProbed holds that both probes ask the port that is for them.
func TestServersAreProbed(t *testing.T) {
	for name, d := range servers(t) {
		c := d.Spec.Template.Spec.Containers[0]
		for path, probe := range map[string]*corev1.Probe{"/readyz": c.ReadinessProbe, "/healthz": c.LivenessProbe} {
			if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != path ||
				probe.HTTPGet.Port.StrVal != "health" {
				t.Errorf("%s: the probe of %s is %v", name, path, probe)
			}
		}
	}
}
