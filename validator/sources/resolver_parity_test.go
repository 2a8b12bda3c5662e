package sources_test

import (
	"context"
	"fmt"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/apis/resolution/v1beta1"
	"github.com/tektoncd/pipeline/pkg/remoteresolution/resolver/hub"
	"github.com/tektoncd/pipeline/pkg/resolution/resolver/cluster"
	"github.com/tektoncd/pipeline/pkg/resolution/resolver/framework"
	"github.com/tektoncd/pipeline/pkg/resolution/resolver/http"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/sources"
)

// absent stands for a param that is not given.
const absent = "absent"

// resolverCases are the values of each param, every combination of which is tried.
var resolverCases = map[string]struct {
	config   map[string]string // of the resolver, such as its ConfigMap has it
	validate func(ctx context.Context, params []v1.Param) error
	params   []string
	values   [][]any
}{
	"http": {nil, http.ValidateParams, []string{"url", "http-username", "http-password-secret"}, [][]any{
		{absent, "", "https://example.com/t", "http://example.com", "ftp://example.com", "example.com", []any{"https://example.com"}},
		{absent, "", "me"}, {absent, "", "secret"}}},
	"cluster": {map[string]string{"default-kind": "task", "default-namespace": "ci"}, cluster.ValidateParams,
		[]string{"kind", "name", "namespace"}, [][]any{
			{absent, "", "task", "Task", "pipeline", "stepaction", "deployment", []any{"task"}},
			{absent, "", "t"}, {absent, "", " ", "ci"}}},
	"hub": {map[string]string{"default-kind": "task", "default-type": "artifact", "default-tekton-hub-catalog": "Tekton",
		"default-artifact-hub-task-catalog": "t", "default-artifact-hub-pipeline-catalog": "p"}, validateHub,
		[]string{"name", "version", "kind", "type", "url"}, [][]any{
			{absent, "git-clone"}, {absent, "0.9"}, {absent, "", "task", "Task", "pipeline"},
			{absent, "", "artifact", "artifacthub"},
			{absent, "", "https://hub.example.com", "hub.example.com", "ftp://hub.example.com"}}},
}

func validateHub(ctx context.Context, params []v1.Param) error {
	return (&hub.Resolver{ArtifactHubURL: "https://hub.example.com"}).Validate(ctx,
		&v1beta1.ResolutionRequestSpec{Params: params})
}

// TestResolversAgree holds that the rules find an error exactly where Tekton's own resolver refuses the params,
// for every combination of values. An array is an error though it reads as empty, which some params may be.
func TestResolversAgree(t *testing.T) {
	for resolver, c := range resolverCases {
		refused, taken := 0, 0
		for _, values := range combinations(c.values) {
			var given []v1.Param
			var written []any
			array := false
			for i, value := range values {
				if value == absent {
					continue
				}
				written = append(written, map[string]any{"name": c.params[i], "value": value})
				text, is := value.(string)
				array = array || !is
				given = append(given, v1.Param{Name: c.params[i], Value: v1.ParamValue{StringVal: text}})
			}
			err := c.validate(framework.InjectResolverConfigToContext(t.Context(), c.config), given)
			found := errorsIn(t, resolver, written)
			if want := err != nil || array; want != (len(found) > 0) {
				t.Errorf("%s with %v: the resolver says %v, the rules %q", resolver, written, err, found)
			}
			if err != nil {
				refused++
			} else {
				taken++
			}
		}
		if refused < 10 || taken < 4 {
			t.Errorf("%s: the resolver refused %d and took %d, so this proves little", resolver, refused, taken)
		}
	}
}

// combinations returns each choice of one value per param.
func combinations(values [][]any) [][]any {
	all := [][]any{nil}
	for _, some := range values {
		var longer [][]any
		for _, begun := range all {
			for _, value := range some {
				longer = append(longer, append(append([]any{}, begun...), value))
			}
		}
		all = longer
	}
	return all
}

// errorsIn returns the errors that the rules about params find in a reference.
func errorsIn(t *testing.T, resolver string, params []any) []string {
	t.Helper()
	kind := schema.GroupVersionKind{Group: rule.TektonGroup, Version: "v1", Kind: "TaskRun"}
	pass := &rule.Pass{Kind: kind, Cluster: rule.Nowhere{}, Object: map[string]any{"spec": map[string]any{
		"taskRef": map[string]any{"resolver": resolver, "params": params}}}}
	var found []string
	for _, r := range append(append([]*rule.Rule{}, sources.TrustRules...), sources.PatchRules...) {
		if r.ID != "resolver-params" && r.ID != "resolver-values" && r.ID != "http-resolver-url" {
			continue
		}
		findings, _, err := pass.Judge(t.Context(), r, rule.Warn)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findings {
			if f.Severity == rule.Error {
				found = append(found, fmt.Sprint(f.Path, ": ", f.Message))
			}
		}
	}
	return found
}
