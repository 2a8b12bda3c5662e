package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// testConfiguration changes the file under the running server: a good one is used,
// a bad one changes nothing but what is told, and the ConfigMap that the file comes
// from in a cluster is refused when it is bad.
func (b *bed) testConfiguration() {
	live := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: wellknown.ConfigMap,
			Labels: map[string]string{"app.kubernetes.io/part-of": "tekgate"}},
		Data: map[string]string{"config.yaml": configuredBuilder},
	}
	b.create(live)
	b.testBadConfigMap(live)

	b.rewrite(configuredBuilder + "# the same, in other words\n")
	b.rewrite(strings.Replace(configuredBuilder, "mutator: {", "mutator: {dockerConfig: {path: /house/.docker}, ", 1))
	b.eventually("the new configuration is used", func() error { return b.probe("DOCKER_CONFIG=/house/.docker") })
	if b.metric("tekgate_config_last_reload_successful ") != 1 {
		b.Error("a good configuration is not called so")
	}

	b.rewrite(strings.Replace(configuredBuilder, "serviceAccount", "serviceAcount", 1))
	b.eventually("the bad configuration is noticed", func() error {
		if b.metric("tekgate_config_last_reload_successful ") != 0 {
			return fmt.Errorf("it is called good")
		}
		return nil
	})
	if err := b.probe("DOCKER_CONFIG=/house/.docker"); err != nil {
		b.Errorf("the last good configuration is gone: %v", err)
	}
	b.eventually("an Event tells", func() error {
		var list eventsv1.EventList
		if err := b.client.List(b.Context(), &list, client.InNamespace("tekgate")); err != nil {
			return err
		}
		for _, event := range list.Items {
			if event.Reason == "BadConfiguration" && event.Regarding.Name == wellknown.ConfigMap &&
				event.Regarding.UID == live.UID &&
				strings.Contains(event.Note, `unknown field "mutator.serviceAcount": did you mean "serviceAccount"?`) {
				return nil
			}
		}
		return fmt.Errorf("there are %d others", len(list.Items))
	})

	if err := os.Remove(b.config); err != nil {
		b.Fatal(err)
	}
	b.rewrite(configuredBuilder)
	b.eventually("the first configuration is used again", func() error { return b.probe(injected) })
}

// testBadConfigMap applies configurations that the server could not use.
func (b *bed) testBadConfigMap(live *corev1.ConfigMap) {
	for text, want := range map[string]string{
		"kind: Nonsense": "not a Tekgate configuration",
		strings.Replace(configuredBuilder, "name: builder", "nam: builder",
			1): `did you mean "name"`,
		strings.Replace(configuredBuilder, "enforce", "maybe",
			1): `validator.rules.dangling-reference.mode: "maybe" is not a mode`,
		strings.Replace(configuredBuilder, "serviceAccount: {name: builder}", "imageMirror: {enabled: true}",
			1): "there is no mirror",
		strings.Replace(configuredBuilder, "validator: {",
			"validator: {custom: [{id: own, kinds: [Task], expression: object.spec., message: x}], ",
			1): "validator.custom[0].expression: rule own does not compile: ",
	} {
		bad := live.DeepCopy()
		bad.Data["config.yaml"] = text
		if err := b.client.Update(b.Context(), bad); !apierrors.IsForbidden(err) ||
			!strings.Contains(err.Error(), want) {
			b.Errorf("%q gives %v, want %q", text, err, want)
		}
	}
	empty := live.DeepCopy()
	empty.Data = nil
	if err := b.client.Update(b.Context(), empty); err == nil ||
		!strings.Contains(err.Error(), "has no key config.yaml") {
		b.Errorf("an empty one gives %v", err)
	}
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: "other", Labels: live.Labels},
		Data: map[string]string{"config.yaml": "nonsense"}}
	b.create(other)
}

// rewrite replaces the server's file.
func (b *bed) rewrite(text string) {
	b.Helper()
	if err := os.WriteFile(b.config, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
}

// probe returns an error unless a TaskRun is given the variables.
func (b *bed) probe(env string) error {
	run := b.parse(kaniko("probe", "v1"))
	if err := b.client.Create(b.Context(), run, client.DryRunAll); err != nil {
		return err
	}
	if got := environment(run); got != env {
		return fmt.Errorf("it has the variables %q", got)
	}
	return nil
}

// TestLook tells each state of the file once, also where no cluster holds it.
func TestLook(t *testing.T) {
	counts, err := newMeasures(metrics.Registry)
	if err != nil {
		t.Fatal(err)
	}
	logs := &strings.Builder{}
	path := write(t, t.TempDir(), "config.yaml", configuredBuilder)
	c := &configuration{path: path, metrics: counts, reloads: server.Reloads{
		Metrics: counts.reloads, Client: noConfigMap{}, Warn: server.Recorded(&events.FakeRecorder{}),
		Log: logr.FromSlogHandler(slog.NewJSONHandler(logs, nil)),
	}}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	first := c.current.Load()
	change := func(edit func() error, want string) {
		t.Helper()
		logs.Reset()
		if err := edit(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			c.file.Look(t.Context())
		}
		if got := strings.Count(logs.String(), "\n"); (want == "") != (got == 0) || got > 1 ||
			!strings.Contains(logs.String(), want) {
			t.Errorf("the log says %q, want %q once", logs.String(), want)
		}
	}
	change(func() error { return nil }, "")
	change(func() error { return os.WriteFile(path, []byte("kind: X"), 0o600) }, "keeping the last good configuration")
	if c.current.Load() != first {
		t.Error("a bad configuration is used")
	}
	change(func() error { return os.Remove(path) }, "keeping the last good configuration")
	change(func() error { return os.WriteFile(path, []byte(configuredBuilder), 0o600) }, "using a new configuration")
	if now := c.current.Load(); now == first || now.mutate.Hash() != first.mutate.Hash() {
		t.Error("the same configuration has another hash, or is not used")
	}
}

// noConfigMap is an API server that holds nothing.
type noConfigMap struct{ client.Reader }

func (noConfigMap) Get(context.Context, client.ObjectKey, client.Object, ...client.GetOption) error {
	return apierrors.NewNotFound(corev1.Resource("configmaps"), wellknown.ConfigMap)
}
