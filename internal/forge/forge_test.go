package forge_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

const hookSecret = "sec-hunter3"

// each runs a test for every forge.
func each(t *testing.T, run func(t *testing.T, s *forgetest.Server)) {
	t.Helper()
	for _, f := range forge.All {
		t.Run(string(f), func(t *testing.T) { run(t, forgetest.New(t, f)) })
	}
}

// options return how to reach a server.
func options(t *testing.T, s *forgetest.Server) forge.Options {
	t.Helper()
	at, err := forge.Locate(forgetest.Path, s.Forge, s.API())
	if err != nil {
		t.Fatal(err)
	}
	return forge.Options{Repository: at, Token: forgetest.Token, CA: s.CA(), MaxWait: 2 * time.Second}
}

func connect(t *testing.T, o forge.Options) forge.Client {
	t.Helper()
	c, err := forge.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func want(t *testing.T, s *forgetest.Server, address string) forge.Want {
	t.Helper()
	events, err := s.Forge.Events([]string{"push", "pull_request"})
	if err != nil {
		t.Fatal(err)
	}
	return forge.Want{URL: address, Secret: hookSecret, Mode: "sign", Events: events}
}

// fails checks the kind of an error and its text, in which no secret may be.
func fails(t *testing.T, err error, kind forge.Kind, parts ...string) *forge.Error {
	t.Helper()
	var e *forge.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %v is no *forge.Error", err)
	}
	text := err.Error()
	if e.Kind != kind {
		t.Errorf("kind %s, want %s: %s", e.Kind, kind, text)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%q lacks %q", text, part)
		}
	}
	if strings.Contains(text, "hunter") || strings.ContainsAny(text, "\x1b\n") || strings.Contains(text, "per_page") {
		t.Errorf("the error has a secret, a control character or a query: %q", text)
	}
	return e
}

// TestLife creates a hook, finds it behind others, updates and deletes it.
func TestLife(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		ctx, c := t.Context(), connect(t, options(t, s))
		for i := range 5 {
			s.Add(forgetest.Hook{URL: fmt.Sprintf("https://other.example/%d", i), Active: true})
		}
		const address = "https://hooks.example.com/app"
		wanted := want(t, s, address)
		made, err := c.Create(ctx, wanted)
		if err != nil {
			t.Fatal(err)
		}
		if made.ID == "" || made.URL != address || !slices.Equal(made.Events, wanted.Events) {
			t.Errorf("created %+v", made)
		}
		stored := s.Hooks()[5]
		if stored.Secret != hookSecret || !stored.Active || stored.ContentType != "json" && stored.ContentType != "" {
			t.Errorf("the forge stores %+v", stored)
		}
		hooks, err := c.List(ctx)
		if err != nil || len(hooks) != 6 {
			t.Fatalf("%d hooks, error %v", len(hooks), err)
		}
		found, err := forge.Find(hooks, "https://HOOKS.example.com:443/app/")
		if err != nil || found == nil || found.ID != made.ID {
			t.Fatalf("found %+v, error %v", found, err)
		}
		wanted.Secret, wanted.NewSecret = "sec-hunter4", true
		wanted.Events = wanted.Events[:1]
		updated, err := c.Update(ctx, *found, wanted)
		if err != nil || updated.ID == "" || !slices.Equal(updated.Events, wanted.Events) {
			t.Errorf("updated %+v, error %v", updated, err)
		}
		if all := s.Hooks(); len(all) != 6 || all[5].Secret != "sec-hunter4" ||
			!slices.Equal(all[5].Events, wanted.Events) {
			t.Errorf("the forge stores %+v", all)
		}
		if err := c.Delete(ctx, updated.ID); err != nil || len(s.Hooks()) != 5 {
			t.Errorf("%d hooks, error %v", len(s.Hooks()), err)
		}
		fails(t, c.Delete(ctx, updated.ID), forge.NotVisible, "404")
		for _, request := range s.Requests() {
			if strings.Contains(request, "hunter") || strings.Contains(request, "access_token") {
				t.Errorf("a URL has a secret: %s", request)
			}
		}
	})
}

// TestKept holds that an update keeps what it is not about.
func TestKept(t *testing.T) {
	for _, f := range []forge.Forge{forge.Gitea, forge.Forgejo, forge.Bitbucket} {
		s := forgetest.New(t, f)
		s.Add(forgetest.Hook{URL: "https://a.example/", Kept: "release/*", Active: true})
		c := connect(t, options(t, s))
		for _, replaced := range []bool{false, true} {
			hooks, err := c.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			wanted := want(t, s, "https://a.example/")
			wanted.NewSecret = replaced
			if _, err := c.Update(t.Context(), hooks[0], wanted); err != nil {
				t.Fatal(err)
			}
			if all := s.Hooks(); len(all) != 1 || all[0].Kept != "release/*" {
				t.Errorf("%s: the update left %+v", f, all)
			}
		}
	}
}

// TestModes holds that the way of signing is the Trigger's.
func TestModes(t *testing.T) {
	for _, tt := range []struct {
		forge   forge.Forge
		mode    string
		signing bool
	}{
		{forge.Gitee, "sign", true}, {forge.Gitee, "password", false}, {forge.GitCode, "sign", true},
		{forge.GitCode, "token", false}, {forge.GitLab, "token", false}, {forge.GitLab, "signing-token", true},
	} {
		s := forgetest.New(t, tt.forge)
		wanted := want(t, s, "https://a.example/")
		wanted.Mode = tt.mode
		if _, err := connect(t, options(t, s)).Create(t.Context(), wanted); err != nil {
			t.Fatal(err)
		}
		if got := s.Hooks()[0]; got.Signing != tt.signing || got.Secret != hookSecret {
			t.Errorf("%s in mode %s stores %+v", tt.forge, tt.mode, got)
		}
	}
}

func TestTwice(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		first := s.Add(forgetest.Hook{URL: "https://a.example/x?token=hunter2"})
		second := s.Add(forgetest.Hook{URL: "https://A.example:443/x/?token=hunter2"})
		hooks, err := connect(t, options(t, s)).List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, err = forge.Find(hooks, "https://a.example/x?token=hunter2")
		var twice *forge.DuplicateError
		if !errors.As(err, &twice) || len(twice.IDs) != 2 {
			t.Fatalf("error %v", err)
		}
		for _, id := range []int{first.ID, second.ID} {
			if !strings.Contains(err.Error(), fmt.Sprint(id)) {
				t.Errorf("%q lacks the id %d", err, id)
			}
		}
		if strings.Contains(err.Error(), "hunter") {
			t.Errorf("the error has the query: %v", err)
		}
	})
}

// TestRefusals holds the kind and the remedy of what forges answer.
func TestRefusals(t *testing.T) {
	scopes := map[forge.Forge]string{
		forge.Gitee: "scopes projects and hook", forge.GitCode: "may manage webhooks", forge.GitHub: "admin:repo_hook",
		forge.GitLab: "scope api", forge.Gitea: "write:repository", forge.Forgejo: "write:repository",
		forge.Gogs: "access token", forge.Bitbucket: "write:webhook:bitbucket",
	}
	each(t, func(t *testing.T, s *forgetest.Server) {
		ctx, o := t.Context(), options(t, s)
		list := func(o forge.Options) error { _, err := connect(t, o).List(ctx); return err }
		wrong := o
		wrong.Token = "other-hunter5"
		fails(t, list(wrong), forge.Unauthorized, "does not accept the token", scopes[s.Forge])
		wrong = o
		wrong.Repository.Name = "hidden"
		fails(t, list(wrong), forge.NotVisible, "team/hidden", scopes[s.Forge])
		_, err := connect(t, o).Create(ctx, want(t, s, "https://blocked.example/"))
		fails(t, err, forge.Invalid, "Requests to the local network are not allowed")
		if len(s.Hooks()) != 0 {
			t.Error("a refused hook is stored")
		}
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			s.Fail(w, http.StatusForbidden, "insufficient scope "+forgetest.Token)
			return true
		}
		fails(t, list(o), forge.Forbidden, "insufficient scope …", scopes[s.Forge])
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprint(w, "<html>a page with hunter2")
			return true
		}
		fails(t, list(o), forge.NotAPI, "--api-url")
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprint(w, `["`+strings.Repeat("x", 9<<20)+`"]`)
			return true
		}
		fails(t, list(o), forge.NotAPI)
	})
}

// TestMade holds that a request that failed late is known to have perhaps taken effect, and
// that it is not sent again.
func TestMade(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		var posts atomic.Int32
		s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
			posts.Add(1)
			s.Fail(w, http.StatusBadGateway, "try later")
			return true
		}
		_, err := connect(t, options(t, s)).Create(t.Context(), want(t, s, "https://a.example/"))
		if e := fails(t, err, forge.Failed, "try later"); !e.Unsure || posts.Load() != 1 {
			t.Errorf("unsure %t after %d requests", e.Unsure, posts.Load())
		}
	})
}

func TestRepeats(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		for name, answer := range map[string]func(http.ResponseWriter){
			"busy": func(w http.ResponseWriter) { s.Fail(w, http.StatusServiceUnavailable, "busy") },
			"limited": func(w http.ResponseWriter) {
				w.Header().Set("Retry-After", "1")
				s.Fail(w, http.StatusTooManyRequests, "slow down")
			},
		} {
			var failed atomic.Bool
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				if failed.Swap(true) {
					return false
				}
				answer(w)
				return true
			}
			if _, err := connect(t, options(t, s)).List(t.Context()); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

func TestLimits(t *testing.T) {
	reset := time.Now().Add(time.Hour).Truncate(time.Second)
	each(t, func(t *testing.T, s *forgetest.Server) {
		o := options(t, s)
		for name, tt := range map[string]struct {
			status int
			header http.Header
		}{
			"seconds": {http.StatusTooManyRequests, http.Header{"Retry-After": {"3600"}}},
			"reset":   {http.StatusTooManyRequests, http.Header{"Ratelimit-Reset": {fmt.Sprint(reset.Unix())}}},
			"as GitHub does": {http.StatusForbidden, http.Header{"X-Ratelimit-Remaining": {"0"},
				"X-Ratelimit-Reset": {fmt.Sprint(reset.Unix())}}},
		} {
			requests := 0
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				requests++
				for key, values := range tt.header {
					w.Header()[key] = values
				}
				s.Fail(w, tt.status, "API rate limit exceeded")
				return true
			}
			_, err := connect(t, o).List(t.Context())
			e := fails(t, err, forge.Limited, "API rate limit exceeded", "try again after 20")
			if d := e.Until.Sub(reset).Abs(); d > 10*time.Second || requests != 1 {
				t.Errorf("%s: until %s, want %s; %d requests", name, e.Until, reset, requests)
			}
		}
	})
}

// TestRedirects holds that a token is sent to no other address.
func TestRedirects(t *testing.T) {
	var stolen atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { stolen.Add(1) }))
	t.Cleanup(thief.Close)
	each(t, func(t *testing.T, s *forgetest.Server) {
		for _, status := range []int{301, 302, 307, 308} {
			s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
				http.Redirect(w, r, thief.URL+"/hooks?x=hunter2", status)
				return true
			}
			c := connect(t, options(t, s))
			_, err := c.List(t.Context())
			fails(t, err, forge.Redirected, thief.URL+"/hooks")
			_, err = c.Create(t.Context(), want(t, s, "https://a.example/"))
			fails(t, err, forge.Redirected)
		}
		if stolen.Load() != 0 {
			t.Error("a redirect was followed")
		}
	})
}

// TestForeignPage holds that a link to the next page is followed at the API alone.
func TestForeignPage(t *testing.T) {
	s := forgetest.New(t, forge.Bitbucket)
	s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		fmt.Fprint(w, `{"values":[],"next":"https://me:hunter2@thief.example/2.0/x?y=hunter2"}`)
		return true
	}
	_, err := connect(t, options(t, s)).List(t.Context())
	fails(t, err, forge.Redirected, "thief.example")
}

// TestEndless holds that a list without an end ends.
func TestEndless(t *testing.T) {
	s := forgetest.New(t, forge.GitLab)
	s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("X-Next-Page", "2")
		fmt.Fprint(w, "[]")
		return true
	}
	_, err := connect(t, options(t, s)).List(t.Context())
	fails(t, err, forge.NotAPI, "more than 100 pages")
}

func TestConnections(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		ctx := t.Context()
		list := func(change func(*forge.Options)) error {
			o := options(t, s)
			change(&o)
			_, err := connect(t, o).List(ctx)
			return err
		}
		fails(t, list(func(o *forge.Options) { o.CA = nil }), forge.Untrusted, "--ca-file", "unknown authority")
		named := strings.Replace(s.API(), "127.0.0.1", "localhost", 1)
		fails(t, list(func(o *forge.Options) { o.Repository.API = named }), forge.Untrusted, "another name")
		unknown := strings.Replace(s.API(), "127.0.0.1", "forge.invalid", 1)
		fails(t, list(func(o *forge.Options) { o.Repository.API = unknown }), forge.UnknownHost, "forge.invalid",
			"does not resolve")
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		closed := "https://" + listener.Addr().String()
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
		err = list(func(o *forge.Options) { o.Repository.API = closed })
		e := fails(t, err, forge.Unreachable, "connection refused")
		if e.Unsure {
			t.Error("a request that was not sent may have taken effect")
		}
		canceled, cancel := context.WithCancel(ctx)
		cancel()
		if _, err := connect(t, options(t, s)).List(canceled); err == nil {
			t.Error("a canceled request succeeds")
		}
	})
}

func TestTestsAndDeliveries(t *testing.T) {
	cannot := []forge.Forge{forge.Gogs, forge.Bitbucket}
	lists := map[forge.Forge]int{forge.GitHub: 502, forge.GitLab: 503}
	each(t, func(t *testing.T, s *forgetest.Server) {
		ctx, c := t.Context(), connect(t, options(t, s))
		tested := ""
		s.OnTest = func(h forgetest.Hook) { tested = h.URL }
		made, err := c.Create(ctx, want(t, s, "https://a.example/"))
		if err != nil {
			t.Fatal(err)
		}
		err = c.Test(ctx, made)
		if slices.Contains(cannot, s.Forge) {
			if !errors.Is(err, forge.ErrUnsupported) {
				t.Errorf("error %v", err)
			}
		} else if err != nil || tested != made.URL {
			t.Errorf("tested %q, error %v", tested, err)
		}
		list, err := c.Deliveries(ctx, made.ID)
		if status, can := lists[s.Forge]; !can {
			if !errors.Is(err, forge.ErrUnsupported) {
				t.Errorf("deliveries: error %v", err)
			}
		} else if err != nil || len(list) != 1 || list[0].Status != status || list[0].ID == "" ||
			list[0].Time.IsZero() {
			t.Errorf("deliveries %+v, error %v", list, err)
		}
	})
}

// TestReplaces holds that a hook keeps its id unless its secret must change, and that one
// whose replacement fails is the only one afterwards.
func TestReplaces(t *testing.T) {
	for _, f := range []forge.Forge{forge.Gitea, forge.Forgejo, forge.Gogs} {
		s := forgetest.New(t, f)
		c := connect(t, options(t, s))
		wanted := want(t, s, "https://a.example/")
		made, err := c.Create(t.Context(), wanted)
		if err != nil {
			t.Fatal(err)
		}
		same, err := c.Update(t.Context(), made, wanted)
		if err != nil || same.ID != made.ID {
			t.Errorf("%s: the same secret: hook %s, error %v", f, same.ID, err)
		}
		var deletes atomic.Int32
		s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodDelete || deletes.Add(1) != 1 {
				return false
			}
			s.Fail(w, http.StatusForbidden, "no")
			return true
		}
		wanted.NewSecret = true
		_, err = c.Update(t.Context(), made, wanted)
		fails(t, err, forge.Forbidden)
		if hooks := s.Hooks(); len(hooks) != 1 || fmt.Sprint(hooks[0].ID) != made.ID {
			t.Errorf("%s has %+v", f, hooks)
		}
		if other, err := c.Update(t.Context(), made, wanted); err != nil || other.ID == made.ID || len(s.Hooks()) != 1 {
			t.Errorf("%s: another secret: hook %s, error %v", f, other.ID, err)
		}
	}
}

// TestEmpty holds that Gitea is not asked for a test that it would not send.
func TestEmpty(t *testing.T) {
	s := forgetest.New(t, forge.Gitea)
	s.Empty = true
	c := connect(t, options(t, s))
	made, err := c.Create(t.Context(), want(t, s, "https://a.example/"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Test(t.Context(), made); !errors.Is(err, forge.ErrUnsupported) {
		t.Errorf("error %v", err)
	}
}

func TestLocate(t *testing.T) {
	for _, tt := range []struct{ text, forge, api, want string }{
		{"https://gitee.com/team/app.git", "", "", "gitee team app https://gitee.com/api/v5"},
		{"git@gitcode.com:team/app.git", "", "", "gitcode team app https://api.gitcode.com/api/v5"},
		{"https://github.com/team/app", "", "", "github team app https://api.github.com"},
		{"https://ghe.example.com/team/app", "github", "", "github team app https://ghe.example.com/api/v3"},
		{"https://gitlab.com/a/b/c.git", "", "", "gitlab a/b c https://gitlab.com/api/v4"},
		{"https://jihulab.com/a/b", "", "", "gitlab a b https://jihulab.com/api/v4"},
		{"ssh://git@git.example.com:2222/a/b.git", "gitlab", "", "gitlab a b https://git.example.com/api/v4"},
		{"https://codeberg.org/a/b", "", "", "forgejo a b https://codeberg.org/api/v1"},
		{"https://git.example.com:8443/a/b", "gitea", "", "gitea a b https://git.example.com:8443/api/v1"},
		{"a/b", "gitea", "https://git.example.com/", "gitea a b https://git.example.com/api/v1"},
		{"a/b", "gitea", "https://git.example.com/api/v1", "gitea a b https://git.example.com/api/v1"},
		{"a/b", "gitea", "https://example.com/git/api/v1", "gitea a b https://example.com/git/api/v1"},
		{"a/b", "gogs", "http://127.0.0.1:3000", "gogs a b http://127.0.0.1:3000/api/v1"},
		{"git@bitbucket.org:a/b.git", "", "", "bitbucket a b https://api.bitbucket.org/2.0"},
		{"a/b", "gitee", "", "gitee a b https://gitee.com/api/v5"},
	} {
		got, err := forge.Locate(tt.text, forge.Forge(tt.forge), tt.api)
		if text := fmt.Sprintf("%s %s %s %s", got.Forge, got.Owner, got.Name, got.API); err != nil || text != tt.want {
			t.Errorf("%s %s %s: got %s, error %v, want %s", tt.text, tt.forge, tt.api, text, err, tt.want)
		}
	}
	for _, tt := range []struct{ text, forge, want string }{
		{"a/b", "", "name it with --provider"},
		{"a/b", "gitea", "pass --api-url"},
		{"a/b/c", "github", "OWNER/NAME"},
		{"app", "github", "OWNER/NAME"},
		{"a/..", "github", "OWNER/NAME"},
		{"a/b?x=hunter2", "github", "OWNER/NAME"},
		{"https://me:hunter2@gitee.com/a/b", "", "without a password"},
		{"https://dc.example.com/a/b", "bitbucket", "only bitbucket.org does"},
		{"a/b", "githb", `did you mean "github"?`},
		{"a/b", "generic", "no forge that this command knows"},
	} {
		_, err := forge.Locate(tt.text, forge.Forge(tt.forge), "")
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s %s: error %v lacks %q", tt.text, tt.forge, err, tt.want)
		}
	}
}

func TestNew(t *testing.T) {
	at := forge.Repository{Forge: forge.Gitea, Owner: "a", Name: "b", API: "https://a.example/api/v1"}
	for name, tt := range map[string]struct {
		change func(*forge.Options)
		want   string
	}{
		"a token without encryption": {func(o *forge.Options) { o.Repository.API = "http://a.example/api/v1" }, "--plain-http"},
		"a user in the address": {func(o *forge.Options) { o.Repository.API = "https://me:hunter2@a.example" },
			"without a user"},
		"no address":     {func(o *forge.Options) { o.Repository.API = "a.example" }, "https://HOST"},
		"no token":       {func(o *forge.Options) { o.Token = "\n" }, "empty"},
		"a broken token": {func(o *forge.Options) { o.Token = "hunter2\r\nHost: x" }, "line ends"},
		"no authorities": {func(o *forge.Options) { o.CA = []byte("hunter2") }, "no certificate"},
	} {
		o := forge.Options{Repository: at, Token: "hunter2"}
		tt.change(&o)
		if _, err := forge.New(o); err == nil || !strings.Contains(err.Error(), tt.want) ||
			strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: error %v lacks %q", name, err, tt.want)
		}
	}
	if _, err := forge.New(forge.Options{Repository: at, Token: " hunter2\n", PlainHTTP: true}); err != nil {
		t.Errorf("a newline after the token: %v", err)
	}
}

func TestEvents(t *testing.T) {
	for _, tt := range []struct {
		forge forge.Forge
		in    string
		want  string
	}{
		{forge.Gitee, "push,tag,pull_request,comment,issue", "issue,merge_request,note,push,tag_push"},
		{forge.GitLab, "merge_request,pipeline", "merge_request,pipeline"},
		{forge.GitHub, "push,tag,merge_request,workflow_run", "pull_request,push,workflow_run"},
		{forge.Gitea, "push,pull_request,note,create", "create,issue_comment,pull_request,push"},
		{forge.Bitbucket, "push,pull_request", "pullrequest:created,pullrequest:fulfilled,pullrequest:updated,repo:push"},
	} {
		got, err := tt.forge.Events(strings.Split(tt.in, ","))
		if err != nil || strings.Join(got, ",") != tt.want {
			t.Errorf("%s: %s is %v, error %v", tt.forge, tt.in, got, err)
		}
	}
	for f, event := range map[forge.Forge]string{forge.Gitee: "release", forge.Gitea: "pul_request", forge.Gogs: "wiki",
		forge.GitHub: "a b"} {
		if _, err := f.Events([]string{event}); err == nil || !strings.Contains(err.Error(), "has no event") {
			t.Errorf("%s accepts %s: error %v", f, event, err)
		}
	}
}
