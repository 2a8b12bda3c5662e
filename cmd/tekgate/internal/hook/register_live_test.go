package hook

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// registerSite is an API server with an interceptor, and an EventListener.
type registerSite struct {
	*hookSite
	t           *testing.T
	interceptor string // address
	deliveries  string // URL
	listener    *httptest.Server
	events      atomic.Int64
	broken      atomic.Pointer[string] // how the listener misbehaves
	refusals    sync.Map               // triggers' names by the ids of deliveries that were not verified
	late        sync.Map               // params by the trigger's name, of a listener that learns late
}

func TestRegisterLive(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	l := &registerSite{hookSite: newHookSite(t), t: t}
	first := l.replica(t, "a")
	l.interceptor = first.address(t, "serving events")
	l.deliveries = "http://" + first.address(t, "serving deliveries")
	first.address(t, "ClusterInterceptor tekgate is published")
	l.listener = httptest.NewUnstartedServer(http.HandlerFunc(l.serve))
	l.listener.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that distrust it
	l.listener.StartTLS()
	t.Cleanup(l.listener.Close)
	for _, f := range forge.All {
		t.Run(string(f), func(t *testing.T) { l.as(t, f).testForge() })
	}
	for _, tt := range []struct {
		name string
		run  func(*hookCase)
	}{
		{"failures", (*hookCase).testFailures}, {"stages", (*hookCase).testStages}, {"twice", (*hookCase).testTwice},
		{"no secretRef", (*hookCase).testNoSecretRef},
		{"another secret", (*hookCase).testOtherSecret},
		{"another key", (*hookCase).testOtherKey}, {"rotation", (*hookCase).testRotate},
		{"failed rotation", (*hookCase).testRotateFails}, {"no Trigger", (*hookCase).testWithoutTrigger},
		{"documented rights", (*hookCase).testRights},
		{"inline trigger", (*hookCase).testInline}, {"token for statuses", (*hookCase).testStatusToken},
		{"arguments", (*hookCase).testArguments}, {"shared key", (*hookCase).testShared},
		{"two at once", (*hookCase).testTwoAtOnce}, {"another scheme", (*hookCase).testScheme},
		{"failed result", (*hookCase).testFailedResult}, {"page", (*hookCase).testPage},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(l.as(t, forge.Gitea)) })
	}
	t.Run("GitLab's answers", func(t *testing.T) { l.as(t, forge.GitLab).testGitLab() })
}

// serve is an EventListener: the path names the trigger.
func (l *registerSite) serve(w http.ResponseWriter, r *http.Request) {
	broken := l.broken.Load()
	body, err := io.ReadAll(r.Body)
	if err != nil || broken != nil && *broken == "gone" {
		http.Error(w, "no", http.StatusNotFound)
		return
	}
	if broken != nil && *broken == "changes bodies" {
		body = append(body, ' ')
	}
	id := fmt.Sprintf("event-%d", l.events.Add(1))
	if broken == nil || *broken != "asks nobody" {
		if err := l.ask(r, body, id); err != nil {
			l.t.Error(err)
		}
	}
	w.WriteHeader(http.StatusAccepted)
	fmt.Fprintf(w, `{"eventListener":"x","namespace":"ci","eventID":%q}`, id)
}

// known are a trigger's params as an EventListener knows them.
type known struct {
	params map[string]any
	since  time.Time
}

// ask asks the interceptor as an EventListener does.
func (l *registerSite) ask(r *http.Request, body []byte, id string) error {
	name := strings.TrimPrefix(r.URL.Path, "/")
	params, err := triggerParams(r.Context(), l.client, "ci", name)
	if err != nil {
		return err
	}
	if broken := l.broken.Load(); broken != nil && *broken == "learns late" {
		kept, _ := l.late.LoadOrStore(name, known{params, time.Now()})
		if params = kept.(known).params; time.Since(kept.(known).since) > 2*time.Second {
			l.late.Delete(name)
		}
	}
	kind := "triggers"
	if group, found := strings.CutPrefix(name, "group/"); found {
		kind, name = "triggerGroups", group
	}
	question, err := json.Marshal(&v1beta1.InterceptorRequest{Body: string(body), Header: r.Header,
		InterceptorParams: params, Context: &v1beta1.TriggerContext{EventURL: r.URL.RequestURI(), EventID: id,
			TriggerID: "namespaces/ci/" + kind + "/" + name}})
	if err != nil {
		return err
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	response, err := c.Post("https://"+l.interceptor+interceptor.Path, "application/json", bytes.NewReader(question))
	if err != nil {
		return err
	}
	var answer v1beta1.InterceptorResponse
	err = json.NewDecoder(response.Body).Decode(&answer)
	if strings.Contains(answer.Status.Message, "is not verified") {
		l.refusals.Store(r.Header.Get("X-Gitea-Delivery"), name)
	}
	return errors.Join(err, response.Body.Close())
}

// hookCase is a trigger with a forge of its own.
type hookCase struct {
	*registerSite
	*testing.T
	forge  *forgetest.Server
	name   string
	params map[string]any
	args   []string
	mu     sync.Mutex
	secret []string // that the forge was sent
}

func (l *registerSite) as(t *testing.T, f forge.Forge) *hookCase {
	name := strings.ToLower(strings.NewReplacer("/", "-", " ", "-", "_", "-", ",", "", "'", "").Replace(t.Name()))
	c := &hookCase{registerSite: l, T: t, forge: forgetest.New(t, f), name: name}
	modes := map[forge.Forge]string{forge.Gitee: "sign", forge.GitCode: "sign", forge.GitLab: "signing-token"}
	c.params = map[string]any{"provider": f.Provider(), "secretRef": map[string]any{"secretName": c.name,
		"secretKey": "secretToken"}, "eventTypes": []any{"push", "ping", "diagnostics:ping"}}
	if modes[f] != "" {
		c.params["mode"] = modes[f]
	}
	if f == forge.Bitbucket {
		c.params["eventTypes"] = []any{"repo:push"}
	} else {
		c.params["eventTypes"] = []any{"push"}
	}
	l.apply(t, c.trigger())
	c.forge.OnTest = c.test
	c.forge.Answer = c.watch
	listener := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: l.listener.Certificate().Raw})
	ca := append(c.forge.CA(), listener...)
	c.args = []string{"--kubeconfig", l.Kubeconfig, "--replica", l.deliveries, "-n", "ci", "--trigger", c.name,
		"--provider", string(f), "--api-url", c.forge.API(), "--token-file", write(t, "token", forgetest.Token),
		"--ca-file", write(t, "ca.pem", string(ca)), "--url", l.listener.URL + "/" + c.name}
	return c
}

func (c *hookCase) trigger() string {
	var list []any
	for name, value := range c.params {
		list = append(list, map[string]any{"name": name, "value": value})
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "Trigger",
		"metadata": map[string]any{"name": c.name, "namespace": "ci"},
		"spec": map[string]any{"template": map[string]any{"ref": "build"}, "interceptors": []any{map[string]any{
			"ref": map[string]any{"name": "tekgate", "kind": "ClusterInterceptor"}, "params": list}}}})
	if err != nil {
		c.Fatal(err)
	}
	return string(text)
}

// watch looks for secrets in the arguments of all processes while the API is called.
func (c *hookCase) watch(http.ResponseWriter, *http.Request) bool {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil || len(files) == 0 {
		c.Errorf("no process to look at: %v", err)
	}
	c.mu.Lock()
	secrets := append([]string{forgetest.Token}, c.secret...)
	c.mu.Unlock()
	for _, file := range files {
		line, _ := os.ReadFile(file) // the process may have ended
		for _, secret := range secrets {
			if strings.Contains(string(line), secret) {
				c.Errorf("a secret is in the arguments %q", line)
			}
		}
	}
	for _, h := range c.forge.Hooks() {
		c.mu.Lock()
		if h.Secret != "" && !slices.Contains(c.secret, h.Secret) {
			c.secret = append(c.secret, h.Secret)
		}
		c.mu.Unlock()
	}
	return false
}

// send delivers as the forge does, with a push that moves nothing.
func (c *hookCase) send(h forgetest.Hook) {
	status, err := deliver(c.params, h.Secret, h.URL, c.listener.Client())
	if err != nil || status != http.StatusAccepted {
		c.Errorf("a delivery got %d, %v", status, err)
	}
}

// test sends a test delivery, which may fail, as in testStages.
func (c *hookCase) test(h forgetest.Hook) {
	go func() { _, _ = deliver(c.params, h.Secret, h.URL, c.listener.Client()) }()
}

func deliver(params map[string]any, secret, address string, client *http.Client) (int, error) {
	raw, err := rawParams(params)
	if err != nil {
		return 0, err
	}
	event := map[any]string{"github": "ping", "bitbucket": "repo:push"}[params["provider"]]
	zeros := strings.Repeat("0", 40)
	body := `{"ref":"refs/heads/main","before":"` + zeros + `","after":"` + zeros + `"}`
	made, err := interceptor.Sign(raw, []byte(secret), provider.Outgoing{Event: event, Body: []byte(body),
		Time: time.Now(), ID: fmt.Sprint(time.Now().UnixNano())})
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequest(http.MethodPost, address, strings.NewReader(body))
	if err != nil {
		return 0, err
	}
	request.Header = made.Header
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// tool runs a verb. No secret may be in what it prints.
func (c *hookCase) tool(verb string, more ...string) (out, errOut string, err error) {
	c.Helper()
	out, errOut, err = hookTool(c.T, append(append([]string{verb, forgetest.Path}, c.args...), more...)...)
	printed := out + errOut
	if err != nil {
		printed += err.Error()
	}
	secrets := c.values()
	for _, h := range c.forge.Hooks() {
		secrets = append(secrets, h.Secret)
	}
	c.mu.Lock()
	secrets = append(secrets, c.secret...)
	c.mu.Unlock()
	for _, secret := range secrets {
		if secret != "" && (strings.Contains(printed, secret) ||
			strings.Contains(printed, base64.StdEncoding.EncodeToString([]byte(secret)))) {
			c.Errorf("%s prints a secret:\n%s", verb, printed)
		}
	}
	return out, errOut, err
}

// stored returns the trigger's Secret, or nil.
func (c *hookCase) stored() *corev1.Secret {
	c.Helper()
	secret, err := c.kube.CoreV1().Secrets("ci").Get(c.Context(), c.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.Fatal(err)
	}
	return secret
}

func (c *hookCase) values() []string {
	var list []string
	if secret := c.stored(); secret != nil {
		for _, value := range secret.Data {
			list = append(list, string(value))
		}
	}
	return list
}

func (c *hookCase) Context() context.Context { return c.T.Context() }

func (c *hookCase) result(verb string, more ...string) registered {
	c.Helper()
	out, errOut, err := c.tool(verb, append(more, "-o", "json")...)
	var result registered
	if jsonErr := json.Unmarshal([]byte(out), &result); err != nil || jsonErr != nil {
		c.Fatalf("%s: error %v, %v\n%s%s", verb, err, jsonErr, out, errOut)
	}
	return result
}

// testForge goes through the life of a hook.
func (c *hookCase) testForge() {
	c.forge.Add(forgetest.Hook{URL: "https://other.example/", Secret: "sec-hunter2-other", Active: true})
	plan := c.result("register", "--dry-run")
	if plan.Secret.Action != "created" || plan.Hook.Action != "created" || !plan.DryRun || c.stored() != nil ||
		len(c.forge.Hooks()) != 1 {
		c.Errorf("the plan is %+v; the forge has %+v", plan, c.forge.Hooks())
	}
	made := c.result("register")
	secret := c.stored()
	if secret == nil || secret.Labels[wellknown.WebhookSecretKey] != "true" {
		c.Fatalf("the Secret is %+v", secret)
	}
	value := string(secret.Data["secretToken"])
	hooks := c.forge.Hooks()
	if len(hooks) != 2 || hooks[1].Secret != value || len(value) < 32 || made.Hook.Action != "created" ||
		made.Secret.Action != "created" || made.Hook.ID == "" {
		c.Fatalf("made %+v; the forge has %+v", made, hooks)
	}
	by := c.forge.Forge.Title()
	if c.forge.Forge == forge.Gogs || c.forge.Forge == forge.Bitbucket {
		by = "tekgate"
	}
	if made.Test == nil || made.Test.Stage != stageVerified || made.Test.SentBy != by ||
		made.Test.Secret != c.name+"/secretToken" {
		c.Errorf("the test is %+v", made.Test)
	}
	more := c.result("register", "--events", "push,pull_request")
	same := c.result("register")
	if same.Hook.ID != made.Hook.ID || !slices.Equal(same.Hook.Events, more.Hook.Events) ||
		len(same.Hook.Events) < 2 {
		c.Errorf("hook %+v became %+v, though nothing else was asked for", made.Hook, same.Hook)
	}
	again := c.result("register", "--test", "tekgate", "--events", "push,pull_request")
	if hooks = c.forge.Hooks(); len(hooks) != 2 || hooks[1].Secret != value || len(hooks[1].Events) < 2 ||
		again.Hook.Action != "updated" || again.Secret.Action != "unchanged" || again.Test.Stage != stageVerified {
		c.Errorf("again %+v; the forge has %+v", again, hooks)
	}
	out, _, err := c.tool("status")
	if err != nil || !strings.Contains(out, "hook "+again.Hook.ID+" of team/app at "+c.forge.Forge.Title()) ||
		!strings.Contains(out, "Verdicts of the interceptor:") || !strings.Contains(out, "ci/"+c.name) {
		c.Errorf("status: error %v\n%s", err, out)
	}
	out, _, err = c.tool("unregister")
	if err != nil || !strings.Contains(out, ": deleted\n") || len(c.forge.Hooks()) != 1 {
		c.Errorf("unregister: error %v\n%s%+v", err, out, c.forge.Hooks())
	}
	if out, _, err = c.tool("unregister"); err != nil || !strings.Contains(out, ": absent\n") {
		c.Errorf("unregister again: error %v\n%s", err, out)
	}
	if _, _, err = c.tool("status"); cli.Status(err) != 2 {
		c.Errorf("status without a hook: error %v", err)
	}
}

// nothing holds that a run left nothing behind.
func (c *hookCase) nothing(what string) {
	c.Helper()
	if hooks := c.forge.Hooks(); len(hooks) != 0 {
		c.Errorf("%s: the forge has %+v", what, hooks)
	}
	if secret := c.stored(); secret != nil {
		c.Errorf("%s: the Secret stays, with the keys %v", what, secret.Data)
	}
}

func (c *hookCase) testFailures() {
	type answering func(http.ResponseWriter, *http.Request) bool
	answer := func(method string, status int, message string, stores bool) answering {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != method {
				return false
			}
			if stores {
				c.forge.Add(forgetest.Hook{URL: c.listener.URL + "/" + c.name, Active: true})
			}
			c.forge.Fail(w, status, message)
			return true
		}
	}
	for _, tt := range []struct {
		name, want string
		answer     func(http.ResponseWriter, *http.Request) bool
		args       []string
	}{
		{"a wrong token", "does not accept the token", nil, []string{"--token-file", write(c.T, "t", "wrong-hunter2")}},
		{"a forbidden repository", "write:repository", answer(http.MethodGet, 403, "no", false), nil},
		{"an unknown repository", "correct the repository's name", answer(http.MethodGet, 404, "", false), nil},
		{"no such name", "does not resolve", nil, []string{"--api-url", "https://forge.invalid"}},
		{"an untrusted certificate", "--ca-file", nil, []string{"--ca-file", ""}},
		{"a rate limit", "limits the rate", answer(http.MethodGet, 403, "rate limit exceeded", false), nil},
		{"no right to create", "nothing stays: removed the key secretToken", answer(http.MethodPost, 403, "no", false), nil},
		{"refused", "blocked; nothing stays", answer(http.MethodPost, 422, "is blocked", false), nil},
		{"made in spite of an error", "nothing stays: removed", answer(http.MethodPost, 502, "bad", true), nil},
		{"no deliveries to read", "nothing was changed", nil, []string{"--replica", "http://127.0.0.1:1"}},
	} {
		c.forge.Answer = tt.answer
		args := tt.args
		if tt.name == "no deliveries to read" { // in place of the right one
			saved := c.args
			c.args = slices.Clone(c.args)
			c.args[slices.Index(c.args, "--replica")+1] = "http://127.0.0.1:1"
			_, _, err := c.tool("register")
			c.args = saved
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				c.Errorf("%s: error %v lacks %q", tt.name, err, tt.want)
			}
			c.nothing(tt.name)
			continue
		}
		_, _, err := c.tool("register", args...)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), "(is blocked)", "blocked"),
			strings.ReplaceAll(tt.want, "blocked; nothing", "blocked: correct what it names; nothing")) {
			c.Errorf("%s: error %v lacks %q", tt.name, err, tt.want)
		}
		c.nothing(tt.name)
	}
}

// testStages holds that the place where a delivery stops is named, and nothing stays.
func (c *hookCase) testStages() {
	c.forge.Answer = nil
	set := func(how string) { c.broken.Store(&how) }
	defer c.broken.Store(nil)
	for _, tt := range []struct {
		broken, url, test, stage, want string
	}{
		{"gone", "", "tekgate", stageHTTP, "404 Not Found"},
		{"gone", "", "forge", stageHTTP, "Gitea and tekgate: stopped at http"},
		{"changes bodies", "", "tekgate", stageSignature, "signature-mismatch"},
		{"changes bodies", "", "forge", stageSignature, "signature-mismatch"},
		{"asks nobody", "", "tekgate", stageInterceptor, "did not ask the interceptor"},
		{"", "https://hooks.invalid/x", "tekgate", stageDNS, "hooks.invalid does not resolve"},
		{"", "https://127.0.0.1:1/x", "tekgate", stageConnect, "connection refused"},
		{"", strings.Replace(c.listener.URL, "127.0.0.1", "localhost", 1) + "/x", "tekgate", stageTLS,
			"is not trusted"},
		{"", strings.Replace(c.listener.URL, "https", "http", 1) + "/x", "tekgate", stageHTTP, "400 Bad Request"},
	} {
		c.broken.Store(nil)
		if tt.broken != "" {
			set(tt.broken)
		}
		args := []string{"--test", tt.test, "--wait", "2s"}
		if tt.url != "" {
			args = append(args, "--url", tt.url)
		}
		_, _, err := c.tool("register", args...)
		if cli.Status(err) != 2 || !strings.Contains(err.Error(), "stopped at "+tt.stage) ||
			!strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), "nothing stays: removed") {
			c.Errorf("%s %s: error %v", tt.stage, tt.test, err)
		}
		c.nothing(tt.stage)
	}
	c.broken.Store(nil)
	c.forge.OnTest = nil // a forge that cannot reach the URL
	_, _, err := c.tool("register", "--wait", "2s")
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), "stopped at forge") ||
		!strings.Contains(err.Error(), "ALLOWED_HOST_LIST") {
		c.Errorf("a forge that sends nothing: error %v", err)
	}
	c.nothing("a forge that sends nothing")
	_, _, err = c.tool("register", "--wait", "2s", "--keep")
	if cli.Status(err) != 2 || len(c.forge.Hooks()) != 1 || c.stored() == nil {
		c.Errorf("--keep: error %v", err)
	}
	_, _, err = c.tool("register", "--wait", "2s")
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), "existed before and stays") || len(c.forge.Hooks()) != 1 {
		c.Errorf("an old hook: error %v", err)
	}
	c.params["eventTypes"] = []any{"pull_request"}
	c.apply(c.T, c.trigger())
	if got := c.result("register", "--test", "tekgate", "--events", "push"); got.Test.Stage != stageVerified {
		c.Errorf("a test with the event that the trigger wants: %+v", got.Test)
	}
	c.forge.OnTest = c.test
	if got := c.result("register", "--events", "push"); got.Test.Stage != stageFilter {
		c.Errorf("an event that the trigger does not want: %+v", got.Test)
	}
}

// testOtherSecret holds that a hook with another secret gets the one in the Secret.
func (c *hookCase) testOtherSecret() {
	c.create(c.T, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: c.name},
		StringData: map[string]string{"secretToken": "sec-hunter2-of-the-secret"}})
	c.forge.Add(forgetest.Hook{URL: c.listener.URL + "/" + c.name, Secret: "sec-hunter2-of-another", Active: true,
		Events: []string{"push"}, ContentType: "form"})
	got := c.result("register")
	hooks := c.forge.Hooks()
	if len(hooks) != 1 || hooks[0].Secret != "sec-hunter2-of-the-secret" || hooks[0].ContentType != "json" ||
		got.Test.Stage != stageVerified || got.Secret.Action != "unchanged" {
		c.Errorf("got %+v; the forge has %+v", got, hooks)
	}
}

func (c *hookCase) testTwice() {
	for range 2 {
		c.forge.Add(forgetest.Hook{URL: c.listener.URL + "/" + c.name, Secret: "sec-hunter2"})
	}
	for _, verb := range []string{"register", "unregister", "status"} {
		_, _, err := c.tool(verb)
		if err == nil || !strings.Contains(err.Error(), "(ids 1 and 2)") {
			c.Errorf("%s: error %v", verb, err)
		}
	}
	if hooks := c.forge.Hooks(); len(hooks) != 2 || hooks[0].Secret != "sec-hunter2" || c.stored() != nil {
		c.Errorf("something was changed: %+v", hooks)
	}
}

func (c *hookCase) testNoSecretRef() {
	delete(c.params, "secretRef")
	c.params["allowInsecure"] = true
	c.apply(c.T, c.trigger())
	_, _, err := c.tool("register")
	if err == nil || !strings.Contains(err.Error(), "names no Secret") {
		c.Errorf("error %v", err)
	}
	c.nothing("without a secretRef")
}

func (c *hookCase) testOtherKey() {
	c.create(c.T, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: c.name},
		StringData: map[string]string{"other": "others-value"}})
	c.forge.OnTest = nil
	if _, _, err := c.tool("register", "--wait", "1s"); cli.Status(err) != 2 {
		c.Errorf("error %v", err)
	}
	if data := c.stored().Data; len(data) != 1 || string(data["other"]) != "others-value" {
		c.Errorf("a failed run leaves %d keys", len(data))
	}
	_, errOut, err := c.tool("register", "--test", "tekgate")
	if err != nil || !strings.Contains(errOut, "lacks the label") {
		c.Errorf("error %v\n%s", err, errOut)
	}
	secret := c.stored()
	if len(secret.Data) != 2 || string(secret.Data["other"]) != "others-value" || len(secret.Labels) != 0 {
		c.Errorf("the Secret has %d keys and the labels %v", len(secret.Data), secret.Labels)
	}
	var managers []string
	for _, entry := range secret.ManagedFields {
		managers = append(managers, string(entry.Operation)+" "+entry.Manager)
	}
	if !slices.Contains(managers, "Apply tekgate-hook-secretToken") {
		c.Errorf("managers %v", managers)
	}
}

// refs returns the keys in the Trigger's secretRefs, the first one first.
func (c *hookCase) refs() []string {
	c.Helper()
	params, err := triggerParams(c.Context(), c.client, "ci", c.name)
	if err != nil {
		c.Fatal(err)
	}
	var keys []string
	for _, ref := range secretRefs(params) {
		keys = append(keys, ref[1])
	}
	return keys
}

// testRotate rotates twice while the forge delivers, through an EventListener that learns of
// edits after seconds.
func (c *hookCase) testRotate() {
	c.result("register")
	late := "learns late"
	c.broken.Store(&late)
	defer c.broken.Store(nil)
	stop, done := make(chan struct{}), make(chan int, 1)
	go func() {
		sent := 0
		for {
			select {
			case <-stop:
				done <- sent
				return
			case <-time.After(20 * time.Millisecond):
				if hooks := c.forge.Hooks(); !c.Failed() {
					c.send(hooks[0])
				}
				sent++
			}
		}
	}()
	before := c.forge.Hooks()[0].Secret
	made := c.result("register", "--rotate")
	after := c.forge.Hooks()[0].Secret
	refs := c.refs()
	if before == after || len(refs) != 2 || refs[1] != "secretToken" || refs[0] != made.Secret.Key ||
		string(c.stored().Data[refs[0]]) != after || made.Test.Secret != c.name+"/"+refs[0] {
		c.Errorf("rotated %+v; refs %v", made, refs)
	}
	time.Sleep(1100 * time.Millisecond) // the key's name has seconds
	_, errOut, err := c.tool("register", "--rotate", "--remove-old-after", "2s")
	if err != nil || !strings.Contains(errOut, "removed key secretToken of Secret ci/"+c.name) {
		c.Errorf("error %v\n%s", err, errOut)
	}
	close(stop)
	if sent := <-done; sent < 20 {
		c.Errorf("only %d deliveries were sent meanwhile", sent)
	}
	if refs = c.refs(); len(refs) != 1 || len(c.stored().Data) != 1 ||
		string(c.stored().Data[refs[0]]) != c.forge.Hooks()[0].Secret {
		c.Errorf("refs %v, keys %d", refs, len(c.stored().Data))
	}
	c.refusedNone()
	if hooks := c.forge.Hooks(); len(hooks) != 1 {
		c.Errorf("the forge has %+v", hooks)
	}
}

// refusedNone holds that the interceptor refused none of the forge's deliveries. Those of
// the command itself find out when a secret is known.
func (c *hookCase) refusedNone() {
	c.Helper()
	own := 0
	c.refusals.Range(func(id, name any) bool {
		switch {
		case name != c.name:
		case strings.HasPrefix(id.(string), "tekgate-"):
			own++
		default:
			c.Errorf("the forge's delivery %s was refused", id)
		}
		return true
	})
	if own == 0 {
		c.Error("the EventListener learned at once, so nothing was tested")
	}
}

func (c *hookCase) testRotateFails() {
	if _, _, err := c.tool("register", "--rotate"); err == nil || !strings.Contains(err.Error(), "register it first") {
		c.Errorf("without a hook: error %v", err)
	}
	c.nothing("without a hook")
	c.result("register")
	before := c.stored()
	status := http.StatusForbidden
	c.forge.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPost || strings.HasSuffix(r.URL.Path, "/tests") {
			return false
		}
		c.forge.Fail(w, status, "no")
		return true
	}
	_, _, err := c.tool("register", "--rotate")
	if err == nil || !strings.Contains(err.Error(), "nothing stays: removed the new key") {
		c.Errorf("error %v", err)
	}
	if refs, after := c.refs(), c.stored(); !slices.Equal(refs, []string{"secretToken"}) || len(after.Data) != 1 ||
		string(after.Data["secretToken"]) != string(before.Data["secretToken"]) {
		c.Errorf("refs %v, keys %d", refs, len(after.Data))
	}
	status = http.StatusBadGateway // after which nobody knows what the hook's secret is
	time.Sleep(1100 * time.Millisecond)
	_, _, err = c.tool("register", "--rotate")
	if err == nil || !strings.Contains(err.Error(), "may have changed the hook") || len(c.refs()) != 2 ||
		len(c.stored().Data) != 2 {
		c.Errorf("error %v; refs %v", err, c.refs())
	}
}

// testRights holds that the documented Role is enough, and that without it nothing is done.
func (c *hookCase) testRights() {
	c.args = slices.Clone(c.args)
	c.args[slices.Index(c.args, "--kubeconfig")+1] = c.impersonate(c.T, "registrar")
	if _, _, err := c.tool("register"); err == nil || !strings.Contains(err.Error(), "forbidden") {
		c.Errorf("without rights: error %v", err)
	}
	c.nothing("without rights")
	c.apply(c.T, documentedRole(c.T, "tekgate-hook-register"))
	c.create(c.T, &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "registrar"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "tekgate-hook-register"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: "registrar"}},
	})
	var err error
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if _, _, err = c.tool("register", "--dry-run"); err == nil { // rights take a moment to be known
			break
		}
	}
	if err != nil {
		c.Fatal(err)
	}
	off := "gone"
	c.broken.Store(&off)
	if _, _, err := c.tool("register", "--test", "tekgate"); cli.Status(err) != 2 ||
		!strings.Contains(err.Error(), "nothing stays") {
		c.Errorf("error %v", err)
	}
	c.nothing("a failed run")
	c.broken.Store(nil)
	c.result("register")
	c.result("register", "--rotate", "--remove-old-after", "1s")
	if refs := c.refs(); len(refs) != 1 || refs[0] == "secretToken" || len(c.stored().Data) != 1 {
		c.Errorf("refs %v", refs)
	}
}

func (c *hookCase) testWithoutTrigger() {
	c.create(c.T, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "ci", Name: "forge-token"},
		StringData: map[string]string{"token": forgetest.Token + "\n"}})
	c.args = slices.Clone(c.args)
	c.args[slices.Index(c.args, "--trigger")] = "--secret"
	c.args[slices.Index(c.args, c.name)] = c.name + "/secretToken"
	i := slices.Index(c.args, "--token-file")
	c.args[i], c.args[i+1] = "--token-secret", "forge-token/token"
	out, _, err := c.tool("register", "-o", "yaml")
	if err != nil || !strings.Contains(out, "stage: verified") || c.stored() == nil {
		c.Errorf("error %v\n%s", err, out)
	}
	c.args[i+1] = "forge-token/other"
	if _, _, err := c.tool("register"); err == nil || !strings.Contains(err.Error(), "has no key other") {
		c.Errorf("error %v", err)
	}
}

// testInline registers and rotates for a trigger that stands in an EventListener.
func (c *hookCase) testInline() {
	var list []any
	for name, value := range c.params {
		list = append(list, map[string]any{"name": name, "value": value})
	}
	own := map[string]any{"ref": map[string]any{"name": "tekgate", "kind": "ClusterInterceptor"}, "params": list}
	other := map[string]any{"ref": map[string]any{"name": "cel", "kind": "ClusterInterceptor"}, "params": []any{}}
	text, err := json.Marshal(map[string]any{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "EventListener",
		"metadata": map[string]any{"name": c.name, "namespace": "ci"},
		"spec": map[string]any{"triggers": []any{
			map[string]any{"name": "first", "interceptors": []any{other}, "template": map[string]any{"ref": "x"}},
			map[string]any{"name": "inline", "interceptors": []any{other, own}, "template": map[string]any{"ref": "x"}},
		}}})
	if err != nil {
		c.Fatal(err)
	}
	c.apply(c.T, string(text))
	if err := c.client.DeleteAllOf(c.Context(), triggersObject("Trigger"), client.InNamespace("ci"),
		client.MatchingFields{"metadata.name": c.name}); err != nil {
		c.Fatal(err)
	}
	c.args = slices.Clone(c.args)
	c.args[slices.Index(c.args, "--trigger")+1] = "inline"
	c.args[slices.Index(c.args, "--url")+1] = c.listener.URL + "/inline"
	c.result("register")
	c.result("register", "--rotate")
	params, err := triggerParams(c.Context(), c.client, "ci", "inline")
	if refs := secretRefs(params); err != nil || len(refs) != 2 || refs[1][1] != "secretToken" {
		c.Errorf("refs %v, error %v", refs, err)
	}
}
