package hook

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// The interceptor judges a glob of branches, since it is its param.
func TestScaffoldBranches(t *testing.T) {
	for _, branch := range []string{"main", "feature/#1", "开发", "release/*", "{main,release/**}", "[a-c]x", `a\{b`,
		"$(x)", "a+b@c", `"`, "a'b", "null", "[^a]*", "007"} {
		_, named, _ := scaffolded(t, "--branch="+branch)
		triggers, _, _ := unstructured.NestedSlice(named["EventListener/ci/app"], "spec", "triggers")
		interceptors, _, _ := unstructured.NestedSlice(triggers[0].(map[string]any), "interceptors")
		params, _, _ := unstructured.NestedSlice(interceptors[0].(map[string]any), "params")
		var got []any
		for _, p := range params {
			if p := p.(map[string]any); p["name"] == "branches" {
				got = p["value"].([]any)
			}
		}
		if len(got) != 1 || got[0] != branch {
			t.Errorf("%s: the param is %v", branch, got)
		}
	}
	for _, branch := range []string{"{a", "[a", "!main", "a b", "a\nb", "a\x7fb", "a:b", `a\`,
		strings.Repeat("a", 300)} {
		_, _, err := hookTool(t, "scaffold", "--repo=https://gitee.com/team/app", "--image=app", "--branch="+branch)
		if err == nil || !strings.Contains(err.Error(), "--branch") {
			t.Errorf("%q: error %v", branch, err)
		}
	}
}
