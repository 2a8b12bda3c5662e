package migrate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/internal/document"
)

// TestLive holds that Tekton's own webhooks accept what the conversion's cases become.
func TestLive(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := cluster.StartEmpty(t)
	tekton.Start(t, c, tekton.Options{})
	tekton.Start(t, c, tekton.Options{Release: tekton.Triggers})
	k, err := client.New(c.Config, client.Options{Scheme: runtime.NewScheme()})
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("../../../../internal/migrate/testdata/*/input.yaml")
	if err != nil || len(files) < 15 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, space := range []string{"tekton-tasks", "ci"} {
		one := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "Namespace",
			"metadata": map[string]any{"name": space}}}
		if err := k.Create(t.Context(), one); err != nil {
			t.Fatal(err)
		}
	}
	created := 0
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(filepath.Dir(file), "want.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		documents, _ := document.Parse(file, text)
		for _, d := range documents {
			objects, err := d.Objects()
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				if strings.Contains(string(d.Text), "not migrated:") || !migrated(o.Fields) {
					continue
				}
				created++
				create(t, k, o)
			}
		}
	}
	if created < 40 {
		t.Errorf("only %d objects were tried", created)
	}
}

// migrated reports whether an object is one of Tekton's that is served.
func migrated(fields map[string]any) bool {
	version, _ := fields["apiVersion"].(string)
	return strings.Contains(version, "tekton.dev/") && fields["kind"] != "PipelineResource"
}

// create asks the API server whether it would create an object.
func create(t *testing.T, k client.Client, o *document.Object) {
	t.Helper()
	one := &unstructured.Unstructured{}
	if err := one.UnmarshalJSON(o.Raw); err != nil {
		t.Fatal(err)
	}
	mapping, err := k.RESTMapper().RESTMapping(one.GroupVersionKind().GroupKind(), one.GroupVersionKind().Version)
	if err != nil {
		t.Errorf("%s: %v", o.Where(), err)
		return
	}
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace && one.GetNamespace() == "" {
		one.SetNamespace("default")
	}
	if err := k.Create(t.Context(), one, client.DryRunAll, client.FieldValidation("Strict")); err != nil {
		t.Errorf("%s: %v", o.Where(), err)
	}
}
