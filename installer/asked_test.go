package installer_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
)

// asks has the API server ask the node's server in place of Tekgate's, by a copy of a
// configuration of Tekgate's: there is no network in which it could reach a Service.
func (n *node) asks(ctx context.Context, configuration *unstructured.Unstructured) {
	if configuration.GetName() != live.OwnConfiguration(configuration.GetKind()) || n.broken[configuration.GetName()] {
		return
	}
	played := &unstructured.Unstructured{Object: map[string]any{}}
	played.SetGroupVersionKind(configuration.GroupVersionKind())
	played.SetName("played-" + configuration.GetName())
	webhooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for _, w := range webhooks {
		w.(map[string]any)["clientConfig"] = map[string]any{"url": n.server.URL, "caBundle": bundleOf(n.server)}
	}
	played.Object["webhooks"] = webhooks
	_ = n.target.Client().Create(ctx, played, client.FieldOwner("node"))
}

// answerForTekgate writes Tekgate's record on TaskRuns, and refuses ConfigMaps without
// a configuration.
func answerForTekgate(obj *unstructured.Unstructured) *admissionv1.AdmissionResponse {
	answer := &admissionv1.AdmissionResponse{Allowed: true}
	switch _, probed := obj.GetAnnotations()["tekgate.dev/probe"]; {
	case obj.GetKind() == "TaskRun" && probed:
		kind := admissionv1.PatchTypeJSONPatch
		answer.PatchType, answer.Patch = &kind, []byte(
			`[{"op":"add","path":"/metadata/annotations/tekgate.dev~1mutated","value":"{\"config\":\"played\"}"}]`,
		)
	case obj.GetKind() == "ConfigMap":
		if _, has, _ := unstructured.NestedString(obj.Object, "data", "config.yaml"); !has {
			answer.Allowed, answer.Result = false, &metav1.Status{Message: "no configuration"}
		}
	}
	return answer
}

// reviews starts a server that answers the API server about objects.
func reviews(answer func(*unstructured.Unstructured) *admissionv1.AdmissionResponse) *httptest.Server {
	return httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		obj := &unstructured.Unstructured{}
		_ = json.Unmarshal(review.Request.Object.Raw, &obj.Object)
		review.Response = answer(obj)
		review.Response.UID, review.Request = review.Request.UID, nil
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(review)
	}))
}

// An install has ended when the API server asks Tekgate about what comes next, and not
// before: with failurePolicy Ignore nobody would notice. What cannot be seen is not
// waited for.
func TestWaitsUntilTheAPIServerAsks(t *testing.T) {
	t.Parallel()
	const (
		mutating   = "still waiting for the API server to ask Tekgate's admission server by MutatingWebhookConfiguration/mutate.tekgate.dev (a TaskRun comes back without its record)"
		validating = "still waiting for the API server to ask Tekgate's admission server by ValidatingWebhookConfiguration/validate.tekgate.dev (configuration.validate.tekgate.dev lets pass what it should refuse)"
	)
	c := start(t)
	deaf := c.node("mutate.tekgate.dev", "validate.tekgate.dev")
	install := func(when string, rel installer.Release, timeout time.Duration, want string) {
		t.Helper()
		err := c.apply(rel, installer.Options{Wait: true, Timeout: timeout}, silent{})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", when, err, want)
		}
	}
	const soon = 10 * time.Second // what is there already is applied sooner
	c.install(embedded(t), atOnce)
	install("not asked about runs", embedded(t), soon, mutating)

	optOut := func(value string) {
		c.merge("user", "v1", "Namespace", "", "default", `{"metadata":{"labels":{"tekgate.dev/mutate":`+value+`}}}`)
	}
	optOut(`"disabled"`)
	install("the namespace is opted out", embedded(t), soon, validating)
	optOut("null")

	c.create("policy", noRuns)
	pause()
	install("a ValidatingAdmissionPolicy refuses the run", embedded(t), soon, validating)
	for _, obj := range parse(t, noRuns) {
		if err := c.Client().Delete(t.Context(), obj); err != nil {
			t.Fatal(err)
		}
	}

	outside := embedded(t)
	own := slices.DeleteFunc(slices.Clone(outside.Objects), func(obj *unstructured.Unstructured) bool {
		return obj.GetName() != live.OwnConfiguration(obj.GetKind())
	})
	if err := manifest.SetWebhookURL(own, "https://127.0.0.1:1"); err != nil {
		t.Fatal(err)
	}
	install("the server is outside, and may be started later", outside, time.Minute, "")

	deaf.end()
	c.node() // asks from now on
	install("asked", embedded(t), time.Minute, "")
	before := c.everything(true)
	install("asked again", embedded(t), time.Minute, "")
	if changed := unlike(before, c.everything(true)); len(changed) > 0 {
		t.Errorf("asking has changed %v", changed)
	}
}

const noRuns = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-runs}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [tekton.dev], apiVersions: ['*'], resources: [taskruns], operations: [CREATE]}]}
  validations: [{expression: 'false', message: no runs here}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-runs}
spec: {policyName: no-runs, validationActions: [Deny]}
`
