package upgrade

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

// crd returns a definition of Tekton's. The versions are separated by spaces, and the one that
// is stored ends with an asterisk.
func crd(plural, versions string, stored ...string) *unstructured.Unstructured {
	var all []any
	for _, v := range strings.Fields(versions) {
		all = append(all, map[string]any{"name": strings.TrimSuffix(v, "*"), "served": true,
			"storage": strings.HasSuffix(v, "*")})
	}
	obj := &unstructured.Unstructured{Object: map[string]any{
		"spec": map[string]any{"group": "tekton.dev", "versions": all, "names": map[string]any{"kind": plural}},
	}}
	obj.SetKind("CustomResourceDefinition")
	obj.SetName(plural + ".tekton.dev")
	obj.SetLabels(map[string]string{"app.kubernetes.io/part-of": "tekton-pipelines"})
	if len(stored) > 0 {
		_ = unstructured.SetNestedStringSlice(obj.Object, stored, "status", "storedVersions")
	}
	return obj
}

func flags(data map[string]any) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{Object: map[string]any{"data": data}}
	obj.SetKind("ConfigMap")
	obj.SetName(FeatureFlags)
	return obj
}

func stop(name string, objects ...*unstructured.Unstructured) Stop {
	return Stop{Line: release.Line{Name: name, Pipeline: name + ".0", Triggers: "v0.30.0"}, Objects: objects}
}

func needs(kubernetes string) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "c"},
		"spec": map[string]any{"template": map[string]any{"spec": map[string]any{"containers": []any{map[string]any{
			"name": "c", "env": []any{map[string]any{"name": "KUBERNETES_MIN_VERSION", "value": kubernetes}}}}}}},
	}}
}

// made are lines of which each drops what the one before stored.
var made = []Stop{
	stop("v2.9", crd("tasks", "v3* v4"), needs("v1.40.0")),
	stop("v2.6", crd("tasks", "v2 v3*"), flags(map[string]any{"a": "1"})),
	stop("v2.3", crd("tasks", "v1 v2*")),
	stop("v2.0", crd("tasks", "v1*")),
}

func TestFind(t *testing.T) {
	at := func(version string, definitions ...*unstructured.Unstructured) Facts {
		return Facts{Running: installer.Versions{Pipeline: version}, Server: "v1.40.1-gke.1", Definitions: definitions}
	}
	older := at("v2.6.0")
	older.Server = "v1.39.9"
	rolled := at("v2.6.0")
	rolled.Earlier = "v2.0.7"
	flagged := at("v2.3.0")
	flagged.FeatureFlags = map[string]string{"a": "2", "b": "3", "_example": "x"}
	tests := []struct {
		name  string
		facts Facts
		to    string
		via   string
		want  string   // the lines of the hops
		says  []string // in the reasons and notes, or in the error
	}{
		{"no objects stored", at("v2.0.3"), "v2.9", "", "v2.9",
			[]string{"(0 definitions compared)", "Kubernetes 1.40.0 and newer", "--via v2.3,v2.6",
				"runs in flight go on"}},
		{"the stored version is still there", at("v2.6.0", crd("tasks", "v2 v3*")), "v2.9", "", "v2.9",
			[]string{"(1 definitions compared)"}},
		{"a patch release", at("v2.6.0-rc1"), "v2.6", "", "v2.6", nil},
		{"the same version", at("v2.6.0"), "v2.6", "", "v2.6", nil},
		{"an old stored version can be migrated", at("v2.6.0", crd("tasks", "v2 v3*", "v2", "v3")), "v2.9", "",
			"v2.9", nil},
		{"one hop in between", at("v2.3.0", crd("tasks", "v1 v2*")), "v2.9", "", "v2.6 v2.9",
			[]string{"needed before v2.9.0, since tasks.tekton.dev stores its objects as v2, which v2.9.0 (v3, v4) does not have"}},
		{"two hops in between", at("v2.0.0", crd("tasks", "v1*")), "v2.9", "", "v2.3 v2.6 v2.9", nil},
		{"two hops, to an older line", at("v2.0.0", crd("tasks", "v1*")), "v2.6", "", "v2.3 v2.6", nil},
		{"no way", at("v1.0.0", crd("tasks", "v0*")), "v2.9", "", "",
			[]string{"no way leads to v2.9", "stores its objects as v0"}},
		{"old Kubernetes", older, "v2.9", "", "", []string{"does not start below Kubernetes 1.40.0", "runs 1.39.9"}},
		{"back", rolled, "v2.3", "", "", []string{"v2.6.0 is installed", "`tekgate rollback`", "v2.0.7"}},
		{"back without a record", at("v2.6.0"), "v2.3", "", "", []string{"--force"}},
		{"nothing installed", at(""), "v2.3", "", "", []string{"tekgate install --version v2.3"}},
		{"a build of one's own", at("devel"), "v2.3", "", "v2.3", nil},
		{"no such line", at("v2.0.0"), "v7", "", "", []string{"v7"}},
		{"by way of", at("v2.0.0"), "v2.9", "v2.3 v2.6", "v2.3 v2.6 v2.9", []string{"with --via"}},
		{"by way of too little", at("v2.0.0", crd("tasks", "v1*")), "v2.9", "v2.6", "", []string{"as v1"}},
		{"by way of what is behind", at("v2.3.0"), "v2.9", "v2.0", "", []string{"is not between", "choose from v2.6"}},
		{"the wrong way round", at("v2.0.0"), "v2.9", "v2.6 v2.3", "", []string{"after a newer line"}},
		{"an old kind", at("v2.0.0", crd("clustertasks", "v1*")), "v2.9", "", "v2.9",
			[]string{"clustertasks.tekton.dev has no controller in v2.9.0"}},
		{"an old status", at("v0.44.2"), "v2.9", "", "v2.9", []string{"v0.44.2 has started", "wait"}},
		{"flags", flagged, "v2.6", "", "v2.6", []string{`no feature flag b, which the cluster sets to "3"`}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			path, err := Find(tt.facts, made, tt.to, strings.Fields(tt.via))
			var lines []string
			text := fmt.Sprint(err)
			if err == nil {
				text = strings.Join(path.Notes, "\n")
				for _, hop := range path.Hops {
					lines = append(lines, hop.Line)
					text += "\n" + strings.Join(hop.Reasons, "\n")
				}
			}
			if got := strings.Join(lines, " "); got != tt.want {
				t.Errorf("hops %q, want %q (%v)", got, tt.want, err)
			}
			for _, want := range tt.says {
				if !strings.Contains(text, want) {
					t.Errorf("%q lacks %q", text, want)
				}
			}
			if strings.Contains(text, "feature flag a") || strings.Contains(text, "_example") {
				t.Errorf("%q names a flag that the release has", text)
			}
		})
	}
}

// lines returns the lines that are compiled in.
func lines(t *testing.T) []Stop {
	t.Helper()
	var stops []Stop
	for _, l := range release.Lines {
		s := Stop{Line: l}
		for _, m := range release.Manifests {
			read, err := manifests.TektonOf(l, m.Name)
			if err != nil {
				t.Fatal(err)
			}
			s.Objects = append(s.Objects, read.Objects...)
		}
		stops = append(stops, s)
	}
	return stops
}

// TestLines holds what docs/upgrading.md says: between the lines that are compiled in, each
// upgrade is one hop, and a rollback of it finds the stored version.
func TestLines(t *testing.T) {
	stops := lines(t)
	for i, from := range stops {
		facts := Facts{Running: installer.Versions{Pipeline: from.Line.Pipeline}, Server: "v1.28.0"}
		for _, obj := range from.Objects {
			if obj.GetKind() == "CustomResourceDefinition" {
				facts.Definitions = append(facts.Definitions, obj)
			}
		}
		for _, to := range stops[:i+1] {
			path, err := Find(facts, stops, to.Line.Name, nil)
			if err != nil {
				t.Fatalf("%s to %s: %v", from.Line.Name, to.Line.Name, err)
			}
			if len(path.Hops) != 1 || !strings.Contains(path.Hops[0].Reasons[0], "(15 definitions compared)") {
				t.Errorf("%s to %s: %+v", from.Line.Name, to.Line.Name, path.Hops)
			}
			after, _ := stateOf(facts).step(to)
			if _, problems := after.step(from); len(problems) > 0 {
				t.Errorf("back from %s to %s: %q", to.Line.Name, from.Line.Name, problems)
			}
		}
		facts.Server = "v1.27.9"
		if _, err := Find(facts, stops, release.Newest().Name, nil); err == nil {
			t.Errorf("%s: Kubernetes 1.27 is accepted", from.Line.Name)
		}
	}
}
