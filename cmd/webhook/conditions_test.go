package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// leaseText is the Lease of the manifests.
const leaseText = "{apiVersion: coordination.k8s.io/v1, kind: Lease, " +
	"metadata: {name: " + replicasLease + ", namespace: tekgate}}"

// TestKeepsConditions holds, on a real API server and with the rights of the
// manifests, that the conditions follow the configuration in force.
func TestKeepsConditions(t *testing.T) {
	t.Parallel()
	b := newCluster(t)
	b.create(b.parse(leaseText))
	b.start()
	b.configure()
	b.create(account("ci"))
	b.Run("narrowed", func(t *testing.T) { b.on(t).testNarrowed() })
	b.Run("odd objects", func(t *testing.T) { b.on(t).testOddObjects() })
	b.Run("a Namespace with settings of its own", func(t *testing.T) { b.on(t).testOwnSettings() })
	b.Run("another configuration", func(t *testing.T) { b.on(t).testReload() })
	b.Run("too narrow by another hand", func(t *testing.T) { b.on(t).testTooNarrow() })
	b.Run("a replica that is behind", func(t *testing.T) { b.on(t).testBehind() })
	b.Run("none is added", func(t *testing.T) { b.on(t).testRemoved() })
	b.Run("ownership", func(t *testing.T) { b.on(t).testOwnership() })
}

// quietRun is a TaskRun that no rule of configuredBuilder has to do with.
const quietRun = `
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: quiet-, namespace: %s}
spec: {serviceAccountName: default, taskSpec: {steps: [{name: test, image: "golang:1.26", script: go test}]}}
`

// kept returns the conditions that are kept of both configurations.
func (b *bed) kept() map[string]string {
	b.Helper()
	all := map[string]string{}
	for kind, name := range map[string]string{"MutatingWebhookConfiguration": wellknown.MutatingConfiguration,
		"ValidatingWebhookConfiguration": wellknown.ValidatingConfiguration} {
		live := b.parse(
			"{apiVersion: admissionregistration.k8s.io/v1, kind: " + kind + ", metadata: {name: " + name + "}}")
		b.get(live)
		for hook, expression := range expressions(live) {
			all[hook] = expression
		}
	}
	return all
}

func (b *bed) isNarrow() error {
	b.Helper()
	if expression := b.kept()[wellknown.MutateRuns]; expression == wellknown.Always {
		return errors.New("it is open")
	}
	return nil
}

// asked tells whether the rules are asked about a quiet run.
func (b *bed) asked(namespace string) (*unstructured.Unstructured, bool) {
	b.Helper()
	before := b.requests("/mutate")
	run := b.parse(fmt.Sprintf(quietRun, namespace))
	b.create(run, client.DryRunAll)
	return run, b.requests("/mutate") > before
}

func (b *bed) eventuallyAsked(namespace string, want bool) {
	b.Helper()
	b.eventually(fmt.Sprintf("a run in %s is asked about: %v", namespace, want), func() error {
		if _, is := b.asked(namespace); is != want {
			return fmt.Errorf("it is asked about: %v", is)
		}
		return nil
	})
}

func (b *bed) testNarrowed() {
	b.eventually("the condition is narrow", b.isNarrow)
	b.eventuallyAsked("ci", false)
	run := b.parse(kaniko("build", "v1"))
	b.create(run, client.DryRunAll)
	b.is(run, injected, "builder")
	if kept := b.kept(); len(kept) != 9 || kept["runs.validate.tekgate.dev"] != wellknown.Always {
		b.Errorf("kept are %v", kept)
	}
}

// testOddObjects creates what is not of the shape that Tekton takes. The webhooks are
// installed with Fail here, so an expression that fails would refuse it by its name.
func (b *bed) testOddObjects() {
	odd := []string{"null", `""`, "docker", "7", "true", "[]", "[null]", "{}", "[[ko]]", "{a: {}}"}
	for _, place := range []string{
		"{taskSpec: %s}", "{taskRef: %s}", "{taskRef: {name: a, resolver: %s}}", "{serviceAccountName: %s}",
		"{pipelineSpec: %s}", "{pipelineSpec: {tasks: %s, finally: %[1]s}}",
		"{taskSpec: {steps: %s}}", "{taskSpec: {steps: [%s]}}", "{taskSpec: {steps: [{image: %s}]}}",
		"{taskSpec: {steps: [{command: %s}]}}",
		"{taskSpec: {steps: [{command: [%s]}]}}", "{taskSpec: {stepTemplate: %s}}", "%s",
	} {
		for _, value := range odd {
			run := b.parse(fmt.Sprintf(
				"{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {generateName: odd-, namespace: ci}, spec: "+place+"}", value))
			err := b.client.Create(b.Context(), run, client.DryRunAll)
			if err != nil && (strings.Contains(err.Error(), "expression") || strings.Contains(err.Error(), "match")) {
				b.Errorf(place+": %v", value, err)
			}
		}
	}
}

func (b *bed) testOwnSettings() {
	settings := "env: {set: [{variables: [{name: OWN, value: there}]}]}"
	b.annotate("ci", map[string]any{"tekgate.dev/mutator": settings})
	b.eventuallyEnv("ci", "OWN=there")
	b.eventuallyAsked("other", false)
	b.eventuallyEnv("ci", "OWN=there")
	b.annotate("ci", map[string]any{"tekgate.dev/mutator": nil})
	b.eventuallyAsked("ci", false)
	b.testTooLargeSettings()
}

// testTooLargeSettings holds that settings over the limit change nothing, and that the log
// names their Namespace.
func (b *bed) testTooLargeSettings() {
	b.Helper()
	settings := "env: {set: [{variables: [{name: OWN, value: there}]}]}\n#" + strings.Repeat("x", mutator.MaxOverlay)
	b.annotate("ci", map[string]any{"tekgate.dev/mutator": settings})
	b.eventually("the log names the Namespace", func() error {
		logs := b.logs.String()
		if strings.Contains(logs, "the settings of a Namespace are not used") && strings.Contains(logs, `"ci"`) {
			return nil
		}
		return errors.New("it does not")
	})
	b.eventuallyAsked("ci", true)
	if run, _ := b.asked("ci"); strings.Contains(fmt.Sprint(run.Object), "there") {
		b.Errorf("the settings are used: %v", run.Object)
	}
	b.annotate("ci", map[string]any{"tekgate.dev/mutator": nil})
	b.eventuallyAsked("ci", false)
}

func (b *bed) annotate(namespace string, annotations map[string]any) {
	b.Helper()
	object := b.parse("{apiVersion: v1, kind: Namespace, metadata: {name: " + namespace + "}}")
	b.get(object)
	have := object.GetAnnotations()
	if have == nil {
		have = map[string]string{}
	}
	for key, value := range annotations {
		delete(have, key)
		if text, ok := value.(string); ok {
			have[key] = text
		}
	}
	object.SetAnnotations(have)
	if err := b.client.Update(b.Context(), object); err != nil {
		b.Fatal(err)
	}
}

func (b *bed) eventuallyEnv(namespace, want string) {
	b.Helper()
	b.eventually("a run has "+want, func() error {
		run, _ := b.asked(namespace)
		if got := environment(run); got != want {
			return fmt.Errorf("it has %q", got)
		}
		return nil
	})
}

func (b *bed) testReload() {
	b.useConfiguration(configuredBuilder + "\n# and\n")
	b.eventually("the condition is narrow", b.isNarrow)
	b.useConfiguration(strings.Replace(configuredBuilder, "mutator: {",
		"mutator: {env: {set: [{variables: [{name: NEW, value: 'yes'}]}]}, ", 1))
	b.eventuallyEnv("other", "NEW=yes")
	b.useConfiguration(configuredBuilder)
	b.eventually("the condition is narrow", b.isNarrow)
	b.eventuallyAsked("other", false)
}

func (b *bed) useConfiguration(text string) {
	b.Helper()
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// testTooNarrow is a hand that switches the rules off unnoticed.
func (b *bed) testTooNarrow() {
	b.eventually("the condition is narrow", b.isNarrow)
	b.overwrite("false")
	began := time.Now()
	b.eventually("a build is changed again", func() error {
		run := b.parse(kaniko("build", "v1"))
		b.create(run, client.DryRunAll)
		if environment(run) == "" {
			return errors.New("it is not")
		}
		return nil
	})
	if took := time.Since(began); took > 3*time.Second {
		b.Errorf("that took %s", took)
	}
	b.eventually("the condition is narrow", b.isNarrow)
}

// overwrite puts an expression into the condition about runs.
func (b *bed) overwrite(expression string) {
	b.Helper()
	b.edit(func(condition map[string]any) map[string]any {
		condition["expression"] = expression
		return condition
	})
}

func (b *bed) edit(change func(map[string]any) map[string]any) {
	b.Helper()
	b.eventually("the condition is overwritten", func() error {
		live := b.parse(
			"{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: " + wellknown.MutatingConfiguration + "}}")
		b.get(live)
		for _, h := range live.Object["webhooks"].([]any) {
			hook := h.(map[string]any)
			if hook["name"] != wellknown.MutateRuns {
				continue
			}
			var kept []any
			for _, m := range hook["matchConditions"].([]any) {
				condition := m.(map[string]any)
				if condition["name"] == wellknown.MatchCondition {
					condition = change(condition)
				}
				if condition != nil {
					kept = append(kept, condition)
				}
			}
			hook["matchConditions"] = kept
		}
		return b.client.Update(b.Context(), live)
	})
}

// testBehind is another replica, whose configuration wants something else: nothing is
// narrowed for as long as it says so, nor once it has gone without a word but for a
// while.
func (b *bed) testBehind() {
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	said := make(chan struct{})
	go func() {
		defer close(said)
		for i := 0; ctx.Err() == nil; i++ {
			b.say(fmt.Sprintf("else %d", i))
			time.Sleep(100 * time.Millisecond)
		}
	}()
	time.Sleep(300 * time.Millisecond)
	b.overwrite(wellknown.Always)
	for began := time.Now(); time.Since(began) < 2*time.Second; time.Sleep(50 * time.Millisecond) {
		if b.isNarrow() == nil {
			b.Fatal("it was narrowed while another replica wants something else")
		}
	}
	stop()
	<-said
	b.eventually("the condition is narrow", b.isNarrow)
	lease := b.parse(leaseText)
	b.eventually("what it said is forgotten", func() error {
		b.get(lease)
		if notes := lease.GetAnnotations(); len(notes) != 1 {
			return fmt.Errorf("there is %v", notes)
		}
		return nil
	})
}

func (b *bed) say(value string) {
	lease := b.parse(leaseText)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{"%sbehind":%q}}}`, replicaPrefix, value)
	if err := b.client.Patch(context.Background(), lease,
		client.RawPatch(types.MergePatchType, []byte(patch))); err != nil && !apierrors.IsConflict(err) {
		b.Error(err)
	}
}

// testRemoved holds that a condition which somebody has taken away stays away, as
// before an API server that does not know any.
func (b *bed) testRemoved() {
	b.edit(func(map[string]any) map[string]any { return nil })
	time.Sleep(time.Second)
	if _, there := b.kept()[wellknown.MutateRuns]; there {
		b.Error("the condition is there again")
	}
	if _, is := b.asked("ci"); !is {
		b.Error("a run is not asked about")
	}
}

// testOwnership holds that the server owns the expressions, and nothing else by that
// name.
func (b *bed) testOwnership() {
	live := b.parse(
		"{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: " + wellknown.MutatingConfiguration + "}}")
	b.get(live)
	for _, entry := range live.GetManagedFields() {
		if entry.Manager != conditionKeeper {
			continue
		}
		owned := entry.FieldsV1.GetRawString()
		for _, foreign := range []string{"clientConfig", "rules", "failurePolicy", "namespaceSelector",
			"not-opted-out"} {
			if strings.Contains(owned, foreign) {
				b.Errorf("%s owns %s: %s", conditionKeeper, foreign, owned)
			}
		}
		if entry.Operation != metav1.ManagedFieldsOperationApply || !strings.Contains(owned, wellknown.MatchCondition) {
			b.Errorf("%s owns %s by %s", conditionKeeper, owned, entry.Operation)
		}
		return
	}
	b.Errorf("nothing belongs to %s", conditionKeeper)
}
