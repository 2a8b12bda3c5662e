package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// testShared holds that a key of two triggers is not rotated for one of them, and that a dry
// run refuses what the real one does.
func (c *hookCase) testShared() {
	for _, args := range [][]string{{"--rotate", "--dry-run"}, {"--rotate"}} {
		if _, _, err := c.tool("register", args...); err == nil || !strings.Contains(err.Error(), "register it first") {
			c.Errorf("%v without a hook: error %v", args, err)
		}
	}
	c.result("register")
	name := c.name
	c.name = name + "-pr"
	c.apply(c.T, c.trigger())
	c.apply(c.T, c.listens(name, c.name))
	c.name = name
	for _, args := range [][]string{{"--rotate", "--dry-run"}, {"--rotate", "--remove-old-after", "1s"}} {
		_, _, err := c.tool("register", args...)
		if err == nil || !strings.Contains(err.Error(), "Trigger ci/"+name+"-pr") {
			c.Errorf("%v: error %v", args, err)
		}
	}
	if refs := c.refs(); !slices.Equal(refs, []string{"secretToken"}) || len(c.stored().Data) != 1 {
		c.Errorf("refs %v", refs)
	}
	if _, errOut, err := c.tool("register", "--dry-run"); err != nil || strings.Contains(errOut, "warning") {
		c.Errorf("a shared Secret: error %v\n%s", err, errOut)
	}
	// Another Secret for the same URL.
	c.params["secretRef"] = map[string]any{"secretName": name + "-other", "secretKey": "secretToken"}
	c.name = name + "-pr"
	c.apply(c.T, c.trigger())
	c.name = name
	_, errOut, err := c.tool("register", "--dry-run")
	if err != nil ||
		!strings.Contains(errOut, "Trigger ci/"+name+"-pr verifies with secretToken of Secret ci/"+name+"-other") {
		c.Errorf("another Secret: error %v\n%s", err, errOut)
	}
}

// listens returns an EventListener with these Triggers.
func (c *hookCase) listens(names ...string) string {
	var list []any
	for _, name := range names {
		list = append(list, map[string]any{"triggerRef": name})
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "triggers.tekton.dev/v1beta1", "kind": "EventListener",
		"metadata": map[string]any{"name": names[0], "namespace": "ci"}, "spec": map[string]any{"triggers": list}})
	if err != nil {
		c.Fatal(err)
	}
	return string(text)
}

// testTwoAtOnce holds that the older of two hooks for the URL stays.
func (c *hookCase) testTwoAtOnce() {
	var posted atomic.Bool
	c.forge.Answer = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/hooks") && !posted.Swap(true) {
			c.forge.Add(forgetest.Hook{URL: c.listener.URL + "/" + c.name, Secret: "sec-hunter2-of-the-first",
				Events: []string{"push"}, Active: true, ContentType: "json"})
		}
		return false
	}
	got := c.result("register")
	hooks := c.forge.Hooks()
	if len(hooks) != 1 || hooks[0].Secret != string(c.stored().Data["secretToken"]) ||
		got.Test.Stage != stageVerified || got.Hook.ID != fmt.Sprint(hooks[0].ID) || got.Hook.Action != "updated" {
		c.Errorf("got %+v; the forge has %+v", got, hooks)
	}
}

// testScheme holds that https takes over the hook for http, and that changes are named.
func (c *hookCase) testScheme() {
	c.forge.Add(forgetest.Hook{URL: strings.Replace(c.listener.URL, "https", "http", 1) + "/" + c.name,
		Secret: "sec-hunter2", Events: []string{"push"}, ContentType: "form"})
	for _, args := range [][]string{{"--dry-run"}, nil} {
		got := c.result("register", args...)
		if changes := strings.Join(got.Hook.Changes, "; "); got.Hook.Action != "updated" ||
			!strings.Contains(changes, "URL http://") || !strings.Contains(changes, "content type form becomes json") ||
			!strings.Contains(changes, "becomes active") {
			c.Errorf("%v: got %+v", args, got.Hook)
		}
	}
	if hooks := c.forge.Hooks(); len(hooks) != 1 || hooks[0].URL != c.listener.URL+"/"+c.name {
		c.Errorf("the forge has %+v", hooks)
	}
}

// testFailedResult holds that the result of a failed run is what is left.
func (c *hookCase) testFailedResult() {
	off := "gone"
	c.broken.Store(&off)
	defer c.broken.Store(nil)
	out, _, err := c.tool("register", "--test", "tekgate", "-o", "json")
	var got registered
	if jsonErr := json.Unmarshal([]byte(out), &got); jsonErr != nil || cli.Status(err) != 2 ||
		got.Hook.Action != "removed" || got.Secret.Action != "removed" || got.Test.Stage != stageHTTP {
		c.Errorf("error %v, %v; got %s", err, jsonErr, out)
	}
	c.nothing("a failed run")
}

// testPage holds that a hook whose answer was a page is removed again, and that what was not
// found is not said to be removed.
func (c *hookCase) testPage() {
	for _, made := range []bool{true, false} {
		c.forge.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost {
				return false
			}
			if made {
				c.forge.Add(forgetest.Hook{URL: c.listener.URL + "/" + c.name, Active: true})
			}
			fmt.Fprint(w, "<html>")
			return true
		}
		_, _, err := c.tool("register")
		if err == nil || strings.Contains(err.Error(), "nothing stays: removed") != made ||
			strings.Contains(err.Error(), "no hook was found") == made {
			c.Errorf("made %t: error %v", made, err)
		}
		c.nothing("a page")
	}
}

// testGitLab holds what a test that GitLab could not deliver, and a hook that it disabled, mean.
func (c *hookCase) testGitLab() {
	message := "URL is blocked: Requests to the local network are not allowed"
	c.forge.Answer = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/test/") {
			return false
		}
		c.forge.Fail(w, http.StatusUnprocessableEntity, message)
		return true
	}
	_, _, err := c.tool("register")
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), "stopped at forge") ||
		!strings.Contains(err.Error(), "Outbound requests") {
		c.Errorf("blocked: error %v", err)
	}
	c.nothing("a blocked test")
	message = "Ensure the project has at least one commit."
	if got := c.result("register"); got.Test.Stage != stageVerified || got.Test.SentBy != "tekgate" {
		c.Errorf("no commit: %+v", got.Test)
	}
	c.forge.Disabled = true
	_, _, err = c.tool("register", "--test", "tekgate")
	if cli.Status(err) != 2 || !strings.Contains(err.Error(), "is disabled") ||
		!strings.Contains(err.Error(), "--test forge") {
		c.Errorf("disabled: error %v", err)
	}
	out, errOut, err := c.tool("register", "--wait", "0")
	if err != nil || !strings.Contains(errOut, "is disabled") ||
		!strings.Contains(out, "no test delivery: none was requested") {
		c.Errorf("without a test: error %v\n%s%s", err, out, errOut)
	}
}

func TestTokenFiles(t *testing.T) {
	for _, text := range []string{"\ufefftok-hunter2\r\n", "tok-hunter2\r\n", " tok-hunter2\n\n", "tok-hunter2"} {
		if got := trimToken([]byte(text)); got != "tok-hunter2" {
			t.Errorf("%q becomes %q", text, got)
		}
	}
}

func TestOneRepository(t *testing.T) {
	for _, verb := range []string{"register", "unregister", "status", "report-status"} {
		for _, args := range [][]string{{verb}, {verb, "a/b", "c/d"}} {
			if _, _, err := hookTool(t, args...); err == nil || !strings.Contains(err.Error(), "pass OWNER/NAME") {
				t.Errorf("%v: error %v", args, err)
			}
		}
	}
}

// TestUndoing holds that each step is reported as what became of it.
func TestUndoing(t *testing.T) {
	var u undoing
	actions := []string{"created", "configured"}
	nothing := func(context.Context) error { return nil }
	u.add("the key", nothing)
	u.reports(true, &actions[0], "removed")
	u.add("the token", nothing)
	u.reports(true, &actions[1], "restored")
	err := u.after(t.Context(), errors.New("it failed"))
	if got := err.Error(); got != "it failed; nothing stays: removed the key; restored the token" ||
		!slices.Equal(actions, []string{"removed", "restored"}) {
		t.Errorf("%q, actions %v", got, actions)
	}
}

// TestReportAuthorities holds that an empty ca.crt is none, and that the remedy for an
// untrusted certificate is the Secret's key.
func TestReportAuthorities(t *testing.T) {
	s := forgetest.New(t, forge.Gitea)
	folder := t.TempDir()
	for name, text := range map[string]string{"token": "\ufeff" + forgetest.Token + "\r\n", "ca.crt": "\n"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := []string{"report-status", forgetest.Path, "--provider", "gitea", "--api-url", s.URL, "--state", "success",
		"--sha", strings.Repeat("a", 40), "--credentials", folder}
	_, _, err := hookTool(t, args...)
	if err == nil || !strings.Contains(err.Error(), "key ca.crt") || strings.Contains(err.Error(), "--ca-file") {
		t.Errorf("error %v", err)
	}
	args[3] = "gitte"
	if _, _, err = hookTool(t, args...); err == nil || strings.Contains(err.Error(), "bitbucket") {
		t.Errorf("error %v", err)
	}
}
