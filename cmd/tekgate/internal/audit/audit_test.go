package audit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/internal/judge"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/validator"
)

// audited runs audit on a site, and returns its report.
func (s *site) audited(args ...string) (report auditReport, errOut string, err error) {
	s.T.Helper()
	out, errOut, err := program.Run(s.T, "", slices.Concat([]string{"audit", "-o", "json"}, args, s.Kubeconfig)...)
	if json.Unmarshal([]byte(out), &report) != nil {
		s.T.Fatalf("audit %v: %v\n%s%s", args, err, out, errOut)
	}
	return report, errOut, err
}

// has lists findings as "namespace Kind/name rule".
func (r *auditReport) has() []string {
	var list []string
	for _, f := range r.Findings {
		list = append(list, fmt.Sprintf("%s %s %s", f.Object.Namespace, f.Object, f.Rule))
	}
	return list
}

// twoRules is a configuration with all other rules off, whichever there are.
func twoRules(t *testing.T) string {
	t.Helper()
	rules := map[string]any{}
	for _, rule := range validator.Rules {
		if rule.ID != "dangling-reference" && rule.ID != "exception" {
			rules[rule.ID] = map[string]any{"mode": "off"}
		}
	}
	text, err := yaml.Marshal(
		map[string]any{"apiVersion": "tekgate.dev/v1alpha1", "kind": "Configuration",
			"validator": map[string]any{"rules": rules}})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func listenerTo(namespace, name, annotations, binding string) string {
	return fmt.Sprintf(
		"---\napiVersion: triggers.tekton.dev/v1beta1\nkind: EventListener\nmetadata: {name: %s, namespace: %s, labels: {app: %[1]s}, annotations: {%[3]s}}\nspec: {triggers: [{name: t, bindings: [{ref: %s}]}]}\n",
		name, namespace, annotations, binding)
}

// taskRunWith is a TaskRun with an exception that does not hold.
func taskRunWith(name, owner string) string {
	if owner != "" {
		owner = ", ownerReferences: [{apiVersion: tekton.dev/v1, kind: " + owner + ", name: x, uid: x}]"
	}
	return "---\napiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: " + name +
		", namespace: ci, annotations: {except.tekgate.dev/nothing: x}" + owner +
		"}\nspec: {taskSpec: {steps: [{image: a}]}}\n"
}

// TestAudit holds the audit of a real API server to what it is told to store.
func TestAudit(t *testing.T) {
	c := cluster.StartEmpty(t)
	s := newSiteOn(t, c)
	empty, errOut, err := s.audited()
	if err != nil || empty.Objects != 0 || !empty.Complete || !slices.Contains(empty.Unserved, "EventListener") ||
		!strings.Contains(empty.Config, "the defaults, since there is no ConfigMap") {
		t.Errorf("without Tekton: %+v %v\n%s", empty, err, errOut)
	}
	s.TektonKinds()
	s.Create(
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: out, labels: {tekgate.dev/validate: disabled}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: tekgate}\n")
	s.Create(
		"apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerBinding\nmetadata: {name: right, namespace: ci}\nspec: {params: []}\n")
	in10 := time.Now().UTC().AddDate(0, 0, 10).Format(time.DateOnly)
	s.Create(listenerTo("ci", "fine", "", "right") + listenerTo("ci", "broken", "", "rigth") +
		listenerTo("other", "broken", "", "right") +
		listenerTo("ci", "lasting", "except.tekgate.dev/dangling-reference: '2999-01-01 <script>alert(1)</script>'",
			"rigth") +
		listenerTo("ci", "ending", "except.tekgate.dev/dangling-reference: '"+in10+" moved, OPS-1'", "rigth") +
		listenerTo("out", "broken", "", "right") + listenerTo("tekton-pipelines", "broken", "", "right") +
		taskRunWith("running", "") + taskRunWith("done", "") + taskRunWith("part", "PipelineRun"))
	s.finish("done")
	s.Create(
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: tekgate-config, namespace: tekgate}\ndata:\n  config.yaml: |\n    " +
			strings.ReplaceAll(twoRules(t), "\n", "\n    ") + "\n")

	t.Run("all", s.auditAll)
	t.Run("scope", s.auditScope)
	t.Run("exit status", s.auditStatus)
	t.Run("table", s.auditTable)
	t.Run("page", s.auditPage)
	t.Run("configuration", s.auditConfiguration)
	t.Run("little permission", func(t *testing.T) { s.auditRestricted(t, c.Kubeconfig) })
	t.Run("snapshot", func(t *testing.T) { s.auditSnapshot(t, c) })
}

// finish makes a TaskRun one that has failed.
func (s *site) finish(name string) {
	s.T.Helper()
	run := clitest.ObjectOf("tekton.dev/v1 TaskRun ci/" + name)
	if err := s.Client.Get(s.T.Context(), client.ObjectKeyFromObject(run), run); err != nil {
		s.T.Fatal(err)
	}
	run.Object["status"] = map[string]any{"podName": "p",
		"conditions": []any{map[string]any{"type": "Succeeded", "status": "False"}}}
	if err := s.Client.Status().Update(s.T.Context(), run); err != nil {
		s.T.Fatal(err)
	}
}

// allFindings are those of all namespaces, in their order.
var allFindings = []string{
	"ci EventListener/broken dangling-reference",
	"ci TaskRun/running exception",
	"other EventListener/broken dangling-reference",
}

func (s *site) auditAll(t *testing.T) {
	s.T = t
	report, errOut, err := s.audited()
	if err != nil || !slices.Equal(report.has(), allFindings) {
		t.Fatalf("got %q %v\n%s", report.has(), err, errOut)
	}
	first := report.Findings[0]
	if first.Severity != "error" || first.Mode != "warn" || first.Path != "spec.triggers[0].bindings[0].ref" ||
		!strings.Contains(first.Message, `did you mean "right"?`) ||
		first.Object.APIVersion != "triggers.tekton.dev/v1beta1" || time.Since(first.Object.Created) > time.Hour {
		t.Errorf("the first finding is %+v", first)
	}
	if report.Summary["error"] != 2 || report.Summary["warning"] != 1 || report.Summary["info"] != 0 ||
		!report.Complete || len(report.Unread)+len(report.Unknown) > 0 {
		t.Errorf("got %+v", report)
	}
	if want := "ConfigMap tekgate/tekgate-config"; report.Config != want ||
		!strings.Contains(errOut, "the rules are configured by "+want) {
		t.Errorf("the configuration is %s\n%s", report.Config, errOut)
	}
	if len(report.Excepted) != 2 || report.Excepted[0].Object.Name != "ending" || !report.Excepted[0].Soon ||
		report.Excepted[0].Reason != "moved, OPS-1" ||
		report.Excepted[1].Until != "2999-01-01" || report.Excepted[1].Soon {
		t.Errorf("excepted are %+v", report.Excepted)
	}
	left := report.LeftOut
	if left.Done != 1 || left.OfPipelineRuns != 1 ||
		!slices.Equal(slices.Sorted(maps.Keys(left.Namespaces)), []string{"out", "tekton-pipelines"}) ||
		left.Namespaces["out"].Objects != 1 ||
		!strings.Contains(left.Namespaces["out"].Reason, "tekgate.dev/validate") {
		t.Errorf("left out are %+v", left)
	}
	clitest.InOrder(t, errOut, "read 7 EventListeners\n", "the cluster serves no ClusterTask",
		"7 objects: 2 errors, 1 warning, 0 hints; 2 excepted; 1 of them not for long; 1 done and left out; 2 namespaces left out\n")
	again, _, _ := s.audited("-A")
	again.Time = report.Time
	if a, b := fmt.Sprintf("%+v", again), fmt.Sprintf("%+v", report); a != b {
		t.Errorf("-A says\n%s\nand the default\n%s", a, b)
	}
}

func (s *site) auditScope(t *testing.T) {
	s.T = t
	for args, want := range map[string][]string{
		"-n ci":                            allFindings[:2],
		"-n out":                           {"out EventListener/broken dangling-reference"},
		"-n tekton-pipelines":              {"tekton-pipelines EventListener/broken dangling-reference"},
		"-n nowhere":                       nil,
		"-l app=broken":                    {allFindings[0], allFindings[2]},
		"-l app=fine":                      nil,
		"--severity error":                 {allFindings[0], allFindings[2]},
		"--rule exception":                 {allFindings[1]},
		"--rule exception --severity info": {allFindings[1]},
		"--all -n ci":                      {allFindings[0], "ci TaskRun/done exception", allFindings[1]},
	} {
		report, errOut, err := s.audited(strings.Fields(args)...)
		if err != nil || !slices.Equal(report.has(), want) {
			t.Errorf("%s: got %q %v, want %q\n%s", args, report.has(), err, want, errOut)
		}
	}
}

func (s *site) auditStatus(t *testing.T) {
	s.T = t
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"":                               {0, ""},
		"--fail-on never":                {0, ""},
		"--fail-on error":                {1, "2 findings at or above error"},
		"--fail-on info":                 {1, "3 findings at or above info"},
		"--fail-on error -l app=fine":    {0, ""},
		"--fail-on bad":                  {2, "say error, warning, info or never"},
		"--severity bad":                 {2, "say error, warning or info"},
		"-o xml":                         {2, "say table, json, yaml, name, jsonpath=TEMPLATE, html or openreports"},
		"--rule dangling-references":     {2, `did you mean "dangling-reference"?`},
		"-A -n ci":                       {2, "contradict each other"},
		"-l ===":                         {2, "reading --selector"},
		"--config nowhere.yaml":          {2, "nowhere.yaml"},
		"--kubeconfig nowhere --context": {1, "flag needs an argument"},
	} {
		_, _, err := program.Run(t, "", append(append([]string{"audit"}, s.Kubeconfig...), strings.Fields(args)...)...)
		if got := cli.Status(err); got != want.status || (err != nil && !strings.Contains(err.Error(), want.text)) {
			t.Errorf("%s: status %d, %v", args, got, err)
		}
	}
}

func (s *site) auditTable(t *testing.T) {
	s.T = t
	out, _ := program.Must(t, append([]string{"audit"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "namespace ci\n  EventListener/broken, ", "s old\n    error ", "dangling-reference",
		"spec.triggers[0].bindings[0].ref", "did you mean", "\n  TaskRun/running, ",
		"\nnamespace other\n  EventListener/broken, ", "\nexcepted\n    until ", " (soon)",
		"EventListener/ending in namespace ci", "moved, OPS-1", "until 2999-01-01 ")
	if strings.Contains(out, "fine") || strings.Contains(out, "\x1b") {
		t.Errorf("got\n%s", out)
	}
}

// auditPage parses the page as a browser does.
func (s *site) auditPage(t *testing.T) {
	s.T = t
	out, _ := program.Must(t, append([]string{"audit", "-o", "html"}, s.Kubeconfig...)...)
	root, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	ids, links, texts, findings, scripts := map[string]int{}, []string{}, &strings.Builder{}, 0, 0
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" && n.Parent.Data != "style" {
			texts.WriteString(n.Data)
		}
		if n.Type == html.ElementNode && n.Data == "script" {
			scripts++
		}
		for _, a := range n.Attr {
			switch {
			case a.Key == "id":
				ids[a.Val]++
			case a.Key == "href":
				links = append(links, a.Val)
			case a.Key == "src" || strings.HasPrefix(a.Key, "on"):
				t.Errorf("%s has %s=%q", n.Data, a.Key, a.Val)
			case a.Key == "data-rule":
				findings++
			}
		}
	}
	if findings != len(allFindings) || scripts != 1 {
		t.Errorf("%d findings, %d scripts", findings, scripts)
	}
	for _, link := range links {
		if !strings.HasPrefix(link, "#") || ids[link[1:]] != 1 {
			t.Errorf("the link %s leads to %d places", link, ids[strings.TrimPrefix(link, "#")])
		}
	}
	for id, n := range ids {
		if n != 1 {
			t.Errorf("the id %s stands in %d places", id, n)
		}
	}
	text := strings.Join(strings.Fields(texts.String()), " ")
	clitest.InOrder(t, text, "7 objects judged", "The rules are configured by ConfigMap tekgate/tekgate-config",
		"By rule", "By namespace", "Findings", "namespace ci",
		"EventListener broken", "spec.triggers[0].bindings[0].ref", `did you mean "right"?`, "Exceptions", " (soon)",
		"moved, OPS-1", "2999-01-01", "<script>alert(1)</script>",
		"Left out", "of runs that have ended: 1", "namespace out: its label tekgate.dev/validate is disabled",
		"What the rules say", "Tekton accepts it, answers 202 to each event")
	if strings.Contains(out, "<script>alert") || strings.Contains(text, "incomplete") {
		t.Error("it holds what it should not")
	}
}

func (s *site) auditConfiguration(t *testing.T) {
	s.T = t
	off := clitest.File(t, "tekgate.yaml",
		strings.Replace(twoRules(t), "rules: {}", "rules:", 1)+
			"    dangling-reference: {mode: off, namespaces: [{match: [other], mode: enforce}]}\n    exception: {mode: off}\n")
	report, errOut, err := s.audited("--config", off, "--rule", "exception", "--rule", "dangling-reference")
	if err != nil || !slices.Equal(report.has(), allFindings[2:]) || report.Findings[0].Mode != validator.Enforce ||
		report.Config != "the file "+off {
		t.Errorf("got %+v %v", report, err)
	}
	if !strings.Contains(errOut, "warning: rule exception is off in this configuration") ||
		strings.Contains(errOut, "warning: rule dangling") {
		t.Errorf("it says %s", errOut)
	}
	s.Patch("v1 ConfigMap tekgate/tekgate-config", `{"data": {"config.yaml": "kind: Nonsense"}}`)
	if _, _, err := program.Run(t, "", append([]string{"audit"}, s.Kubeconfig...)...); cli.Status(err) != 2 ||
		!strings.Contains(err.Error(), "pass another with --config") {
		t.Errorf("a bad one gives %v", err)
	}
}

// auditRestricted holds what a user gets who may list EventListeners in one namespace,
// and see the names of namespaces.
func (s *site) auditRestricted(t *testing.T, kubeconfig string) {
	s.T = t
	s.Create(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: names}
rules: [{apiGroups: [""], resources: [namespaces], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: names}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: names}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: listeners, namespace: ci}
rules: [{apiGroups: [triggers.tekton.dev], resources: [eventlisteners], verbs: [list]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: listeners, namespace: ci}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: listeners}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: eve}]
`)
	eve := clitest.Impersonating(t, kubeconfig, "eve")
	e := &site{&clitest.Site{T: t, Program: program, Kubeconfig: []string{"--kubeconfig", eve}}}
	report, errOut, err := e.audited()
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), "the audit is incomplete: ") || report.Complete {
		t.Errorf("got %v", err)
	}
	unread := map[string][]string{}
	for _, u := range report.Unread {
		unread[u.Kind] = append([]string{"in"}, u.Namespaces...)
		if !strings.Contains(u.Reason, `User "eve" cannot`) || u.Remedy == "" {
			t.Errorf("%s: %s: %s", u.Kind, u.Reason, u.Remedy)
		}
	}
	if in := strings.Join(unread["EventListener"], " "); in != "in default other" {
		t.Errorf("EventListeners were not read %s", in)
	}
	if unread["Task"] == nil || len(unread["Task"]) != 1 || unread["ClusterInterceptor"] == nil ||
		unread["ConfigMap"] == nil {
		t.Errorf("not read were %v", unread)
	}
	if report.Objects != 4 || len(report.Unknown) != 4 ||
		strings.Contains(strings.Join(report.has(), " "), "dangling-reference") ||
		!strings.Contains(report.Unknown[0].What[0], "spec.triggers[0].bindings[0].ref was not checked") {
		t.Errorf("of %d objects unknown are %v, findings %v", report.Objects, report.Unknown, report.has())
	}
	clitest.InOrder(t, errOut, "warning: reading ConfigMap tekgate/tekgate-config: ",
		"pass the configuration with --config", `warning: listing Tasks: `, `User "eve" cannot list`,
		"ask for the permission to list tasks.tekton.dev")
	out, _, _ := program.Run(t, "", append([]string{"audit", "-o", "html"}, e.Kubeconfig...)...)
	clitest.InOrder(t, out, "This audit is incomplete.", "EventListener in default, other: ", "Not judged in full")
	if _, errOut, err := e.audited("-n", "ci"); cli.Status(err) != 2 || strings.Contains(errOut, "ClusterInterceptor") {
		t.Errorf("in one namespace: %v\n%s", err, errOut)
	}
}

// auditSnapshot holds that what is not listed is asked for once, and that of Secrets
// nothing is known but their keys.
func (s *site) auditSnapshot(t *testing.T, c *cluster.Cluster) {
	s.T = t
	s.Create(
		"apiVersion: v1\nkind: Secret\nmetadata: {name: hook, namespace: ci, annotations: {kubectl.kubernetes.io/last-applied-configuration: hunter2}}\nstringData: {token: hunter2, other: hunter2}\n")
	singly, err := judge.Connect(c.Config)
	if err != nil {
		t.Fatal(err)
	}
	there, ctx := newSnapshot(singly), t.Context()
	keys, err := there.Keys(ctx, "ci", "hook")
	slices.Sort(keys)
	if err != nil || !slices.Equal(keys, []string{"other", "token"}) {
		t.Errorf("the keys are %v, %v", keys, err)
	}
	secret, err := there.Get(ctx, schema.GroupKind{Kind: "Secret"}, "ci", "hook")
	if err != nil || secret == nil || strings.Contains(fmt.Sprint(there), "hunter2") ||
		strings.Contains(fmt.Sprint(secret), "aHVudGVyMg") {
		t.Errorf("the Secret is %v, %v", secret, err)
	}
	if keys, err := there.Keys(ctx, "ci", "none"); keys != nil || err != nil {
		t.Errorf("a Secret that is not there has the keys %v, %v", keys, err)
	}
	may, err := there.May(ctx, validator.Account{Namespace: "ci", Name: "default"},
		validator.Access{Verb: "create", Group: "tekton.dev", Resource: "taskruns", Namespace: "ci"})
	if err != nil || may {
		t.Errorf("it may: %v, %v", may, err)
	}
	bindings := schema.GroupKind{Group: "triggers.tekton.dev", Kind: "TriggerBinding"}
	if one, err := there.Get(ctx, bindings, "ci", "right"); one == nil || err != nil {
		t.Errorf("the binding is %v, %v", one, err)
	}
	there.complete(bindings, "")
	there.add(bindings, "ci", "added", map[string]any{})
	if one, _ := there.Get(ctx, bindings, "other", "right"); one != nil {
		t.Errorf("what is complete is asked for: %v", one)
	}
	names, err := there.Names(ctx, bindings, "ci")
	if err != nil || !slices.Equal(names, []string{"added"}) {
		t.Errorf("the names are %v, %v", names, err)
	}
	there.add(bindings, "other", "a", map[string]any{})
	if names, err := there.Names(ctx, bindings, ""); err != nil || !slices.Equal(names, []string{"a", "added"}) {
		t.Errorf("the names of all namespaces are %v, %v", names, err)
	}
	if asked := len(there.answers); asked != 5 {
		t.Errorf("%d things were asked for", asked)
	}
}

// TestAuditRuns holds which runs are history.
func TestAuditRuns(t *testing.T) {
	run := func(kind, status, owner string) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{"kind": kind, "metadata": map[string]any{},
			"status": map[string]any{
				"conditions": []any{map[string]any{"type": "Ready", "status": "True"},
					map[string]any{"type": "Succeeded", "status": status}}}}}
		if owner != "" {
			o.Object["metadata"].(map[string]any)["ownerReferences"] = []any{map[string]any{"kind": owner}}
		}
		return o
	}
	for status, want := range map[string]bool{"True": true, "False": true, "Unknown": false} {
		if isDone(run("TaskRun", status, "")) != want {
			t.Errorf("%s is done: %v", status, !want)
		}
	}
	if isDone(&unstructured.Unstructured{Object: map[string]any{}}) {
		t.Error("a run without a status is done")
	}
	if !ofPipelineRun(run("CustomRun", "", "PipelineRun")) || ofPipelineRun(run("PipelineRun", "", "PipelineRun")) ||
		ofPipelineRun(run("TaskRun", "", "CronJob")) {
		t.Error("whose a run is is not known")
	}
}

// TestAuditDoc holds that the text of every rule can be shown.
func TestAuditDoc(t *testing.T) {
	for _, rule := range validator.Rules {
		if len(docOf(validator.Rules, rule.ID)) == 0 {
			t.Errorf("%s has no text", rule.ID)
		}
	}
	got := fmt.Sprint(paragraphOf("a `b` c"), paragraphOf("    block"), paragraphOf("| a |"), paragraphOf(""))
	if want := "{[{a  false} {b true} { c false}] } {[]     block} {[] | a |} {[] }"; got != want {
		t.Errorf("got %s", got)
	}
}

// TestAuditDocumented holds that docs/policy.md names every field of the JSON.
func TestAuditDocumented(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := bytes.Cut(text, []byte("### JSON"))
	if !found {
		t.Fatal("docs/policy.md says nothing of the JSON")
	}
	seen := 0
	var fields func(reflect.Type)
	fields = func(in reflect.Type) {
		for in.Kind() == reflect.Slice || in.Kind() == reflect.Map {
			in = in.Elem()
		}
		for i := 0; in.Kind() == reflect.Struct && in != reflect.TypeFor[time.Time]() && i < in.NumField(); i++ {
			name, _, _ := strings.Cut(in.Field(i).Tag.Get("json"), ",")
			if seen++; name != "" && !bytes.Contains(text, []byte("`"+name+"`")) {
				t.Errorf("docs/policy.md does not name the field %s", name)
			}
			fields(in.Field(i).Type)
		}
	}
	fields(reflect.TypeFor[auditReport]())
	if seen < 30 {
		t.Errorf("only %d fields were looked for", seen)
	}
}
