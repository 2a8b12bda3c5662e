package main

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/admit"
	"github.com/tekgate/tekgate/internal/strict"
	shares "github.com/tekgate/tekgate/internal/warnings"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/walk"
)

// judged is one case of validator/testdata.
type judged struct {
	name   string
	rule   *validator.Rule
	object *unstructured.Unstructured
	others []*unstructured.Unstructured
	config validator.Config
	want   []string // the findings, "path: message (rule id)"
	// findings counts them.
	findings int
	extra    struct {
		Secrets map[string][]string `json:"secrets"`
		May     []string            `json:"may"`
		Images  []string            `json:"images"`
		Flaws   map[string][]string `json:"flaws"` // of those images, which the server never asks for
		Errors  map[string]string   `json:"errors"`
		Offline bool                `json:"offline"`
		Files   bool                `json:"files"`
		Plain   bool                `json:"plain"` // about files, too
	}
}

// court is a webhook on the real API server whose rules change from case to case.
type court struct {
	*bed
	handler  atomic.Pointer[validator.Validator]
	cluster  references
	warnings *warnings
	asking   client.Client // that hears the warnings
	tekton   client.Client // the same, as Tekton's controller
}

// TestJudge creates what the cases of the validator's rules hold on a real API
// server, beside the objects that there are in each case: the findings that reach the
// user are those of the case. What the server looks up it looks up with the rights
// that the manifests give it.
func TestJudge(t *testing.T) {
	t.Parallel()
	c := newCourt(t)
	done, bad, skipped := 0, map[string]int{}, map[string]int{}
	for _, one := range judgedCases(t) {
		if why := one.unplayable(); why != "" {
			skipped[why]++
			continue
		}
		t.Run(one.name, func(t *testing.T) {
			if c.on(t).try(c, one) {
				done++
				bad[one.rule.ID] += min(one.findings, 1)
			}
		})
	}
	for _, rule := range validator.Rules {
		if bad[rule.ID] == 0 && !rule.Online && !rule.Files && !slices.Contains(unheard, rule.ID) {
			t.Errorf("no bad case of the rule %s was judged through the API server", rule.ID)
		}
	}
	t.Logf("judged %d cases; left out: %v", done, skipped)
}

// unheard are rules of which the admission server can find nothing: they need what
// it may not read, are about namespaces of which it is not asked, about fields that the API server
// drops before, or about what the API server or Triggers refuses.
var unheard = []string{"missing-secret", "unfit-secret", "pull-secret", "run-in-tekton-namespace", "removed-conditions",
	"triggers-rejects", "unserved-api"}

func newCourt(t *testing.T) *court {
	t.Helper()
	b := newBed(t)
	for _, kind := range []string{"task", "pipeline", "pipelinerun", "customrun", "stepaction"} {
		b.installCRDs("github.com/tektoncd/pipeline", "config/300-crds/300-"+kind+".yaml")
	}
	for _, name := range walk.CoreInterceptors {
		b.create(b.parse(
			"{apiVersion: triggers.tekton.dev/v1alpha1, kind: ClusterInterceptor, metadata: {name: " + name + "}, spec: {}}"))
	}
	config, err := clientcmd.BuildConfigFromFlags("", b.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(config, transport)
	if err != nil {
		t.Fatal(err)
	}
	limited, err := client.New(config, client.Options{Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	c := &court{bed: b, cluster: references{kinds: newServedKinds(mapper), live: limited, writer: limited},
		warnings: &warnings{}}
	hearing := rest.CopyConfig(b.cluster.Config)
	hearing.QPS, hearing.WarningHandler = -1, c.warnings
	if c.asking, err = client.New(hearing, client.Options{}); err != nil {
		t.Fatal(err)
	}
	hearing.Impersonate = rest.ImpersonationConfig{UserName: mutator.ControllerOf("tekton-pipelines"),
		Groups: []string{"system:masters"}}
	if c.tekton, err = client.New(hearing, client.Options{}); err != nil {
		t.Fatal(err)
	}
	c.install()
	return c
}

// install serves the court at the rules of the manifests.
func (c *court) install() {
	c.Helper()
	server := httptest.NewTLSServer(&admit.Webhook{Handler: admission.HandlerFunc(func(ctx context.Context,
		req admission.Request) admission.Response {
		if v := c.handler.Load(); v != nil {
			return v.Handle(ctx, req)
		}
		return admission.Allowed("")
	})})
	c.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	text, err := os.ReadFile("../../manifests/tekgate/500-webhooks.yaml")
	if err != nil {
		c.Fatal(err)
	}
	for document := range strings.SplitSeq(string(text), "\n---\n") {
		configuration := c.parse(document)
		if configuration.GetKind() != "ValidatingWebhookConfiguration" {
			continue
		}
		configuration.Object["webhooks"] = slices.DeleteFunc(configuration.Object["webhooks"].([]any),
			func(h any) bool {
				hook := h.(map[string]any)
				path, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "path")
				hook["clientConfig"] = map[string]any{"url": server.URL, "caBundle": ca64(ca)}
				hook["failurePolicy"] = "Fail"
				return path != "/validate"
			})
		configuration.SetName("court.example.com") // under its own name it would be given the CA of the bed's server
		c.create(configuration)
		c.Cleanup(func() { _ = c.client.Delete(context.Background(), configuration) })
	}
	asked := atomic.Bool{}
	c.handler.Store(&validator.Validator{Rules: []*validator.Rule{{ID: "asked", Kinds: validator.Rules[0].Kinds,
		Check: func(context.Context, *validator.Pass) { asked.Store(true) }, Severity: validator.Error}}})
	c.eventually("the API server asks the court", func() error {
		_ = c.asking.Create(c.Context(), c.parse(listener), client.DryRunAll)
		if !asked.Load() {
			return fmt.Errorf("not asked")
		}
		return nil
	})
}

// try reports false where the API server refuses the case's object by itself.
func (b *bed) try(c *court, one *judged) bool {
	b.Helper()
	c.handler.Store(nil)
	for _, object := range append([]*unstructured.Unstructured{one.object}, one.others...) {
		b.inhabit(object)
	}
	for _, object := range append(one.others, one.permissions()...) {
		object := object.DeepCopy()
		if err := b.client.Create(b.Context(), object); err != nil {
			b.Logf("the API server refuses one of the others: %v", err)
			return false
		}
		b.Cleanup(func() { _ = b.client.Delete(context.Background(), object) })
	}
	stored := one.object.DeepCopy()
	if err := b.client.Create(b.Context(), stored, client.DryRunAll); err != nil {
		b.Logf("the API server refuses it: %v", err)
		return false
	}
	if gone := lacks(one.object.Object, stored.Object, ""); gone != "" {
		b.Logf("the API server drops %s before anybody is asked", gone)
		return false
	}
	rule := *one.rule
	rule.OptIn = false
	rules := []*validator.Rule{&rule}
	if rule.ID == "cannot-be-judged" { // which other rules report
		rules = slices.DeleteFunc(slices.Clone(validator.Rules), func(r *validator.Rule) bool {
			return one.config.Rules[r.ID].Mode == ""
		})
	}
	c.handler.Store(&validator.Validator{Config: one.config, Cluster: c.cluster, Rules: rules,
		Now: caseTime, Controller: mutator.ControllerOf("tekton-pipelines")})
	defer c.handler.Store(nil)
	c.warnings.take()
	asking := c.asking
	if strings.HasSuffix(one.name, "-owned") { // what the controller makes for a PipelineRun
		asking = c.tekton
	}
	err := asking.Create(b.Context(), one.object.DeepCopy(), client.DryRunAll)
	got := c.warnings.take()
	if err != nil {
		if !apierrors.IsForbidden(err) {
			b.Fatalf("got error %v", err)
		}
		_, list, _ := strings.Cut(err.Error(), " was refused:\n- ")
		got = append(got, strings.Split(list, "\n- ")...)
	}
	slices.Sort(got)
	slices.Sort(one.want)
	if mode := one.mode(); mode != validator.Warn && mode != validator.Enforce {
		one.want = nil // it is recorded elsewhere
	}
	if !slices.Equal(got, one.want) {
		b.Errorf("the user hears\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(one.want, "\n"))
	}
	return true
}

func (one *judged) mode() validator.Mode {
	if mode := one.config.Rules[one.rule.ID].Mode; mode != "" {
		return mode
	}
	rule := *one.rule
	rule.OptIn = false
	return rule.DefaultMode()
}

// inhabit gives an object the namespace of the cases, and makes the one it names.
func (b *bed) inhabit(object *unstructured.Unstructured) {
	b.Helper()
	if strings.HasPrefix(object.GetKind(), "Cluster") || object.GetKind() == "Namespace" {
		return
	}
	if object.GetNamespace() == "" {
		object.SetNamespace("ci")
	}
	err := b.client.Create(b.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: object.GetNamespace()}})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		b.Logf("namespace %s: %v", object.GetNamespace(), err)
	}
}

// permissions are the Roles that give what cluster.yaml allows.
func (one *judged) permissions() []*unstructured.Unstructured {
	var objects []*unstructured.Unstructured
	for i, line := range one.extra.May {
		var who, verb, what, where string
		_, _ = fmt.Sscan(line, &who, &verb, &what, &where)
		namespace, account, _ := strings.Cut(who, "/")
		resource, group, _ := strings.Cut(what, ".")
		name := fmt.Sprintf("may-%d", i)
		kind, in := "Role", map[string]any{"name": name, "namespace": where}
		if where == "" {
			kind, in = "ClusterRole", map[string]any{"name": name}
		}
		objects = append(objects,
			&unstructured.Unstructured{Object: map[string]any{
				"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": kind, "metadata": in,
				"rules": []any{map[string]any{"apiGroups": []any{group}, "resources": []any{resource},
					"verbs": []any{verb}}},
			}},
			&unstructured.Unstructured{Object: map[string]any{
				"apiVersion": rbacv1.SchemeGroupVersion.String(), "kind": kind + "Binding", "metadata": in,
				"roleRef":  map[string]any{"apiGroup": rbacv1.GroupName, "kind": kind, "name": name},
				"subjects": []any{map[string]any{"kind": "ServiceAccount", "namespace": namespace, "name": account}},
			}})
	}
	return objects
}

// unplayable says why a case has no meaning on this cluster, or "".
func (one *judged) unplayable() string {
	switch gvk := one.object.GroupVersionKind(); {
	case one.rule.Online:
		return "admission asks no registry"
	case one.rule.Files:
		return "admission sees no files"
	case utf8.RuneCountInString(strings.Join(one.want, "")) > shares.Validating:
		return "its findings are put together" // see TestManyWarnings
	case strings.HasSuffix(one.name, "-in-another-case"):
		return "the API server drops fields in another case"
	case one.extra.Offline || one.extra.Files:
		return "it is found where no API server judges the object"
	case len(one.extra.Errors) > 0:
		return "the API server does answer"
	case len(one.extra.Secrets) > 0:
		return "the server may read no Secret"
	case gvk.Group == "tekton.dev" && gvk.Version == "v1alpha1" && gvk.Kind != "StepAction", gvk.Kind == "ClusterTask":
		return "Tekton v1.15.1 no longer serves it"
	case slices.Contains([]string{"kube-system", "tekton-pipelines"}, one.object.GetNamespace()):
		return "nothing is asked about the namespace"
	case one.object.GetName() == "" && one.object.GetGenerateName() == "":
		return "the API server wants a name"
	case one.object.Object["status"] != nil:
		return "a new object has no status"
	case one.rule.ID == "missing-service-account" && len(one.object.GetOwnerReferences()) > 0:
		return "an owner that a user names does not count"
	}
	return ""
}

func caseTime() time.Time { return time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC) }

func judgedCases(t *testing.T) []*judged {
	t.Helper()
	folders, err := filepath.Glob("../../validator/testdata/*/*")
	if err != nil {
		t.Fatal(err)
	}
	var cases []*judged
	for _, folder := range folders {
		id := filepath.Base(filepath.Dir(folder))
		at := slices.IndexFunc(validator.Rules, func(r *validator.Rule) bool { return r.ID == id })
		if at >= 0 {
			cases = append(cases, judgedCase(t, folder, validator.Rules[at]))
		}
	}
	return cases
}

func judgedCase(t *testing.T, folder string, rule *validator.Rule) *judged {
	t.Helper()
	one := &judged{name: rule.ID + "/" + filepath.Base(folder), rule: rule, config: validator.Default(),
		object: &unstructured.Unstructured{}}
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return string(text)
	}
	if err := yaml.Unmarshal([]byte(read("object.yaml")), &one.object.Object); err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(read("others.yaml"), "---\n") {
		object := &unstructured.Unstructured{}
		if err := yaml.Unmarshal([]byte(document), &object.Object); err != nil {
			t.Fatal(err)
		}
		if object.Object != nil {
			one.others = append(one.others, object)
		}
	}
	for name, into := range map[string]any{"config.yaml": &one.config, "cluster.yaml": &one.extra} {
		if text := read(name); text != "" {
			if err := strict.UnmarshalYAML([]byte(text), into); err != nil {
				t.Fatalf("%s/%s: %v", folder, name, err)
			}
		}
	}
	for line := range strings.Lines(read("want.txt")) {
		if _, finding, found := strings.Cut(strings.TrimSuffix(line, "\n"), "): "); found &&
			!strings.HasPrefix(line, "excepted") && !strings.HasPrefix(line, "unknown") {
			one.want = append(one.want, finding)
		}
	}
	one.findings = len(one.want)
	return one
}

// warnings keeps what the API server warns of.
type warnings struct {
	sync.Mutex
	texts []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _, text string) {
	w.Lock()
	defer w.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) take() []string {
	w.Lock()
	defer w.Unlock()
	texts := w.texts
	w.texts = nil
	return slices.DeleteFunc(texts, func(text string) bool {
		return !strings.Contains(text, "(rule ") // the API server's own, about deprecated versions
	})
}
