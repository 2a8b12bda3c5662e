package mutator_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// storing is a mutator that changes what is stored, as far as edit does not say otherwise.
func storing(t *testing.T, edit func(*mutator.LocalTasks)) *mutator.Mutator {
	t.Helper()
	config := file{Mutator: mutator.Default(), Mirror: image.Mirror{Registry: "hub.example.com", Layout: "host-path"}}
	config.Mutator.ImageMirror.Enabled = true
	config.Mutator.LocalTasks.Mode = mutator.TasksStored
	if edit != nil {
		edit(&config.Mutator.LocalTasks)
	}
	return newMutator(t, t.Name(), config, oneAccount)
}

// twoSteps is a Task as its author writes it.
const twoSteps = `
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build, labels: {team: a}}
spec:
  steps:
  - {name: test, image: "golang:1.26", script: go test}
  - {name: build, image: "gcr.io/kaniko-project/executor:v1.24.0"}
`

// store sends an object to be stored in place of another, and returns what is stored.
func store(t *testing.T, m *mutator.Mutator, old, fresh map[string]any) (map[string]any, admission.Response) {
	t.Helper()
	raw, err := json.Marshal(fresh)
	if err != nil {
		t.Fatal(err)
	}
	kind := kindOf(t, raw)
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Kind: metav1.GroupVersionKind(kind), Namespace: namespace, Operation: admissionv1.Create,
		Object: runtime.RawExtension{Raw: raw},
	}}
	if old != nil {
		req.Operation = admissionv1.Update
		if req.OldObject.Raw, err = json.Marshal(old); err != nil {
			t.Fatal(err)
		}
	}
	res := m.Handle(t.Context(), req)
	if !res.Allowed {
		t.Fatalf("refused: %v", res.Result)
	}
	patched := apply(t, raw, mutator.Outcome{Patch: res.Patch})
	return decodeNumbers(t, patched).(map[string]any), res
}

func written(t *testing.T, text string) map[string]any {
	t.Helper()
	return decodeNumbers(t, golden.JSON(t, []byte(text))).(map[string]any)
}

// sent is a manifest as it is sent by a client that applies it: with the annotations of the
// stored object that it does not know.
func sent(t *testing.T, live map[string]any, text string) map[string]any {
	t.Helper()
	object := written(t, text)
	metadata := object["metadata"].(map[string]any)
	merged := map[string]any{}
	for _, from := range []map[string]any{live["metadata"].(map[string]any), metadata} {
		notes, _ := from["annotations"].(map[string]any)
		for key, value := range notes {
			merged[key] = value
		}
	}
	metadata["annotations"] = merged
	return object
}

const (
	originalsOfBoth = `{"gcr.io/kaniko-project/executor:v1.24.0":"hub.example.com/gcr.io/kaniko-project/executor:v1.24.0",` +
		`"golang:1.26":"hub.example.com/docker.io/library/golang:1.26"}`
)

func TestStore(t *testing.T) {
	m := storing(t, nil)
	live, res := store(t, m, nil, written(t, twoSteps))
	if annotation(live, wellknown.OriginalImagesKey) != originalsOfBoth ||
		annotation(live, wellknown.MutatedKey) != `{"rules":["docker-config","image-mirror","kaniko"],"config":"`+m.Hash()+`"}` ||
		!strings.Contains(string(res.Patch), "DOCKER_CONFIG") || len(res.AuditAnnotations) != 3 {
		t.Fatalf("stored is %v", live)
	}
	for name, fresh := range map[string]map[string]any{
		"the manifest, applied again":  sent(t, live, twoSteps),
		"the manifest in its place":    written(t, twoSteps),
		"what is stored":               live,
		"a step in the stored wording": sent(t, live, strings.Replace(twoSteps, `"golang:1.26"`, "hub.example.com/docker.io/library/golang:1.26", 1)),
	} {
		if again, _ := store(t, m, live, fresh); !reflect.DeepEqual(again, live) {
			t.Errorf("%s: stored is %v, want %v", name, again, live)
		}
	}
	label := sent(t, live, twoSteps)
	label["spec"] = live["spec"]
	label["metadata"].(map[string]any)["labels"] = map[string]any{"new": "yes"}
	if _, res := store(t, m, live, label); len(res.Patch) > 0 {
		t.Errorf("an update of metadata alone gets the patch %s", res.Patch)
	}
}

// TestStoreKeepsTheRecordRight changes images of a stored Task.
func TestStoreKeepsTheRecordRight(t *testing.T) {
	m := storing(t, nil)
	live, _ := store(t, m, nil, written(t, twoSteps))
	other := strings.Replace(twoSteps, "golang:1.26", "golang:1.27", 1)
	for name, tt := range map[string]struct{ fresh, want string }{
		"another image": {other, strings.ReplaceAll(originalsOfBoth, "golang:1.26", "golang:1.27")},
		"an image of the author's on the mirror": {
			strings.Replace(twoSteps, `"golang:1.26"`, "hub.example.com/docker.io/library/go:1", 1),
			`{"gcr.io/kaniko-project/executor:v1.24.0":"hub.example.com/gcr.io/kaniko-project/executor:v1.24.0"}`},
		"none that is mirrored": {strings.NewReplacer(`"golang:1.26"`, "hub.example.com/docker.io/library/go:1",
			`"gcr.io/kaniko-project/executor:v1.24.0"`, "hub.example.com/docker.io/library/go:1").Replace(twoSteps), ""},
	} {
		again, _ := store(t, m, live, sent(t, live, tt.fresh))
		if got := annotation(again, wellknown.OriginalImagesKey); got != tt.want {
			t.Errorf("%s: the originals are %s, want %s", name, got, tt.want)
		}
	}
	// Of two, the one that is left keeps its record although nothing is changed by then.
	live["spec"].(map[string]any)["steps"] = live["spec"].(map[string]any)["steps"].([]any)[:1]
	again, res := store(t, m, live, live)
	if got := annotation(again, wellknown.OriginalImagesKey); len(res.AuditAnnotations) > 0 ||
		got != `{"golang:1.26":"hub.example.com/docker.io/library/golang:1.26"}` {
		t.Errorf("a step less: the originals are %s, and the rules did %v", got, res.AuditAnnotations)
	}
}

// TestStoreWithdraws signs a Task that was changed, or lets it opt out: what its author
// applies is what is stored.
func TestStoreWithdraws(t *testing.T) {
	m := storing(t, nil)
	live, _ := store(t, m, nil, written(t, twoSteps))
	for name, note := range map[string]string{
		"signed": "tekton.dev/signature: MEUC", "opted out": "tekgate.dev/mutate: disabled",
	} {
		text := strings.Replace(twoSteps, "name: build,", "name: build, annotations: {"+note+"},", 1)
		if created, res := store(t, m, nil, written(t, text)); len(res.Patch) > 0 {
			t.Errorf("%s: created is %v", name, created)
		}
		if again, _ := store(t, m, live, sent(t, live, text)); !reflect.DeepEqual(again, written(t, text)) {
			t.Errorf("%s: stored is %v", name, again)
		}
		asStored := sent(t, live, text)
		asStored["spec"] = live["spec"]
		if _, res := store(t, m, live, asStored); len(res.Patch) > 0 {
			t.Errorf("%s as it was stored: the patch is %s", name, res.Patch)
		}
		own := sent(t, live, text)
		own["metadata"].(map[string]any)["annotations"].(map[string]any)[wellknown.MutatedKey] = "{}"
		if _, res := store(t, m, live, own); len(res.Patch) > 0 {
			t.Errorf("%s with a record of its own: the patch is %s", name, res.Patch)
		}
	}
}

// TestStoreKinds changes everything that runs refer to, where it is selected.
func TestStoreKinds(t *testing.T) {
	const (
		pipeline = "{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: p}, spec: {tasks: [{name: a, taskSpec: {steps: [{image: golang}]}}]}}"
		action   = "{apiVersion: tekton.dev/v1beta1, kind: StepAction, metadata: {name: s}, spec: {image: golang}}"
		skipping = "{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: t, annotations: {tekgate.dev/skip-rules: image-mirror}}, spec: {steps: [{image: golang}]}}"
	)
	match := func(m mutator.Match) func(*mutator.LocalTasks) {
		return func(l *mutator.LocalTasks) { l.Only = &m }
	}
	for name, tt := range map[string]struct {
		text string
		edit func(*mutator.LocalTasks)
		want bool
	}{
		"Pipeline":          {pipeline, nil, true},
		"StepAction":        {action, nil, true},
		"v1beta1":           {strings.Replace(twoSteps, "/v1", "/v1beta1", 1), nil, true},
		"a rule is skipped": {skipping, nil, false},
		"this namespace":    {twoSteps, match(mutator.Match{Namespaces: []string{"c*"}}), true},
		"other namespaces":  {twoSteps, match(mutator.Match{Namespaces: []string{"team-*"}}), false},
		"these labels": {twoSteps,
			match(mutator.Match{Labels: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "a"}}}), true},
		"other labels": {twoSteps,
			match(mutator.Match{Labels: &metav1.LabelSelector{MatchLabels: map[string]string{"team": "b"}}}), false},
		"excepted": {twoSteps,
			func(l *mutator.LocalTasks) { l.Except = &mutator.Match{Namespaces: []string{namespace}} }, false},
		"switched off": {twoSteps, func(l *mutator.LocalTasks) { l.Disabled = true }, false},
		"mode resolve": {twoSteps, func(l *mutator.LocalTasks) { l.Mode = mutator.TasksResolved }, false},
		"no mode":      {twoSteps, func(l *mutator.LocalTasks) { l.Mode = "" }, false},
	} {
		object, _ := store(t, storing(t, tt.edit), nil, written(t, tt.text))
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		recorded := annotation(object, wellknown.MutatedKey) != "" &&
			annotation(object, wellknown.OriginalImagesKey) != ""
		if got := strings.Contains(string(text), "hub.example.com"); got != tt.want || recorded != tt.want {
			t.Errorf("%s: stored is %s", name, text)
		}
	}
}

// TestStoreInANamespace lets a Namespace choose the mode by settings of its own.
func TestStoreInANamespace(t *testing.T) {
	there := oneAccount
	there.world.Namespace.Annotations = map[string]string{wellknown.MutatorKey: "localTasks: {mode: stored}"}
	m := newMutator(t, t.Name(), file{Mutator: mutator.Default()}, there)
	if object, _ := store(t, m, nil, written(t, twoSteps)); annotation(object, wellknown.MutatedKey) == "" {
		t.Errorf("stored is %v", object)
	}
}

func TestLocalTasksMode(t *testing.T) {
	config := mutator.Default()
	config.LocalTasks.Mode = "store"
	err := config.Validate()
	if err == nil || err.Error() != `localTasks.mode: "store" is not a mode: did you mean "stored"?` {
		t.Errorf("got %v", err)
	}
	config.LocalTasks.Mode = "everything"
	err = config.Validate()
	if err == nil || err.Error() != `localTasks.mode: "everything" is not a mode: write resolve, stored or pod-template` {
		t.Errorf("got %v", err)
	}
}
