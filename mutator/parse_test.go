package mutator_test

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"github.com/tektoncd/pipeline/pkg/apis/config"

	"github.com/tekgate/tekgate/mutator"
)

func TestParseTekton(t *testing.T) {
	got := mutator.ParseTekton(
		map[string]string{"version": "v1.15.0\n"},
		map[string]string{"disable-creds-init": "true", "coschedule": "workspaces"},
		map[string]string{
			"default-service-account": "builder",
			"default-pod-template":    "env:\n- name: DOCKER_CONFIG\n  value: /x\ntolerations:\n- tolerationSeconds: 9007199254740993\n",
			"default-forbidden-env":   "DOCKER_CONFIG, HOME ,,TEKTON_POWER_MODE",
		})
	want := mutator.Tekton{
		Version: "v1.15.0", CredsInitDisabled: true, DefaultServiceAccount: "builder",
		DefaultPodTemplate: map[string]any{
			"env":         []any{map[string]any{"name": "DOCKER_CONFIG", "value": "/x"}},
			"tolerations": []any{map[string]any{"tolerationSeconds": json.Number("9007199254740993")}},
		},
		ForbiddenEnv: []string{"DOCKER_CONFIG", "HOME", "TEKTON_POWER_MODE"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// TestParseTektonNothing holds that what is not said, or not as Tekton takes it,
// reads as the zero value, a current Tekton with its defaults.
func TestParseTektonNothing(t *testing.T) {
	for name, defaults := range map[string]map[string]string{
		"no ConfigMap": nil,
		"the example of a new install, with comments alone": {"_example": "default-service-account: \"default\""},
		"empty":        {"default-pod-template": "", "default-forbidden-env": "", "default-service-account": ""},
		"a null":       {"default-pod-template": "null"},
		"a list":       {"default-pod-template": "- a"},
		"not YAML":     {"default-pod-template": "a: b: c"},
		"commas alone": {"default-forbidden-env": " , "},
	} {
		got := mutator.ParseTekton(nil, map[string]string{"disable-creds-init": "yes"}, defaults)
		if !reflect.DeepEqual(got, mutator.Tekton{}) {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}

// TestParseTektonAgrees holds the reading to Tekton's own.
func TestParseTektonAgrees(t *testing.T) {
	for _, value := range []string{"true", "True", "TRUE", "T", "1", "t", "false", "False", "0", "f"} {
		theirs, err := config.NewFeatureFlagsFromMap(map[string]string{"disable-creds-init": value})
		if err != nil {
			t.Fatal(err)
		}
		ours := mutator.ParseTekton(nil, map[string]string{"disable-creds-init": value}, nil)
		if ours.CredsInitDisabled != theirs.DisableCredsInit {
			t.Errorf("disable-creds-init %q: got %v", value, ours.CredsInitDisabled)
		}
	}
	data := map[string]string{
		"default-service-account": "builder",
		"default-forbidden-env":   "B,A, C",
		"default-pod-template":    "env: [{name: A, value: b}, {name: C, value: d}]",
	}
	theirs, err := config.NewDefaultsFromMap(data)
	if err != nil {
		t.Fatal(err)
	}
	ours := mutator.ParseTekton(nil, nil, data)
	slices.Sort(ours.ForbiddenEnv)
	if ours.DefaultServiceAccount != theirs.DefaultServiceAccount ||
		!slices.Equal(ours.ForbiddenEnv, theirs.DefaultForbiddenEnv) {
		t.Errorf("got %+v, and Tekton reads %+v", ours, theirs)
	}
	env, _ := ours.DefaultPodTemplate["env"].([]any)
	if len(env) != len(theirs.DefaultPodTemplate.Env) {
		t.Fatalf("got %v, and Tekton reads %v", env, theirs.DefaultPodTemplate.Env)
	}
	for i, entry := range theirs.DefaultPodTemplate.Env {
		if got := env[i].(map[string]any); got["name"] != entry.Name || got["value"] != entry.Value {
			t.Errorf("got %v, and Tekton reads %v", got, entry)
		}
	}
}
