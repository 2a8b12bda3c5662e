package hook

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	triggers "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"github.com/tektoncd/triggers/pkg/template"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/release"
)

// oneSecret is the Secret of every Trigger here.
type oneSecret struct{}

func (oneSecret) Get(context.Context, string, string) (*interceptor.Secret, error) {
	return &interceptor.Secret{Data: map[string][]byte{"token": []byte("hunter2-hunter2")}}, nil
}

// extensionsOf returns what the interceptor hands to bindings for a push of GitHub's; nil
// where it refuses the push.
func extensionsOf(t *testing.T, payload string) map[string]any {
	t.Helper()
	const params = `{"provider":"github","secretRef":{"secretName":"hook","secretKey":"token"}}`
	signed, err := interceptor.Sign(json.RawMessage(params), []byte("hunter2-hunter2"),
		provider.Outgoing{Body: []byte(payload), Time: time.Now(), ID: "1"})
	if err != nil {
		t.Fatal(err)
	}
	question, err := json.Marshal(map[string]any{
		"body": payload, "header": signed.Header, "interceptor_params": json.RawMessage(params),
		"context": map[string]any{"event_url": "/", "event_id": "e", "trigger_id": "namespaces/ci/triggers/app"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := interceptor.Default()
	config.Callers = interceptor.CallersTrust
	h := interceptor.New(config, interceptor.Options{Secrets: oneSecret{}, Log: logr.Discard(), Now: time.Now})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, interceptor.Path, strings.NewReader(string(question))))
	var answer struct {
		Continue   bool
		Extensions map[string]any
	}
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		t.Fatalf("%v: %s", err, w.Body)
	}
	if !answer.Continue {
		return nil
	}
	return answer.Extensions
}

// hostileTexts are what Triggers' templates, JSON and shells read as something else.
var hostileTexts = []string{
	"main", "null", "1.0", "1e3", "12345678901234567890", "0000123", "true", "feature/中文", "a+b@c",
	"$(uid)", "$(tt.params.revision)", "$$(tt.params.ref)", "$(context.eventID)", "${HOME}", "$HOME", "$(date)",
	`a"b`, `a\b`, `a\"b`, "a'b", "a\nb", "a`id`b", "{}", "[]", "{{x}}", "", " ",
}

// pushNamed returns a push in which the text is the branch's name, a file's and the sender's.
func pushNamed(t *testing.T, text string) string {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"ref": "refs/heads/" + text, "before": "6168d9dae737b47f00c59fafca10c913a6850c3a", "forced": false,
		"after":      "9921e45e570db8e57e544650baf837932fb2100f",
		"repository": map[string]any{"full_name": "team/app", "default_branch": "main", "clone_url": nil},
		"sender":     map[string]any{"login": text},
		"commits": []any{map[string]any{"added": []any{"a.go", text, nil}, "removed": nil,
			"modified": []any{"docs/b.md"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestExtensionsSurviveTemplates puts every extension through Triggers' own template code. What
// the run has must be what the interceptor answered, byte for byte.
func TestExtensionsSurviveTemplates(t *testing.T) {
	passed := 0
	for _, text := range hostileTexts {
		payload := pushNamed(t, text)
		extensions := extensionsOf(t, payload)
		if extensions == nil {
			continue
		}
		passed++
		git, _ := extensions["git"].(map[string]any)
		if len(git) < 20 {
			t.Fatalf("%q: got %v", text, extensions)
		}
		var bindings []triggers.Param
		var specs []triggers.ParamSpec
		run := map[string]string{}
		none := "the default"
		for name, value := range git {
			if _, isString := value.(string); !isString {
				t.Errorf("%q: extension %s is %T", text, name, value)
			}
			bindings = append(bindings, triggers.Param{Name: name, Value: "$(extensions.git." + name + ")"})
			specs = append(specs, triggers.ParamSpec{Name: name, Default: &none})
			run[name] = "$(tt.params." + name + ")"
		}
		var got map[string]string
		render(t, bindings, specs, run, payload, extensions, &got)
		for name, value := range git {
			if got[name] != value {
				t.Errorf("%q: extension %s is %q, and the run has %q", text, name, value, got[name])
			}
		}
	}
	if passed < 5 || passed == len(hostileTexts) {
		t.Errorf("%d of %d texts passed", passed, len(hostileTexts))
	}
}

// render makes into of a resource template, by Triggers' code.
func render(
	t *testing.T, bindings []triggers.Param, specs []triggers.ParamSpec, resource any, payload string,
	extensions map[string]any, into any,
) {
	t.Helper()
	raw, err := json.Marshal(resource)
	if err != nil {
		t.Fatal(err)
	}
	resolved := template.ResolvedTrigger{BindingParams: bindings, TriggerTemplate: &triggers.TriggerTemplate{
		Spec: triggers.TriggerTemplateSpec{Params: specs, ResourceTemplates: []triggers.TriggerResourceTemplate{
			{RawExtension: runtime.RawExtension{Raw: raw}}}},
	}}
	params, err := template.ResolveParams(resolved, []byte(payload), http.Header{}, extensions,
		template.NewTriggerContext("e"))
	if err != nil {
		t.Fatalf("resolving the params: %v", err)
	}
	made := template.ResolveResources(resolved.TriggerTemplate, params)
	if err := json.Unmarshal(made[0], into); err != nil {
		t.Fatalf("%v: %s", err, made[0])
	}
}

// TestScaffoldBindings renders what scaffold prints, for names of all kinds.
func TestScaffoldBindings(t *testing.T) {
	out, _, err := hookTool(t, "scaffold", "--provider=github", "--repo=https://github.com/team/app", "--image=app")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := release.Read(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	var binding triggers.TriggerBinding
	var made triggers.TriggerTemplate
	for _, u := range objects {
		raw, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		switch u.GetKind() {
		case "TriggerBinding":
			err = yaml.UnmarshalStrict(raw, &binding)
		case "TriggerTemplate":
			err = yaml.UnmarshalStrict(raw, &made)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, p := range binding.Spec.Params {
		if !strings.HasPrefix(p.Value, "$(extensions.git.") || strings.Count(p.Value, "$") != 1 {
			t.Errorf("binding %s is %s, and only the interceptor's extensions survive templates", p.Name, p.Value)
		}
	}
	for _, text := range hostileTexts {
		payload := pushNamed(t, text)
		extensions := extensionsOf(t, payload)
		if extensions == nil {
			continue
		}
		var run pipeline.TaskRun
		render(t, binding.Spec.Params, made.Spec.Params, made.Spec.ResourceTemplates[0], payload, extensions, &run)
		git, _ := extensions["git"].(map[string]any)
		want := map[string]any{"ref": git["ref"], "revision": git["sha"], "url": "https://github.com/team/app",
			"image": "app:9921e45e570db8e57e544650baf837932fb2100f"}
		for _, p := range run.Spec.Params {
			if p.Value.StringVal != want[p.Name] {
				t.Errorf("%q: param %s is %q, want %q", text, p.Name, p.Value.StringVal, want[p.Name])
			}
			delete(want, p.Name)
		}
		if len(want) > 0 {
			t.Errorf("%q: the run lacks %v", text, want)
		}
	}
}
