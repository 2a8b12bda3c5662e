package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/validator"
)

// TestLater holds what becomes of findings that do not refuse an object, and that
// what needs no work never reaches the server, on a real API server.
func TestLater(t *testing.T) {
	t.Parallel()
	b := newBed(t)
	b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-task.yaml")
	for _, namespace := range []string{"strict", "off"} {
		b.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	}
	b.configure()
	b.reconfigure(onlyTwoRules("warn"))

	b.Run("grace", func(t *testing.T) { b.on(t).testGrace() })
	b.Run("audit", func(t *testing.T) { b.on(t).testAudit() })
	b.Run("enforce", func(t *testing.T) { b.on(t).testEnforce() })
	b.Run("not asked", func(t *testing.T) { b.on(t).testNotAsked() })
	if text := b.logs.String(); strings.Contains(text, "panic") ||
		strings.Contains(text, "what was found is not told") {
		t.Errorf("the server's log:\n%s", text)
	}
	if dropped := b.metric("tekgate_validator_later_dropped_total "); dropped != 0 {
		t.Errorf("%v objects were dropped", dropped)
	}
	b.stop()
	b.stops()
}

// TestLaterPanic holds that a panic in a later look ends neither the process nor the looks at
// other objects.
func TestLaterPanic(t *testing.T) {
	l := newLater(nil, nil, logr.Discard()) // without a client every look panics
	dropped := make(chan struct{}, 2)
	l.dropped = func() { dropped <- struct{}{} }
	for _, uid := range []types.UID{"a", "b"} {
		l.put(visit{visitKey: visitKey{uid: uid}, kind: schema.GroupVersionKind{Kind: "TaskRun"}, name: "a"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Start(ctx) }()
	for range 2 {
		select {
		case <-dropped:
		case <-time.After(time.Minute):
			t.Fatal("the other object is not looked at")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// testGraceTime is how long a reference may lead nowhere.
const testGraceTime = 5 * time.Second

// onlyTwoRules switches all other rules off, whichever there are.
func onlyTwoRules(dangling string) string {
	rules := map[string]any{
		"dangling-reference": map[string]any{"mode": dangling},
		"exception": map[string]any{"mode": "audit", "namespaces": []any{
			map[string]any{"match": []any{"strict"}, "mode": "enforce"}}},
	}
	for _, rule := range validator.Rules {
		if rules[rule.ID] == nil {
			rules[rule.ID] = map[string]any{"mode": "off"}
		}
	}
	text, _ := yaml.Marshal(map[string]any{"validator": map[string]any{"rules": rules,
		"references": map[string]any{"grace": testGraceTime.String()}}})
	return string(text)
}

// reconfigure replaces the section validator of the server's configuration and waits until it holds.
func (b *bed) reconfigure(section string) {
	b.Helper()
	b.use(strings.Split(configuredBuilder, "validator:")[0] + section + "\n")
}

// use replaces the server's configuration and waits until it holds.
func (b *bed) use(text string) {
	b.Helper()
	const said = "using a new configuration"
	before := strings.Count(b.logs.String(), said)
	b.rewrite(text)
	b.eventually("the new configuration holds", func() error {
		if strings.Count(b.logs.String(), said) == before {
			return fmt.Errorf("it is not in use")
		}
		return nil
	})
}

// heard are the warnings that a client got.
type heard struct{ warnings }

// text returns them, and forgets them.
func (h *heard) text() string { return strings.Join(h.take(), "\n") }

// warned returns a client whose warnings are kept.
func (b *bed) warned() (client.Client, *heard) {
	b.Helper()
	config, heard := rest.CopyConfig(b.cluster.Config), &heard{}
	config.WarningHandler = heard
	c, err := client.New(config, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	return c, heard
}

// events returns the notes of our Events about an object.
func (b *bed) events(namespace, name string) []eventsv1.Event {
	b.Helper()
	var list eventsv1.EventList
	if err := b.client.List(b.Context(), &list, client.InNamespace(namespace)); err != nil {
		b.Fatal(err)
	}
	return slices.DeleteFunc(list.Items, func(e eventsv1.Event) bool {
		return e.Regarding.Name != name || e.ReportingController != "tekgate-webhook"
	})
}

func (b *bed) oneEvent(namespace, name string) eventsv1.Event {
	b.Helper()
	b.eventually(name+" has an Event", func() error {
		if n := len(b.events(namespace, name)); n != 1 {
			return fmt.Errorf("it has %d", n)
		}
		return nil
	})
	return b.events(namespace, name)[0]
}

func listenerTo(name, binding string) string {
	return fmt.Sprintf(
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: EventListener, metadata: {%s, namespace: ci}, spec: {triggers: [{name: t, bindings: [{ref: %s}]}]}}", name, binding)
}

func (b *bed) testGrace() {
	c, heard := b.warned()
	create := func(text string, options ...client.CreateOption) *unstructured.Unstructured {
		b.Helper()
		object := b.parse(text)
		if err := c.Create(b.Context(), object, options...); err != nil {
			b.Fatal(err)
		}
		if text := heard.text(); !strings.Contains(text, `spec.triggers[0].bindings[0].ref: TriggerBinding `) ||
			!strings.Contains(text, "(rule dangling-reference)") {
			b.Errorf("%s: the warning is %q", object.GetName(), text)
		}
		return object
	}
	began := time.Now()
	create(listenerTo("name: waits", "comes"))
	create(listenerTo("name: broken", "never"))
	create(listenerTo("name: dry", "never"), client.DryRunAll)
	generated := create(listenerTo("generateName: made-", "never"))
	replaced := create(listenerTo("name: replaced", "never"))
	deleted := create(listenerTo("name: deleted", "never"))
	for _, object := range []*unstructured.Unstructured{replaced, deleted} {
		if err := b.client.Delete(b.Context(), object); err != nil {
			b.Errorf("deleting gives %v", err)
		}
	}
	b.create(b.parse(
		"{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerBinding, metadata: {name: comes, namespace: ci}, spec: {params: []}}"))
	again := b.parse(listenerTo("name: replaced", "comes"))
	b.create(again)

	event := b.oneEvent("ci", "broken")
	if event.Reason != reasonDangling || event.Type != "Warning" || event.Regarding.Kind != "EventListener" ||
		event.Regarding.UID == "" ||
		!strings.HasPrefix(event.Note, `spec.triggers[0].bindings[0].ref: TriggerBinding "never" does not exist`) ||
		!strings.HasSuffix(event.Note, "(dangling-reference)") {
		b.Errorf("the Event is %+v", event)
	}
	if waited := event.EventTime.Sub(began); waited < testGraceTime {
		b.Errorf("the Event came after %s", waited)
	}
	if e := b.oneEvent("ci", generated.GetName()); e.Regarding.UID != generated.GetUID() {
		b.Errorf("the Event is about %v, the object is %v", e.Regarding, generated.GetUID())
	}
	for _, name := range []string{"waits", "dry", "replaced",
		"deleted"} { // all were due before the last one that has an Event
		if events := b.events("ci", name); len(events) > 0 {
			b.Errorf("%s has the Event %q", name, events[0].Note)
		}
	}
	b.testBrokenUpdate(c, heard)
}

// testBrokenUpdate holds that what is broken may be updated, even where it could not
// be created any more.
func (b *bed) testBrokenUpdate(c client.Client, heard *heard) {
	b.reconfigure(onlyTwoRules("enforce"))
	if err := c.Create(b.Context(), b.parse(listenerTo("name: refused", "never"))); !apierrors.IsForbidden(err) {
		b.Fatalf("creating one gives %v", err)
	}
	broken := b.parse(listenerTo("name: broken", "never"))
	b.get(broken)
	if err := unstructured.SetNestedField(broken.Object, "runner", "spec", "serviceAccountName"); err != nil {
		b.Fatal(err)
	}
	heard.take()
	if err := c.Update(b.Context(), broken); err != nil {
		b.Fatalf("updating what was broken before gives %v", err)
	}
	if text := heard.text(); !strings.Contains(text, "(rule dangling-reference)") {
		b.Errorf("the warning is %q", text)
	}
	if err := c.Delete(b.Context(), broken); err != nil {
		b.Errorf("deleting it gives %v", err)
	}
	b.reconfigure(onlyTwoRules("warn"))
}

// excepted is a Task with an exception that does not hold.
func excepted(namespace, name, image string) string {
	return fmt.Sprintf(`
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: %s, namespace: %s, annotations: {except.tekgate.dev/nothing: for ever}}
spec: {steps: [{name: a, image: %s}]}
`, name, namespace, image)
}

func (b *bed) testAudit() {
	c, heard := b.warned()
	before := b.metric(`tekgate_validator_findings_total{kind="Task",mode="audit",rule="exception"}`)
	task := b.parse(excepted("ci", "audited", "golang:1"))
	if err := c.Create(b.Context(), task); err != nil {
		b.Fatal(err)
	}
	update := func(image string) {
		b.Helper()
		b.get(task)
		task.Object["spec"].(map[string]any)["steps"].([]any)[0].(map[string]any)["image"] = image
		if err := c.Update(b.Context(), task); err != nil {
			b.Fatal(err)
		}
	}
	update("golang:2")
	event := b.oneEvent("ci", "audited")
	if event.Reason != reasonFinding || !strings.HasPrefix(event.Note,
		"metadata.annotations[except.tekgate.dev/nothing]: the exception is from a rule") ||
		!strings.HasSuffix(event.Note, " (exception)") {
		b.Errorf("the Event is %+v", event)
	}
	update("golang:3")
	time.Sleep(laterSettle + time.Second)
	b.oneEvent("ci", "audited")
	if text := heard.text(); text != "" {
		b.Errorf("audit warns: %q", text)
	}
	if after := b.metric(
		`tekgate_validator_findings_total{kind="Task",mode="audit",rule="exception"}`); after-before != 3 {
		b.Errorf("%v findings were counted, want 3", after-before)
	}
}

func (b *bed) testEnforce() {
	err := b.client.Create(b.Context(), b.parse(excepted("strict", "refused", "golang")))
	const want = "admission webhook \"pipelines.validate.tekgate.dev\" denied the request: this Task was refused:\n" +
		"- metadata.annotations[except.tekgate.dev/nothing]: the exception is from a rule \"nothing\", which does not exist: remove it (rule exception)"
	if !apierrors.IsForbidden(err) || !strings.Contains(err.Error(), want) {
		b.Errorf("got %v, want %s", err, want)
	}
	// The dry runs of Tekton's controller, with what it has fetched, are judged too. It would
	// repeat what is forbidden.
	err = b.controller().Create(b.Context(), b.parse(excepted("strict", "fetched", "golang")), client.DryRunAll)
	if !apierrors.IsBadRequest(err) {
		b.Errorf("what the controller has fetched gives %v", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "strict"}}
	b.get(namespace)
	namespace.Labels["tekgate.dev/validate"] = "disabled"
	if err := b.client.Update(b.Context(), namespace); err != nil {
		b.Fatal(err)
	}
	b.eventually("the namespace has opted out", func() error {
		return b.client.Create(b.Context(), b.parse(excepted("strict", "free", "golang")), client.DryRunAll)
	})
}

// testNotAsked counts what the server is asked, for each thing that happens.
func (b *bed) testNotAsked() {
	asked := func(what string, want float64, do func() error) {
		b.Helper()
		before := b.requests("/validate")
		if err := do(); err != nil {
			b.Errorf("%s: %v", what, err)
		}
		if got := b.requests("/validate") - before; got != want {
			b.Errorf("%s: the server was asked %v times, want %v", what, got, want)
		}
	}
	run := func(name, owner string) *unstructured.Unstructured {
		o := b.parse(fmt.Sprintf(
			"{apiVersion: tekton.dev/v1, kind: TaskRun, metadata: {name: %s, namespace: ci}, spec: {taskSpec: {steps: [{image: a}]}}}", name))
		if owner != "" {
			o.SetOwnerReferences([]metav1.OwnerReference{{APIVersion: "tekton.dev/v1", Kind: owner, Name: "x",
				UID: "x"}})
		}
		return o
	}
	ctx, mine := b.Context(), run("mine", "")
	asked("a TaskRun", 1, func() error { return b.client.Create(ctx, mine) })
	asked("a TaskRun of the controller's, of a PipelineRun, which is judged at use", 1,
		func() error { return b.controller().Create(ctx, run("part", "PipelineRun")) })
	asked("a TaskRun of the controller's, of something else", 1,
		func() error { return b.controller().Create(ctx, run("other", "CronJob")) })
	asked("a TaskRun of somebody's who says it is a PipelineRun's", 1,
		func() error { return b.client.Create(ctx, run("posing", "PipelineRun")) })
	change := func(edit func()) func() error {
		return func() error {
			b.get(mine)
			edit()
			return b.client.Update(ctx, mine)
		}
	}
	note := func(key, value string) func() error {
		return change(func() { mine.SetAnnotations(map[string]string{key: value}) })
	}
	asked("a label", 0, change(func() { mine.SetLabels(map[string]string{"a": "b"}) }))
	asked("an annotation", 0, note("a", "b"))
	asked("an exception", 1, note("except.tekgate.dev/exception", "2999-01-01 always"))
	asked("another exception", 1, note("except.tekgate.dev/exception", "2999-01-02 always"))
	asked("a finalizer", 0, change(func() { mine.SetFinalizers([]string{"example.com/f"}) }))
	asked("an exception that goes", 1, change(func() { mine.SetAnnotations(nil) }))
	asked("a spec", 1, change(func() { mine.Object["spec"].(map[string]any)["timeout"] = "1h" }))
	asked("a status", 0, func() error {
		b.get(mine)
		mine.Object["status"] = map[string]any{"podName": "p"}
		return b.client.Status().Update(ctx, mine)
	})
	asked("a deletion", 0, func() error { return b.client.Delete(ctx, mine) })
	asked("a spec of what is being deleted, which a finalizer keeps", 1,
		change(func() { mine.Object["spec"].(map[string]any)["timeout"] = "2h" }))
	asked("the last finalizer", 0, change(func() { mine.SetFinalizers(nil) }))
	asked("a cluster's object", 1, func() error {
		return b.client.Create(ctx, b.parse(
			"{apiVersion: triggers.tekton.dev/v1beta1, kind: ClusterTriggerBinding, metadata: {name: c}, spec: {params: []}}"))
	})
}

// TestLaterIsBounded holds that a flood is dropped and counted, that an object waits
// once, and that no visit comes before its time.
func TestLaterIsBounded(t *testing.T) {
	dropped := 0
	l := newLater(nil, nil, logr.Discard())
	l.judge = func() *validator.Validator { return &validator.Validator{Config: validator.Default()} }
	l.dropped = func() { dropped++ }
	add := func(uid string, others bool) {
		l.add(validator.Subject{Fields: map[string]any{"metadata": map[string]any{"name": "n", "uid": uid}}},
			[]validator.Finding{{Rule: "r", Others: others}, {Rule: "s", Others: others}})
	}
	for i := range laterMost + 10 {
		add(fmt.Sprint(i), false)
		add(fmt.Sprint(i), false)
	}
	for i := range 7 {
		add(fmt.Sprint(i), true)
	}
	if len(l.waiting) != laterMost+7 || dropped != 20 {
		t.Errorf("%d wait, %d were dropped", len(l.waiting), dropped)
	}
	l.add(validator.Subject{Fields: map[string]any{"metadata": map[string]any{"generateName": "n-"}}},
		[]validator.Finding{{Rule: "r"}})
	if dropped != 21 {
		t.Error("an object without a name is not dropped")
	}
	if _, wait := l.next(time.Now()); wait <= 0 || wait > laterSettle {
		t.Errorf("the first visit is in %s", wait)
	}
	if v, wait := l.next(time.Now().Add(laterSettle)); wait != 0 || v.grace {
		t.Errorf("got %+v, %s", v, wait)
	}
	soon := time.Now().Add(laterSettle)
	for range laterMost - 1 {
		l.next(soon)
	}
	if _, wait := l.next(time.Now()); wait < 9*time.Minute || wait > 10*time.Minute {
		t.Errorf("the first visit after the grace is in %s", wait)
	}
	for i := range laterTold + 1 {
		l.remember(told{"u", fmt.Sprint(i)})
	}
	if len(l.told) > laterTold {
		t.Errorf("%d Events are remembered", len(l.told))
	}
}

// TestNote holds that an Event's note fits.
func TestNote(t *testing.T) {
	f := validator.Finding{Rule: "r", Path: "spec", Message: strings.Repeat("ä", 2000)}
	if text := note([]validator.Finding{f, f, f}); len(text) > 1000 ||
		!strings.HasSuffix(text, "…"+" (r), and 2 more like it") || strings.Contains(text, "\uFFFD") {
		t.Errorf("%d bytes: %s", len(text), text)
	}
	v := visit{name: strings.Repeat("a", 199) + ".b" + strings.Repeat("c", 40)}
	if name := eventName(v, "r"); len(name) > 253 || strings.Contains(name, "..") {
		t.Errorf("the name is %s", name)
	}
}

// TestEveryKindIsReached holds the manifests to the rules: whatever a rule is for is
// sent to this server, in every version, and may be read again.
func TestEveryKindIsReached(t *testing.T) {
	sent, read := map[string]bool{}, map[string]bool{}
	collect := func(file, kind, list string, each func(rule map[string]any)) {
		t.Helper()
		text, err := os.ReadFile("../../manifests/tekgate/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for document := range strings.SplitSeq(string(text), "\n---\n") {
			var o unstructured.Unstructured
			if err := yaml.Unmarshal([]byte(document), &o.Object); err != nil {
				t.Fatal(err)
			}
			items, _, _ := unstructured.NestedSlice(o.Object, list)
			for _, item := range items {
				if o.GetKind() == kind {
					each(item.(map[string]any))
				}
			}
		}
	}
	product := func(into map[string]bool, lists ...any) {
		names := []string{""}
		for _, list := range lists {
			var longer []string
			for _, name := range names {
				for _, item := range list.([]any) {
					longer = append(longer, name+"/"+item.(string))
				}
			}
			names = longer
		}
		for _, name := range names {
			into[name] = true
		}
	}
	collect("500-webhooks.yaml", "ValidatingWebhookConfiguration", "webhooks", func(hook map[string]any) {
		for _, rule := range hook["rules"].([]any) {
			r := rule.(map[string]any)
			product(sent, r["apiGroups"], r["apiVersions"], r["resources"], r["operations"])
		}
	})
	collect("200-webhook-rbac.yaml", "ClusterRole", "rules", func(rule map[string]any) {
		product(read, rule["apiGroups"], rule["resources"], rule["verbs"])
	})
	for _, rule := range validator.Rules {
		if rule.Files {
			continue
		}
		for _, kind := range rule.Kinds {
			plural := strings.ToLower(kind.Kind) + "s"
			for _, operation := range []string{"CREATE", "UPDATE"} {
				if !sent[strings.Join([]string{"", kind.Group, kind.Version, plural, operation}, "/")] {
					t.Errorf("%s: no webhook is asked about %s of %s", rule.ID, operation, kind)
				}
			}
			if !read[strings.Join([]string{"", kind.Group, plural, "get"}, "/")] {
				t.Errorf("%s: the server may not read %s", rule.ID, kind)
			}
		}
	}
}
