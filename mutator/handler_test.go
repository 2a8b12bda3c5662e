package mutator_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/mutator"
)

const kanikoRun = `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"generateName":"build-"},
	"spec":{"taskSpec":{"steps":[{"name":"build","image":"gcr.io/kaniko-project/executor:v1.24.0"}]}}}`

func create(version, raw string) admission.Request {
	return admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID:       "1",
		Kind:      metav1.GroupVersionKind{Group: "tekton.dev", Version: version, Kind: "TaskRun"},
		Namespace: namespace,
		Operation: admissionv1.Create,
		Object:    runtime.RawExtension{Raw: []byte(raw)},
	}}
}

func TestHandle(t *testing.T) {
	update := create("v1", kanikoRun)
	update.Operation = admissionv1.Update
	status := create("v1", kanikoRun)
	status.SubResource = "status"
	deletion := create("v1", "")
	deletion.Operation = admissionv1.Delete
	pod := create("v1", kanikoRun)
	pod.Kind = metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}
	dryRun := create("v1", kanikoRun)
	dryRun.DryRun = new(bool)
	*dryRun.DryRun = true

	task := create("v1", `{"apiVersion":"tekton.dev/v1","kind":"Task","metadata":{"name":"t"},
		"spec":{"steps":[{"name":"build","image":"gcr.io/kaniko-project/executor:v1.24.0"}]}}`)
	task.Kind.Kind = "Task"
	dryTask := task
	dryTask.DryRun = dryRun.DryRun
	resolved := dryTask
	resolved.UserInfo.Username = mutator.ControllerOf("tekton-pipelines")
	undry := resolved
	undry.DryRun = nil

	tests := []struct {
		name  string
		req   admission.Request
		fired []string
		code  int32
	}{
		{"v1", create("v1", kanikoRun), []string{"docker-config", "kaniko", "service-account"}, http.StatusOK},
		{"v1beta1", create("v1beta1", strings.Replace(kanikoRun, "/v1", "/v1beta1", 1)),
			[]string{"docker-config", "kaniko", "service-account"}, http.StatusOK},
		{"dry run", dryRun, []string{"docker-config", "kaniko", "service-account"}, http.StatusOK},
		{"v1alpha1", create("v1alpha1", strings.Replace(kanikoRun, "/v1", "/v1alpha1", 1)),
			[]string{"docker-config", "kaniko", "service-account"}, http.StatusOK},
		{"unknown version", create("v2", kanikoRun), nil, http.StatusOK},
		{"another version than the request's", create("v1beta1", kanikoRun), nil, http.StatusOK},
		{"stored Task", task, nil, http.StatusOK},
		{"dry run of a Task", dryTask, nil, http.StatusOK},
		{"dry run of a Task by Tekton's controller", resolved, []string{"docker-config", "kaniko"}, http.StatusOK},
		{"Task by Tekton's controller", undry, nil, http.StatusOK},
		{"update", update, nil, http.StatusOK},
		{"subresource", status, nil, http.StatusOK},
		{"deletion", deletion, nil, http.StatusOK},
		{"other kind", pod, nil, http.StatusOK},
		{"no object", create("v1", ""), nil, http.StatusBadRequest},
		{"null object", create("v1", "null"), nil, http.StatusBadRequest},
		{"a list", create("v1", "[]"), nil, http.StatusBadRequest},
		{"garbage", create("v1", `{"spec":`), nil, http.StatusBadRequest},
		{"two objects", create("v1", `{} {}`), nil, http.StatusBadRequest},
		{"empty object", create("v1", `{}`), nil, http.StatusOK},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := withAccount()
			res := m.Handle(t.Context(), tt.req)
			if res.Result.Code != tt.code || res.Allowed != (tt.code == http.StatusOK) {
				t.Fatalf("got allowed %v, code %d, %q", res.Allowed, res.Result.Code, res.Result.Message)
			}
			if fired := slices.Sorted(maps.Keys(res.AuditAnnotations)); !slices.Equal(fired, tt.fired) {
				t.Errorf("fired %v, want %v", fired, tt.fired)
			}
			if patch := operations(t, res); (len(patch) > 0) != (len(tt.fired) > 0) {
				t.Errorf("the patch is %v", patch)
			}
		})
	}
}

// operations returns the patch of an answer.
func operations(t *testing.T, res admission.Response) (patch []jsonOperation) {
	t.Helper()
	if (res.Patch != nil) != (res.PatchType != nil) {
		t.Errorf("the patch %s has the type %v", res.Patch, res.PatchType)
	}
	if res.Patch == nil {
		return res.Patches
	}
	if err := json.Unmarshal(res.Patch, &patch); err != nil {
		t.Fatalf("%s is no patch: %v", res.Patch, err)
	}
	return patch
}

// TestPatchIsMinimal holds that nothing is written but what the rules change.
func TestPatchIsMinimal(t *testing.T) {
	m := withAccount()
	res := m.Handle(t.Context(), create("v1", kanikoRun))
	patch := operations(t, res)
	slices.SortFunc(patch, func(a, b jsonOperation) int { return strings.Compare(a.Path, b.Path) })
	got, err := json.Marshal(patch)
	if err != nil {
		t.Fatal(err)
	}
	record := `{\"rules\":[\"docker-config\",\"kaniko\",\"service-account\"],\"config\":\"` + m.Hash() + `\"}`
	want := `[{"op":"add","path":"/metadata/annotations","value":{"tekgate.dev/mutated":"` + record + `"}},` +
		`{"op":"add","path":"/spec/serviceAccountName","value":"builder"},` +
		`{"op":"add","path":"/spec/taskSpec/steps/0/command","value":["/kaniko/executor"]},` +
		`{"op":"add","path":"/spec/taskSpec/steps/0/env","value":[{"name":"DOCKER_CONFIG","value":"/tekton/creds/.docker"}]}]`
	if string(got) != want {
		t.Errorf("the patch is\n%s\nwant\n%s", got, want)
	}
}

// TestAfterTekton runs the rules after Tekton's own webhook, the other order,
// which has named a ServiceAccount by then.
func TestAfterTekton(t *testing.T) {
	defaulted := strings.Replace(kanikoRun, `"taskSpec"`,
		`"serviceAccountName":"default","timeout":"1h0m0s","taskSpec"`, 1)
	res := withAccount().Handle(t.Context(), create("v1", defaulted))
	if _, did := res.AuditAnnotations["service-account"]; did || len(res.AuditAnnotations) != 2 {
		t.Errorf("the rules did %v, want docker-config and kaniko alone", res.AuditAnnotations)
	}
}

// TestWithoutCluster is the rules where nothing can be looked up.
func TestWithoutCluster(t *testing.T) {
	config := mutator.Default()
	config.ServiceAccount.Name = "builder"
	m, err := mutator.New(config, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	res := m.Handle(t.Context(), create("v1", kanikoRun))
	if _, did := res.AuditAnnotations["service-account"]; !res.Allowed || did || len(res.AuditAnnotations) != 2 {
		t.Errorf("got %v %v, want docker-config and kaniko alone", res.Allowed, res.AuditAnnotations)
	}
}

func withAccount() *mutator.Mutator {
	config := mutator.Default()
	config.ServiceAccount.Name = "builder"
	m, err := mutator.New(config, nil, oneAccount)
	if err != nil {
		panic(err)
	}
	return m
}

var oneAccount = cluster{world{ServiceAccounts: map[string]mutator.Account{
	"builder": {Secrets: []string{"registry"}}, "default": {Secrets: []string{"registry"}},
}, ConfigMaps: map[string]mutator.ConfigMap{"tekgate-ca": {Keys: []string{"ca.crt"}}}}}

// TestReapply holds when an update gets back what a rule added at the creation.
func TestReapply(t *testing.T) {
	created := func(extra string) string {
		return `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"annotations":{"tekgate.dev/mutated":"{}"},"generateName":"build-"},
			"spec":{"serviceAccountName":"builder","timeout":"1h0m0s","taskSpec":{"steps":[{"name":"build","image":"gcr.io/kaniko-project/executor:v1.24.0",
			"command":["/kaniko/executor"],"computeResources":{},"env":[{"name":"DOCKER_CONFIG","value":"/tekton/creds/.docker"}]` + extra + `}]}}}`
	}
	tests := []struct {
		name, old, fresh string
		want             int // operations
	}{
		{"the manifest once more", created(""), kanikoRun, 3},
		{"nothing changed", created(""), created(""), 0},
		{"metadata alone", created(""), strings.Replace(created(""), "build-", "other-", 1), 0},
		{"another image", created(""), strings.Replace(kanikoRun, "v1.24.0", "v1.23.0", 1), 0},
		{"one more field", created(""), strings.Replace(kanikoRun, `"name":"build",`,
			`"name":"build","workingDir":"/w",`, 1), 0},
		{"other rules then", strings.Replace(created(""), "/tekton/creds/.docker", "/then", 1), kanikoRun, 0},
		{"a step less", created(""), strings.Replace(kanikoRun,
			`[{"name":"build","image":"gcr.io/kaniko-project/executor:v1.24.0"}]`, "[]", 1), 0},
		{"not changed by us", strings.Replace(created(""), "tekgate.dev/mutated", "x", 1), kanikoRun, 0},
		{"no old object", "", kanikoRun, 0},
		{"no object", created(""), "", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := create("v1", tt.fresh)
			req.Operation = admissionv1.Update
			req.OldObject.Raw = []byte(tt.old)
			res := withAccount().Handle(t.Context(), req)
			if !res.Allowed || len(res.Patches) != tt.want || len(res.Warnings) > 0 {
				t.Errorf("got allowed %v, %v, warnings %q, want %d operations", res.Allowed, res.Patches, res.Warnings,
					tt.want)
			}
		})
	}
}

// TestReapplyParams holds that a run gets back what its parameters were when it was created,
// though its Task is gone.
func TestReapplyParams(t *testing.T) {
	run := func(record, value string) string {
		return `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"annotations":{` + record +
			`},"name":"hello"},"spec":{"taskRef":{"name":"hello"},"params":[{"name":"image","value":"` + value + `"}]}}`
	}
	config := mutator.Default()
	config.ImageMirror.Enabled = true
	rules, err := (&image.Mirror{Registry: "mirror.example.com/hub"}).Compile()
	if err != nil {
		t.Fatal(err)
	}
	m, err := mutator.New(config, rules, nil)
	if err != nil {
		t.Fatal(err)
	}
	const now = "mirror.example.com/hub/docker.io/library/golang"
	req := create("v1", run(`"a":""`, "golang"))
	req.Operation = admissionv1.Update
	req.OldObject.Raw = []byte(run(`"tekgate.dev/mutated":"{}","tekgate.dev/original-images":"{\"golang\":\"`+now+`\"}"`, now))
	res := m.Handle(t.Context(), req)
	if len(res.Patches) != 1 || res.Patches[0].Path != "/spec/params/0/value" || res.Patches[0].Value != now {
		t.Errorf("got %v", res.Patches)
	}
}

// TestReapplyFetched holds that a run that fetches the Task that its manifest names can be
// applied once more: with the name alone, and with the name merged into what fetches it.
func TestReapplyFetched(t *testing.T) {
	const fetches = `"resolver":"cluster","params":[{"name":"kind","value":"task"},{"name":"name","value":"hello"},{"name":"namespace","value":"ci"}]`
	run := func(annotation, ref string) string {
		return `{"apiVersion":"tekton.dev/v1","kind":"TaskRun","metadata":{"annotations":{"` + annotation +
			`":"{}"},"name":"hello"},"spec":{"taskRef":{` + ref + `}}}`
	}
	stored := run("tekgate.dev/mutated", `"kind":"Task",`+fetches)
	m, err := mutator.New(mutator.Default(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, fresh string
		want        string // the reference then
	}{
		{"name alone", run("a", `"name":"hello"`), `{` + fetches + `}`},
		{"merged", run("a", `"name":"hello","kind":"Task",`+fetches), `{"kind":"Task",` + fetches + `}`},
		{"another name", run("a", `"name":"other"`), `{"name":"other"}`},
		{"another resolver", run("a", `"name":"hello","resolver":"git"`), `{"name":"hello","resolver":"git"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := create("v1", tt.fresh)
			req.Operation = admissionv1.Update
			req.OldObject.Raw = []byte(stored)
			res := m.Handle(t.Context(), req)
			text, err := json.Marshal(res.Patches)
			if err != nil {
				t.Fatal(err)
			}
			patch, err := jsonpatch.DecodePatch(text)
			if err != nil {
				t.Fatal(err)
			}
			got, err := patch.Apply([]byte(tt.fresh))
			if err != nil {
				t.Fatal(err)
			}
			fields, _ := decodeNumbers(t, got).(map[string]any)
			if diff := difference(t, fields, []byte(run("a", tt.want[1:len(tt.want)-1]))); diff != "" {
				t.Errorf("with %s:\n%s", text, diff)
			}
		})
	}
}
