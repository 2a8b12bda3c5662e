package lookup_test

import (
	"context"
	"errors"
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

func files(t *testing.T, texts ...string) lookup.Files {
	t.Helper()
	f := lookup.Files{}
	for _, text := range texts {
		var fields map[string]any
		if err := yaml.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatal(err)
		}
		f.Add(fields, "here")
	}
	return f
}

const (
	account = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, annotations: {iam.gke.io/gcp-service-account: x}}
secrets: [{name: a}, {name: b}]
imagePullSecrets: [{name: p}]
`
	namespace = `
apiVersion: v1
kind: Namespace
metadata: {name: here, labels: {tekgate.dev/mutate: disabled}, annotations: {a: b}}
`
	flags = `
apiVersion: v1
kind: ConfigMap
metadata: {name: feature-flags, namespace: tekton-pipelines}
data: {disable-creds-init: "true"}
`
	task = `
apiVersion: tekton.dev/v1beta1
kind: Task
metadata: {name: build, namespace: there}
spec: {steps: []}
`
)

func TestCluster(t *testing.T) {
	ctx := t.Context()
	c := lookup.New(files(t, account, namespace, flags, task), lookup.Options{Tekton: "tekton-pipelines"})

	got, err := c.ServiceAccount(ctx, "here", "builder")
	want := &mutator.Account{Secrets: []string{"a", "b"}, PullSecrets: []string{"p"},
		Annotations: map[string]string{"iam.gke.io/gcp-service-account": "x"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v %v", got, err)
	}
	if got, err := c.ServiceAccount(ctx, "there", "builder"); got != nil || err != nil {
		t.Errorf("a ServiceAccount of another namespace: got %+v %v", got, err)
	}
	if ns, err := c.Namespace(ctx, "here"); err != nil || ns == nil ||
		ns.Labels[wellknown.MutateKey] != wellknown.Disabled || ns.Annotations["a"] != "b" {
		t.Errorf("got %+v %v", ns, err)
	}
	if ns, err := c.Namespace(ctx, "there"); ns != nil || err != nil {
		t.Errorf("got %+v %v", ns, err)
	}
	if name, err := c.WorkloadIdentity(ctx, "here",
		[]string{"x", "iam.gke.io/gcp-service-account"}); name != "builder" || err != nil {
		t.Errorf("got %q %v", name, err)
	}
	if name, err := c.WorkloadIdentity(ctx, "there", []string{"iam.gke.io/gcp-service-account"}); name != "" ||
		err != nil {
		t.Errorf("got %q %v", name, err)
	}
	if found, err := c.Task(ctx, "there", "build"); err != nil || found["kind"] != "Task" {
		t.Errorf("got %v %v", found, err)
	}
	if found, err := c.Task(ctx, "here", "build"); err != nil || found != nil {
		t.Errorf("got %v %v", found, err)
	}
	if !c.Tekton(ctx).CredsInitDisabled {
		t.Error("the flag was not read")
	}
}

func TestAssume(t *testing.T) {
	c := lookup.New(files(t, account), lookup.Options{Assume: true})
	if got, _ := c.ServiceAccount(t.Context(), "here", "other"); got == nil || !got.Assumed {
		t.Errorf("got %+v", got)
	}
	if got, _ := c.ServiceAccount(t.Context(), "here", "builder"); got == nil || got.Assumed {
		t.Errorf("one that is known is taken as it is: got %+v", got)
	}
}

// broken are objects that cannot be read.
type broken struct{ asked *int }

var errDown = errors.New("reading: the server is down")

func (b broken) Get(context.Context, schema.GroupKind, string, string) (*unstructured.Unstructured, error) {
	*b.asked++
	return nil, errDown
}

func (b broken) List(context.Context, schema.GroupKind, string) ([]unstructured.Unstructured, error) {
	*b.asked++
	return nil, errDown
}

// TestProblem holds that each thing is asked for once, and that what went wrong
// is said once.
func TestProblem(t *testing.T) {
	asked, said := 0, 0
	c := lookup.New(lookup.Layers{files(t, account), broken{&asked}},
		lookup.Options{Assume: true, Problem: func(error) { said++ }})
	for range 3 {
		if got, err := c.ServiceAccount(t.Context(), "here", "builder"); got == nil || err != nil {
			t.Errorf("what a file has needs no server: got %v %v", got, err)
		}
		if got, err := c.ServiceAccount(t.Context(), "here", "other"); got != nil || err == nil {
			t.Errorf("what cannot be read is not assumed: got %v %v", got, err)
		}
		if _, err := c.WorkloadIdentity(t.Context(), "here", nil); err == nil {
			t.Error("no error")
		}
	}
	if asked != 2 || said != 1 {
		t.Errorf("asked %d times and said so %d times", asked, said)
	}
}

// TestEntrypoints holds that a ConfigMap that is wrong counts as none, and is reported.
func TestEntrypoints(t *testing.T) {
	ref, err := image.Parse("registry.example.com/hub/alpine/git:2.45.2")
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]struct {
		found    bool
		problems int
	}{
		`{"apiVersion":"tekgate.dev/v1alpha1","kind":"Entrypoints","images":[{"image":"registry.example.com/hub/alpine/git:2.45.2","digest":"","programs":[{"platforms":["linux/amd64"],"entrypoint":["git"]}]}]}`: {found: true},
		`{}`: {problems: 1},
		``:   {},
	} {
		cm := "{apiVersion: v1, kind: ConfigMap, metadata: {name: tekgate-entrypoints, namespace: tekgate}, data: {entrypoints.json: '" + text + "'}}"
		problems := 0
		c := lookup.New(files(t, cm), lookup.Options{Problem: func(error) { problems++ }})
		for range 2 {
			if _, found := c.Entrypoints(t.Context()).Find(ref); found != want.found {
				t.Errorf("%s: found %v, want %v", text, found, want.found)
			}
		}
		if problems != want.problems {
			t.Errorf("%s: %d problems, want %d", text, problems, want.problems)
		}
	}
}
