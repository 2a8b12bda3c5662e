package hook

import (
	"net/http"
	"slices"
	"strings"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// statusSecret returns the Secret of the reports, or nil.
func (c *hookCase) statusSecret() *corev1.Secret {
	c.Helper()
	secret, err := c.kube.CoreV1().Secrets("ci").Get(c.Context(), c.name+"-status", metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		c.Fatal(err)
	}
	return secret
}

// testStatusToken stores the token of the reports, where the interceptor does not read it.
func (c *hookCase) testStatusToken() {
	const first, second = "report-hunter2-first", "report-hunter2-second"
	c.secret = append(c.secret, first, second)
	flag := func(token string) string { return "--status-token-file=" + write(c.T, "status", token+"\n") }
	if plan := c.result("register", "--dry-run", flag(first)); len(plan.Statuses) != 2 || c.statusSecret() != nil {
		c.Errorf("the plan is %+v", plan)
	}
	// A run that fails leaves nothing.
	off := "gone"
	c.broken.Store(&off)
	_, _, err := c.tool("register", "--test", "tekgate", flag(first))
	c.broken.Store(nil)
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), "nothing stays") || c.statusSecret() != nil {
		c.Errorf("a failed run: error %v; the Secret is %v", err, c.statusSecret())
	}
	c.nothing("a failed run")
	made := c.result("register", flag(first))
	secret := c.statusSecret()
	if secret == nil || string(secret.Data[statusToken]) != first || len(secret.Data[statusCA]) == 0 ||
		secret.Labels[wellknown.WebhookSecretKey] != "" || len(made.Statuses) != 2 ||
		made.Statuses[0].Action != "created" {
		c.Fatalf("registered %+v; the Secret is %+v", made.Statuses, secret)
	}
	if again := c.result("register", flag(first)); again.Statuses[0].Action != "unchanged" {
		c.Errorf("the same again: %+v", again.Statuses)
	}
	c.result("register")
	if got := c.statusSecret().Data; string(got[statusToken]) != first {
		c.Error("a run without the token changes it")
	}
	other := c.result("register", flag(second))
	if got := c.statusSecret().Data; string(got[statusToken]) != second || other.Statuses[0].Action != "configured" {
		c.Errorf("another token: %+v", other.Statuses)
	}
	// The hook exists, so a failed request of this run has changed nothing but the Secret, which
	// becomes what it was.
	c.forge.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPatch {
			return false
		}
		c.forge.Fail(w, http.StatusForbidden, "no")
		return true
	}
	_, _, err = c.tool("register", flag(first))
	if got := c.statusSecret().Data; err == nil || string(got[statusToken]) != second {
		c.Errorf("a failed run: error %v, the token is the new one: %t", err, string(got[statusToken]) == first)
	}
	c.forge.Answer = nil
	for name, token := range map[string]string{"a blank": "a b", "two lines": "a\nb"} {
		_, _, err := c.tool("register", flag(token))
		if err == nil || !strings.Contains(err.Error(), "the token alone") {
			c.Errorf("%s: error %v", name, err)
		}
	}
}

// testArguments registers in a process of its own, and looks for secrets in the arguments of all
// processes and in what is printed.
func (c *hookCase) testArguments() {
	const token = "report-hunter2-token"
	var seen atomic.Int32
	c.forge.Answer = func(http.ResponseWriter, *http.Request) bool {
		secrets := []string{forgetest.Token, token}
		for _, h := range c.forge.Hooks() {
			secrets = append(secrets, h.Secret)
		}
		found, programs := inArguments(c.T, secrets...)
		if seen.Add(1); len(found) > 0 || programs < 2 {
			c.Errorf("%d programs; a secret is in the arguments %q", programs, found)
		}
		return false
	}
	for _, more := range [][]string{nil, {"--rotate"}} {
		if more == nil {
			more = []string{"--status-token-file=" + write(c.T, "status", token)}
		}
		printed, err := process(c.T, slices.Concat([]string{"register", forgetest.Path}, c.args, more)...)
		if err != nil || strings.Contains(printed, "hunter") {
			c.Errorf("error %v, printed\n%s", err, printed)
		}
		for _, value := range c.values() {
			if strings.Contains(printed, value) {
				c.Errorf("the hook's secret is printed:\n%s", printed)
			}
		}
	}
	if seen.Load() == 0 || len(c.forge.Hooks()) != 1 {
		c.Errorf("%d requests; the forge has %+v", seen.Load(), c.forge.Hooks())
	}
}
