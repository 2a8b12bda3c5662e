package hook

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	pipeline "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/triggers/pkg/apis/triggers/contexts"
	triggers "github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/validator"
)

const pushed = `{"ref":"refs/heads/master","after":"6ad1c9f5f3b1f0c4bb0d3a2d8d9d1c0e5a7f9b31","repository":{"full_name":"team/app"}}`

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// hookTool runs `tekgate hook` and fails where it says the secret.
func hookTool(t *testing.T, args ...string) (out, errOut string, err error) {
	t.Helper()
	out, errOut, err = program.Run(t, "", append([]string{"hook"}, args...)...)
	said := out + errOut
	if err != nil {
		said += err.Error()
	}
	if strings.Contains(said, "hunter2") {
		t.Errorf("tekgate hook %s says the secret:\n%s", strings.Join(args, " "), said)
	}
	return out, errOut, err
}

func TestHookSign(t *testing.T) {
	body := write(t, "push.json", pushed)
	// Written down a second time on purpose: not by the code under test.
	mac := hmac.New(sha256.New, []byte("hunter2"))
	mac.Write([]byte("1785585600000\nhunter2"))
	token := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for name, secret := range map[string]string{"as it is": "hunter2", "with a newline": "hunter2\n",
		"with a newline of Windows": "hunter2\r\n"} {
		t.Run(name, func(t *testing.T) {
			out, _, err := hookTool(t, "sign", "--provider=gitee", "--mode=sign", "--secret-file",
				write(t, "s", secret), "--body", body, "--time=2026-08-01T12:00:00Z")
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range []string{"X-Gitee-Token: " + token + "\n", "X-Gitee-Timestamp: 1785585600000\n",
				"Content-Type: application/json\n"} {
				if !strings.Contains(out, line) {
					t.Errorf("%q is not in\n%s", line, out)
				}
			}
		})
	}
	t.Setenv("HOOK_SECRET", "hunter2")
	out, _, err := hookTool(t, "sign", "--provider=github", "--secret-env=HOOK_SECRET", "--body", body,
		"--event=pull_request", "-o", "json")
	var signed struct{ Header http.Header }
	if err != nil || json.Unmarshal([]byte(out), &signed) != nil ||
		signed.Header.Get("X-GitHub-Event") != "pull_request" {
		t.Errorf("got %s, error %v", out, err)
	}
}

func TestHookSignRefuses(t *testing.T) {
	body, secret := write(t, "push.json", pushed), write(t, "s", "hunter2")
	for _, tt := range []struct {
		name, want string
		args       []string
	}{
		{"no body", "--body is missing", []string{"--provider=github", "--secret-file", secret}},
		{"no provider", "param provider is missing", []string{"--secret-file", secret, "--body", body}},
		{"misspelt", `did you mean "github"`, []string{"--provider=githb", "--secret-file", secret, "--body", body}},
		{"no secret", "no secret is named", []string{"--provider=github", "--body", body}},
		{"two secrets", "pass one of them",
			[]string{"--provider=github", "--body", body, "--secret-file", secret, "--secret-env=X"}},
		{"empty variable", "no variable HOOK_NOTHING",
			[]string{"--provider=github", "--body", body, "--secret-env=HOOK_NOTHING"}},
		{"bad time", "write it like",
			[]string{"--provider=github", "--body", body, "--secret-file", secret, "--time=yesterday"}},
		{"bad param", "NAME=VALUE",
			[]string{"--provider=github", "--body", body, "--secret-file", secret, "--param=x"}},
		{"unknown param", "moed",
			[]string{"--provider=github", "--body", body, "--secret-file", secret, "--param=moed=sha1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := hookTool(t, append([]string{"sign"}, tt.args...)...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

// signedRequest returns a request as it is on the wire.
func signedRequest(t *testing.T, secret, lineEnd string) string {
	t.Helper()
	body := write(t, "push.json", pushed)
	out, _, err := program.Run(t, secret, "hook", "sign", "--provider=gitee", "--mode=sign", "--secret-file=-",
		"--body", body)
	if err != nil {
		t.Fatal(err)
	}
	return "POST /hooks/ci?x=1 HTTP/1.1" + lineEnd + strings.ReplaceAll(out, "\n", lineEnd) + lineEnd + pushed
}

func TestHookExplain(t *testing.T) {
	params := []string{"--provider=gitee", "--mode=sign", "--secret-file", write(t, "s", "hunter2")}
	explain := func(args ...string) (interceptor.Explanation, error) {
		out, _, err := hookTool(t, append(append([]string{"explain", "-o", "json"}, args...), params...)...)
		var e interceptor.Explanation
		if jsonErr := json.Unmarshal([]byte(out), &e); jsonErr != nil {
			t.Fatalf("%v: %v: %s", err, jsonErr, out)
		}
		return e, err
	}
	for name, end := range map[string]string{"on the wire": "\r\n", "as editors save it": "\n"} {
		e, err := explain(write(t, "request", signedRequest(t, "hunter2", end)))
		if err != nil || !e.Continue || e.Reason != "verified" {
			t.Errorf("%s: got %+v, error %v", name, e, err)
		}
	}
	e, err := explain(write(t, "request", signedRequest(t, "another", "\n")))
	if !errors.Is(err, errRefused) || cli.Status(err) != 2 || e.Reason != "signature-mismatch" {
		t.Errorf("another secret: got %+v, error %v", e, err)
	}
	late := time.Now().Add(5 * time.Hour).UTC().Format(time.RFC3339)
	if e, err = explain(write(t, "request", signedRequest(t, "hunter2", "\n")), "--at", late); !errors.Is(err,
		errRefused) || e.Reason != "signed-too-long-ago" {
		t.Errorf("five hours later: got %+v, error %v", e, err)
	}
	out, _, err := hookTool(t,
		append([]string{"explain", write(t, "request", signedRequest(t, "another", "\n"))}, params...)...)
	if err == nil || !strings.Contains(out, "verdict  stop\nreason   signature-mismatch\n") {
		t.Errorf("for people: got %s, error %v", out, err)
	}
}

func TestParseCapture(t *testing.T) {
	body := "{\"a\":1}\r\n\r\n\n"
	for _, tt := range []struct{ name, text string }{
		{"wire", "POST /x?y=1 HTTP/1.1\r\nx-gitee-token: a\r\nX-Gitee-Token:b \r\n\r\n" + body},
		{"editor", "POST /x?y=1 HTTP/1.1\nX-Gitee-Token: a\nX-Gitee-Token: b\n\n" + body},
		{"curl", "> POST /x?y=1 HTTP/1.1\n> X-Gitee-Token: a\n> X-Gitee-Token: b\n\n" + body},
		{"JSON", `{"header":{"X-Gitee-Token":["a","b"]},"body":"{\"a\":1}\r\n\r\n\n","url":"/x?y=1"}`},
		{"EventListener",
			`{"header":{"X-Gitee-Token":["a","b"]},"body":"{\"a\":1}\r\n\r\n\n","context":{"event_url":"/x?y=1"},"interceptor_params":{"provider":"gitee"}}`},
	} {
		c, err := parseCapture([]byte(tt.text))
		if err != nil || c.Body != body || strings.Join(c.Header["X-Gitee-Token"], ",") != "a,b" || c.URL != "/x?y=1" {
			t.Errorf("%s: got %+v, error %v", tt.name, c, err)
		}
	}
	for _, tt := range []struct{ name, text, want string }{
		{"nothing", "", "no empty line"},
		{"a body alone", pushed, `has to have "header" and "body"`},
		{"a body that was parsed", `{"header":{"a":"b"},"body":{"ref":"x"}}`, "has to be a string"},
		{"no headers", "no header at all\nneither here\n\n{}", "line 2 is no NAME: VALUE"},
	} {
		if _, err := parseCapture([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

// replica serves deliveries as one process of the interceptor does.
func replica(t *testing.T, name string, records ...interceptor.Record) string {
	t.Helper()
	log := deliveries.New(deliveries.Options{Replica: name, PerTrigger: 10, Triggers: 10})
	for _, r := range records {
		log.Observe(r)
	}
	server := httptest.NewServer(deliveries.Handler(log.Source))
	t.Cleanup(server.Close)
	return server.URL
}

func record(second int, edit func(*interceptor.Record)) interceptor.Record {
	r := interceptor.Record{
		Time: time.Date(2026, 8, 1, 12, 0, second, 0, time.UTC), TriggerID: "namespaces/ci/triggers/build",
		EventID:  "e" + string(rune('0'+second)),
		Provider: "gitee", Event: "push", Repository: "team/app", Reason: "verified", Continue: true, Verified: true,
	}
	edit(&r)
	return r
}

func TestHookDeliveries(t *testing.T) {
	nothing := func(*interceptor.Record) {}
	refused := func(r *interceptor.Record) {
		r.Continue, r.Verified, r.Reason, r.Message, r.Cause = false, false, "secret-unusable",
			"the Secret is of no use", errors.New("it has no such key")
		r.Event = "pushed\x1b[2J"
	}
	a := replica(t, "pod-a", record(1, nothing), record(3, refused))
	b := replica(t, "pod-b", record(2, nothing))
	out, _, err := hookTool(t, "deliveries", "--replica", a, "--replica", b)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 7 || !strings.Contains(lines[1], "e1") || !strings.Contains(lines[2], "e2") ||
		!strings.Contains(lines[3], "e3") {
		t.Errorf("want a line for each, the newest last:\n%s", out)
	}
	for _, part := range []string{"secret-unusable: the Secret is of no use", "cause: it has no such key", "ci/build"} {
		if !strings.Contains(out, part) {
			t.Errorf("%q is not in\n%s", part, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("a sender's escape sequence reaches the terminal")
	}
	out, _, err = hookTool(t, "deliveries", "--replica", a, "--replica", b, "--refused", "-o", "json")
	var list []deliveries.Delivery
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != 1 || list[0].Replica != "pod-a" {
		t.Errorf("got %s, error %v", out, err)
	}
	// One replica that is away does not hide what the others know.
	out, errOut, err := hookTool(t, "deliveries", "--replica", b, "--replica", "http://127.0.0.1:1")
	if err != nil || !strings.Contains(out, "e2") || !strings.Contains(errOut, "warning: reading the deliveries") {
		t.Errorf("got %s%s, error %v", out, errOut, err)
	}
	if _, _, err = hookTool(t, "deliveries", "--replica", "http://127.0.0.1:1"); err == nil {
		t.Error("no replica answers, and that is no error")
	}
	_, errOut, err = hookTool(t, "deliveries", "--replica", a, "-n", "nowhere")
	if err != nil || !strings.Contains(errOut, "there are none") {
		t.Errorf("got %s, error %v", errOut, err)
	}
	if _, _, err = hookTool(t, "deliveries", "--replica", a, "--serve", "0.0.0.0:0"); err == nil ||
		!strings.Contains(err.Error(), "loopback") {
		t.Errorf("serving to everybody: got %v", err)
	}
}

// TestHookSend sends to what answers as an EventListener does, and asks a replica.
func TestHookSend(t *testing.T) {
	var got http.Header
	var read string
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		text := make([]byte, r.ContentLength)
		r.Body.Read(text)
		read = string(text)
		w.WriteHeader(http.StatusAccepted)
		w.Write([]byte(`{"eventListener":"x","eventID":"e2"}`))
	}))
	defer listener.Close()
	args := []string{"send", "--provider=gitee", "--mode=sign", "--secret-file", write(t, "s", "hunter2"), "--body",
		write(t, "push.json", pushed), "--url", listener.URL}
	out, errOut, err := hookTool(t, args...)
	if err != nil || strings.TrimSpace(out) != "e2" || !strings.Contains(errOut, "202") ||
		got.Get("X-Gitee-Token") == "" || read != pushed {
		t.Errorf("got %s%s, error %v, headers %v, body %s", out, errOut, err, got, read)
	}
	verdicts := replica(t, "pod", record(2, func(*interceptor.Record) {}))
	if out, _, err = hookTool(t, append(args, "--verdict", "--replica", verdicts)...); err != nil ||
		!strings.Contains(out, "continue") {
		t.Errorf("got %s, error %v", out, err)
	}
	verdicts = replica(t, "pod", record(2, func(r *interceptor.Record) { r.Continue, r.Reason = false, "filtered" }))
	if out, _, err = hookTool(t, append(args, "--verdict", "--replica", verdicts)...); cli.Status(err) != 2 ||
		!strings.Contains(out, "filtered") {
		t.Errorf("got %s, error %v", out, err)
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	if _, _, err = hookTool(t, append(args[:len(args)-1:len(args)-1], other.URL)...); err == nil ||
		!strings.Contains(err.Error(), "names no event") {
		t.Errorf("something else answers: got %v", err)
	}
	if _, _, err = hookTool(t, args[:len(args)-2]...); err == nil || !strings.Contains(err.Error(), "say where to") {
		t.Errorf("nowhere to send to: got %v", err)
	}
}

func TestHookScaffold(t *testing.T) {
	for _, args := range [][]string{
		{"--provider=gitee", "--repo=https://gitee.com/team/app.git",
			"--image=registry.cn-hangzhou.aliyuncs.com/team/app"},
		{"--provider=gitee", "--mode=password", "--repo=git@gitee.com:team/My_App.git",
			"--image=registry.example.com:5000/app:v1", "-n=ci", "--branch=release/*"},
		{"--provider=github", "--repo=https://github.com/team/app", "--image=app", "--dockerfile=deploy/Dockerfile"},
		{"--provider=gitlab", "--mode=signing-token", "--repo=ssh://git@gitlab.example.com/group/sub/app.git",
			"--image=app", "--name=x"},
		{"--provider=gitea", "--repo=https://gitea.example.com/team/app", "--image=app"},
		{"--provider=gitcode", "--mode=sign", "--repo=https://gitcode.com/team/app", "--image=app"},
		{"--provider=bitbucket", "--repo=https://bitbucket.org/team/app", "--image=app"},
	} {
		t.Run(strings.Join(args[:2], " "), func(t *testing.T) {
			out, errOut, err := hookTool(t, append([]string{"scaffold"}, args...)...)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(errOut, "create secret generic") ||
				!strings.Contains(errOut, "label secret") || strings.Contains(out, "kind: Secret\n") {
				t.Errorf("the secret's value is for the user to make:\n%s", errOut)
			}
			objects, err := release.Read(strings.NewReader(out))
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			checkScaffold(t, objects)
		})
	}
}

// checkScaffold judges the objects, and counts their kinds.
func checkScaffold(t *testing.T, objects []*unstructured.Unstructured) {
	t.Helper()
	seen := judgeScaffold(t, objects)
	for kind, want := range map[string]int{"EventListener": 1, "TriggerBinding": 1, "TriggerTemplate": 1, "Task": 1,
		"ServiceAccount": 2, "RoleBinding": 1, "ClusterRoleBinding": 1} {
		if seen[kind] != want {
			t.Errorf("%d of kind %s, want %d", seen[kind], kind, want)
		}
	}
}

// judgeScaffold judges each of the objects as if they were in one folder, and counts their kinds.
func judgeScaffold(t *testing.T, objects []*unstructured.Unstructured) map[string]int {
	t.Helper()
	var set []validator.Subject
	for _, u := range objects {
		set = append(set, validator.Subject{Kind: u.GroupVersionKind(), Namespace: u.GetNamespace(), Fields: u.Object})
	}
	v := &validator.Validator{Config: validator.Default(), Cluster: validator.NewSet(set)}
	seen := map[string]int{}
	for _, u := range objects {
		seen[u.GetKind()]++
		// What a template names is there before it, or the admission webhook warns.
		if kind := u.GetKind(); seen["TriggerTemplate"] > 0 && (kind == "Task" || kind == "ServiceAccount") {
			t.Errorf("%s %s is applied after the TriggerTemplate", kind, u.GetName())
		}
		raw, err := u.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		outcome := v.Judge(t.Context(),
			validator.Subject{Kind: u.GroupVersionKind(), Namespace: u.GetNamespace(), Fields: u.Object})
		for _, finding := range outcome.Findings {
			t.Errorf("%s %s: %s", u.GetKind(), u.GetName(), finding)
		}
		if err := tektonValidates(t.Context(), u.GetKind(), raw); err != nil {
			t.Errorf("Tekton refuses %s %s: %v", u.GetKind(), u.GetName(), err)
		}
	}
	return seen
}

type validatable interface {
	apis.Defaultable
	apis.Validatable
}

// tektonValidates asks the functions that Tekton's own webhooks ask. Unknown fields
// are errors, as they are there.
func tektonValidates(ctx context.Context, kind string, raw []byte) error {
	into := map[string]validatable{
		"EventListener": &triggers.EventListener{}, "TriggerBinding": &triggers.TriggerBinding{},
		"TriggerTemplate": &triggers.TriggerTemplate{},
		"Task":            &pipeline.Task{},
	}[kind]
	if into == nil {
		return nil
	}
	if err := yaml.UnmarshalStrict(raw, into); err != nil {
		return err
	}
	ctx = contexts.WithUpgradeViaDefaulting(ctx)
	into.SetDefaults(ctx)
	if err := into.Validate(ctx); err != nil {
		return err
	}
	template, ok := into.(*triggers.TriggerTemplate)
	if !ok {
		return nil
	}
	for _, r := range template.Spec.ResourceTemplates {
		if err := runValidates(ctx, r.Raw); err != nil {
			return err
		}
	}
	return nil
}

// runValidates asks the functions for a run that a template creates.
func runValidates(ctx context.Context, raw []byte) error {
	var kind metav1.TypeMeta
	if err := json.Unmarshal(raw, &kind); err != nil {
		return err
	}
	var run interface {
		validatable
		SetName(name string)
	} = &pipeline.TaskRun{}
	if kind.Kind == "PipelineRun" {
		run = &pipeline.PipelineRun{}
	}
	if err := yaml.UnmarshalStrict(raw, run); err != nil {
		return err
	}
	run.SetDefaults(ctx)
	run.SetName("generated")
	if err := run.Validate(ctx); err != nil {
		return err
	}
	return nil
}

// No script may hold anything that Tekton replaces: what it replaces it with came
// from outside.
func TestTrap38_ScaffoldPutsNothingIntoScripts(t *testing.T) {
	out, _, err := hookTool(t, "scaffold", "--repo=https://gitee.com/team/app", "--image=app")
	if err != nil {
		t.Fatal(err)
	}
	objects, err := release.Read(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for _, u := range objects {
		steps, _, _ := unstructured.NestedSlice(u.Object, "spec", "steps")
		for _, s := range steps {
			script, _ := s.(map[string]any)["script"].(string)
			if script != "" {
				scripts++
			}
			if strings.Contains(script, "$(") {
				t.Errorf("a script of %s has something replaced in it:\n%s", u.GetName(), script)
			}
		}
	}
	if scripts == 0 {
		t.Error("there is no script to look at")
	}
}

func TestHookScaffoldRefuses(t *testing.T) {
	good := map[string]string{"--provider": "gitee", "--repo": "https://gitee.com/team/app", "--image": "app"}
	for _, tt := range []struct{ flag, value, want string }{
		{"--provider", "githb", `did you mean "github"`},
		{"--provider", "gitee\nevil: x", "provider"},
		{"--mode", "both", "mode"},
		{"--repo", "", "--repo and --image"},
		{"--repo", "https://user:pass@gitee.com/team/app", "tekgate credentials git"},
		{"--repo", "https://gitee.com/app", "OWNER/NAME"},
		{"--repo", "https://gitee.com/team/$(reboot)", "OWNER/NAME"},
		{"--repo", "/team/app", "OWNER/NAME"},
		{"--image", "App", "parsing image"},
		{"--image", "app@sha256:" + strings.Repeat("0", 64), "no digest"},
		{"--name", "Ä", "no object's name"},
		{"--namespace", "a/b", "no object's name"},
		{"--name", strings.Repeat("a", 55), "too long"},
		{"--secret", "a: b", "no object's name"},
		{"--secret-key", "a b", "no Secret's key"},
		{"--dockerfile", "../../etc/passwd", "no path"},
		{"--dockerfile", "-x", "no path"},
		{"--branch", "a b", "no glob"},
		{"--git-image", "a b", "parsing image"},
	} {
		args := []string{"scaffold"}
		for flag, value := range good {
			if flag != tt.flag {
				args = append(args, flag+"="+value)
			}
		}
		_, _, err := hookTool(t, append(args, tt.flag+"="+tt.value)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s=%s: got %v, want an error with %q", tt.flag, tt.value, err, tt.want)
		}
	}
}
