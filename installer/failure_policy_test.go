package installer_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
)

// failing returns the embedded release, in which some webhooks have failurePolicy Fail.
func failing(t *testing.T, webhooks ...string) installer.Release {
	t.Helper()
	rel := embedded(t)
	own := slices.DeleteFunc(slices.Clone(rel.Objects), func(obj *unstructured.Unstructured) bool {
		return obj.GetName() != live.OwnConfiguration(obj.GetKind())
	})
	if err := manifest.SetFailurePolicies(own, webhooks); err != nil {
		t.Fatal(err)
	}
	return rel
}

// refusing returns the webhooks that have failurePolicy Fail in the cluster.
func (c *target) refusing() []string {
	c.t.Helper()
	names := map[string]bool{}
	for _, kind := range []string{"MutatingWebhookConfiguration", "ValidatingWebhookConfiguration"} {
		obj := c.get("admissionregistration.k8s.io/v1", kind, "", live.OwnConfiguration(kind))
		if obj == nil {
			continue
		}
		for _, webhook := range live.Maps(obj.Object, "webhooks") {
			if webhook["failurePolicy"] == "Fail" {
				names[live.Text(webhook, "name")] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(names))
}

const (
	ofRuns     = "runs.validate.tekgate.dev"
	ofTriggers = "triggers.validate.tekgate.dev"
)

// TestFailurePolicy holds that a webhook refuses what it cannot judge only after its server
// has answered, also where an install waits for nothing else.
func TestFailurePolicy(t *testing.T) {
	t.Parallel()
	c := start(t)
	deaf := c.node("mutate.tekgate.dev", "validate.tekgate.dev")
	err := c.apply(failing(t, ofRuns), installer.Options{Timeout: 10 * time.Second}, silent{})
	if err == nil || !strings.Contains(err.Error(), "failurePolicy stays Ignore until the admission server answers") {
		t.Errorf("without an answer: %v", err)
	}
	if got := c.refusing(); len(got) > 0 {
		t.Errorf("without an answer %v refuse", got)
	}
	deaf.end()
	c.node()
	options := installer.Options{Timeout: 2 * time.Minute}
	c.install(failing(t, ofRuns), options)
	if got := c.refusing(); !slices.Equal(got, []string{ofRuns}) {
		t.Errorf("%v refuse", got)
	}
	if _, done := c.install(failing(t, ofRuns), options); len(done.ToGroupedMap()[ssa.ConfiguredAction]) > 0 {
		t.Errorf("the second time configured %v", done.ToGroupedMap()[ssa.ConfiguredAction])
	}
	c.install(failing(t), options)
	if got := c.refusing(); len(got) > 0 {
		t.Errorf("after it was set back %v refuse", got)
	}
}

// TestFailurePolicyDoesNotBlockRepair holds that an install succeeds in a cluster in which
// Tekgate's own webhook, whose server nobody can reach, refuses a part of it.
func TestFailurePolicyDoesNotBlockRepair(t *testing.T) {
	t.Parallel()
	c := start(t)
	c.node()
	options := installer.Options{Timeout: 2 * time.Minute}
	c.install(failing(t, ofTriggers), options)
	if got := c.refusing(); !slices.Equal(got, []string{ofTriggers}) {
		t.Fatalf("%v refuse", got)
	}
	other := object("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "other")
	other.Object["spec"] = map[string]any{"clientConfig": map[string]any{"url": "http://other.example.com"}}
	err := c.Client().Create(t.Context(), other)
	if err == nil || !strings.Contains(err.Error(), "failed calling webhook") {
		t.Fatalf("the webhook refuses nothing, so this test proves nothing: %v", err)
	}
	missing := object("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "cel")
	if err := c.Client().Delete(t.Context(), missing); err != nil {
		t.Fatal(err)
	}
	plan, _ := c.install(failing(t, ofTriggers), options)
	notes := strings.Join(plan.Notes, "\n")
	if !strings.Contains(notes, "their failurePolicy is set to Ignore before") {
		t.Errorf("nothing is said of it:\n%s", notes)
	}
	if c.get("triggers.tekton.dev/v1alpha1", "ClusterInterceptor", "", "cel") == nil {
		t.Error("what was missing is still missing")
	}
	if got := c.refusing(); !slices.Equal(got, []string{ofTriggers}) {
		t.Errorf("after the repair %v refuse", got)
	}
}
