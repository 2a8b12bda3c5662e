package forge_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// TestOddShapes holds that JSON of another shape is no panic, no empty list and no hook.
func TestOddShapes(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		for _, body := range []string{
			"null", "[null]", "{}", "[1]", `[[]]`, `"x"`, `[{}]`, `[{"id":null}]`, `[{"config":null}]`, "",
			`{"values":null}`, `{"values":[null]}`, `{"values":[{}]}`, `[{"id":{}}]`,
		} {
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				w.Header().Set("Content-Type", "application/json")
				fmt.Fprint(w, body)
				return true
			}
			c := connect(t, options(t, s))
			hooks, err := c.List(t.Context())
			if err == nil {
				t.Errorf("%s: %d hooks, and no error", body, len(hooks))
				continue
			}
			fails(t, err, forge.NotAPI, "--api-url")
			made, err := c.Create(t.Context(), want(t, s, "https://a.example/"))
			if !forge.Unsure(err) {
				t.Errorf("%s: created %+v, error %v", body, made, err)
			}
			// What comes of these calls is not the point.
			_ = c.Test(t.Context(), forge.Hook{ID: "1", Events: []string{"push"}})
			_, _ = c.Deliveries(t.Context(), "1")
		}
	})
}

// TestPageAfterWrite holds that a page in place of the hook that was made leaves it in doubt.
func TestPageAfterWrite(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>")
			return true
		}
		_, err := connect(t, options(t, s)).Create(t.Context(), want(t, s, "https://a.example/"))
		if e := fails(t, err, forge.NotAPI); !e.Unsure {
			t.Error("the hook was certainly not made")
		}
	})
}

func TestCutShort(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "400")
			fmt.Fprint(w, `[{"id":1,`)
			return true
		}
		_, err := connect(t, options(t, s)).List(t.Context())
		fails(t, err, forge.Cut, "broke off its answer")
	})
}

// TestRenamed holds that a redirection within the API is known as a new name.
func TestRenamed(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			base := strings.TrimPrefix(s.API(), s.URL)
			http.Redirect(w, r, base+"/repositories/42/hooks", http.StatusMovedPermanently)
			return true
		}
		_, err := connect(t, options(t, s)).List(t.Context())
		fails(t, err, forge.Redirected, "/repositories/42/hooks", "team/app was renamed", "pass its new name")
	})
}

func TestProxies(t *testing.T) {
	s := forgetest.New(t, forge.GitLab)
	o := options(t, s)
	o.Repository.API = "https://forge.invalid/api/v4"
	t.Setenv("HTTPS_PROXY", "http://me:hunter2@ho st:3128")
	_, err := forge.New(o)
	if err == nil || !strings.Contains(err.Error(), "HTTPS_PROXY") || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("error %v", err)
	}
	for _, value := range []string{"proxy.example:3128", "http://proxy.example", "socks5://proxy.example:1080", ""} {
		t.Setenv("HTTPS_PROXY", value)
		if _, err := forge.New(o); err != nil {
			t.Errorf("%q: error %v", value, err)
		}
	}
}

func TestBase(t *testing.T) {
	for _, tt := range []struct {
		forge     forge.Forge
		api, want string
	}{
		{forge.Gitea, "https://h.example/gitea", "https://h.example/gitea/api/v1"},
		{forge.Gitea, "https://h.example/gitea/api/v1/", "https://h.example/gitea/api/v1"},
		{forge.Gitea, "https://h.example", "https://h.example/api/v1"},
		{forge.Gogs, "https://h.example/gogs", "https://h.example/gogs/api/v1"},
		{forge.GitLab, "https://h.example/git/lab", "https://h.example/git/lab/api/v4"},
		{forge.GitHub, "https://h.example/api/v3", "https://h.example/api/v3"},
		{forge.GitHub, "https://proxy.example/github", "https://proxy.example/github"},
		{forge.GitHub, "https://api.example.ghe.com", "https://api.example.ghe.com"},
		{forge.Bitbucket, "https://h.example/2.0", "https://h.example/2.0"},
	} {
		at, err := forge.Locate("team/app", tt.forge, tt.api)
		if err != nil || at.API != tt.want {
			t.Errorf("%s %s: got %s, want %s, error %v", tt.forge, tt.api, at.API, tt.want, err)
		}
	}
	at, err := forge.Locate("http://h.example:3000/team/app.git", forge.Gitea, "")
	if at = at.Plain("http://h.example:3000/team/app.git"); err != nil || at.API != "http://h.example:3000/api/v1" {
		t.Errorf("got %s, error %v", at.API, err)
	}
	at, err = forge.Locate("http://github.com/team/app.git", forge.GitHub, "")
	if at = at.Plain("http://github.com/team/app.git"); err != nil || at.API != "https://api.github.com" {
		t.Errorf("got %s, error %v", at.API, err)
	}
}

// TestGitLabUndelivered holds what GitLab's 422 means.
func TestGitLabUndelivered(t *testing.T) {
	s := forgetest.New(t, forge.GitLab)
	for _, tt := range []struct {
		message, want string
		undelivered   bool
	}{
		{"URL is blocked: Requests to the local network are not allowed", "Outbound requests", true},
		{"Failed to open TCP connection to 10.0.0.1:443", "Failed to open", true},
		{"Ensure the project has at least one commit.", "at least one commit", false},
	} {
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			s.Fail(w, http.StatusUnprocessableEntity, tt.message)
			return true
		}
		c := connect(t, options(t, s))
		err := c.Test(t.Context(), forge.Hook{ID: "1", Events: []string{"push"}})
		var undelivered *forge.UndeliveredError
		if errors.As(err, &undelivered) != tt.undelivered || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v", tt.message, err)
		}
	}
	s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprint(w, `{"message":{"url":["is blocked: Requests to localhost are not allowed"]}}`)
		return true
	}
	_, err := connect(t, options(t, s)).Create(t.Context(), want(t, s, "https://a.example/"))
	fails(t, err, forge.Invalid, "Outbound requests")
}

func TestChanges(t *testing.T) {
	h := forge.Hook{URL: "http://a.example/x?t=1", Events: []string{"push"}, Insecure: true, ContentType: "form"}
	got := h.Changes(forge.Want{URL: "https://a.example/x?t=1", Events: []string{"push", "issues"}})
	want := []string{"URL http://a.example/x becomes https://a.example/x", "events push become issues, push",
		"content type form becomes json", "the certificate is checked, which was off",
		"the hook becomes active, which it was not"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	h = forge.Hook{URL: "https://a.example/", Events: []string{"push"}, Active: true, ContentType: "json"}
	if got := h.Changes(forge.Want{URL: h.URL, Events: h.Events}); len(got) != 0 {
		t.Errorf("got %q", got)
	}
}

// TestOtherRefusals holds that no other refusal is said to pass by itself.
func TestOtherRefusals(t *testing.T) {
	s := forgetest.New(t, forge.GitHub)
	for _, status := range []int{http.StatusMethodNotAllowed, http.StatusUnavailableForLegalReasons} {
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool { s.Fail(w, status, "no"); return true }
		_, err := connect(t, options(t, s)).List(t.Context())
		if e := fails(t, err, forge.Failed, fmt.Sprint(status)); strings.Contains(e.Error(), "later") {
			t.Errorf("status %d: %v", status, err)
		}
	}
}
