package forge_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

// reporters are the forges to which statuses can be reported, with the form that each has.
var reporters = map[forge.Forge]string{
	forge.Gitee: forge.AsCheckRun, forge.GitCode: forge.AsComment, forge.GitHub: forge.AsStatus,
	forge.GitLab: forge.AsStatus, forge.Gitea: forge.AsStatus, forge.Forgejo: forge.AsStatus,
}

func eachReporter(t *testing.T, run func(t *testing.T, s *forgetest.Server)) {
	t.Helper()
	each(t, func(t *testing.T, s *forgetest.Server) {
		if reporters[s.Forge] != "" {
			run(t, s)
		}
	})
}

func status(state forge.State) forge.Status {
	return forge.Status{SHA: forgetest.SHA, State: state, Context: "tekgate/app", Description: "built " + string(state),
		TargetURL: "https://dashboard.example.com/ci/app-x7"}
}

// TestStatusLife reports what a run reports, twice for the same commit.
func TestStatusLife(t *testing.T) {
	words := map[forge.Forge][]string{
		forge.Gitee:  {"success", "failure", "failure"},
		forge.GitLab: {"pending", "success", "pending", "failed", "pending", "failed"},
	}
	for _, f := range []forge.Forge{forge.GitHub, forge.Gitea, forge.Forgejo} {
		words[f] = []string{"pending", "success", "pending", "failure", "pending", "error"}
	}
	eachReporter(t, func(t *testing.T, s *forgetest.Server) {
		for _, state := range []forge.State{forge.Pending, forge.Success, forge.Pending, forge.Failure, forge.Pending,
			forge.Errored} {
			as, err := forge.SetStatus(t.Context(), options(t, s), status(state))
			want := reporters[s.Forge]
			if s.Forge == forge.GitCode && state == forge.Pending {
				want = forge.AsNothing
			}
			if err != nil || as != want {
				t.Fatalf("%s: reported as %q, want %q, error %v", state, as, want, err)
			}
		}
		all := s.Statuses()
		if s.Forge == forge.GitCode {
			if len(all) != 3 || all[0].Comment !=
				"tekgate/app: success\n\nbuilt success\n\nhttps://dashboard.example.com/ci/app-x7" {
				t.Errorf("the forge has %+v", all)
			}
			return
		}
		var got []string
		for _, one := range all {
			got = append(got, one.State)
			if one.Context != "tekgate/app" || one.URL != "https://dashboard.example.com/ci/app-x7" ||
				!strings.HasPrefix(one.Description, "built ") {
				t.Errorf("the forge has %+v", one)
			}
			if s.Forge == forge.Gitee && (one.StartedAt == "" || one.CompletedAt == "") {
				t.Errorf("the check run was not begun or not ended: %+v", one)
			}
		}
		if !slices.Equal(got, words[s.Forge]) {
			t.Errorf("the states are %v, want %v", got, words[s.Forge])
		}
	})
}

// TestStatusAgain holds that a status that the commit has already is no failure.
func TestStatusAgain(t *testing.T) {
	eachReporter(t, func(t *testing.T, s *forgetest.Server) {
		for _, state := range []forge.State{forge.Pending, forge.Pending, forge.Success, forge.Success} {
			if _, err := forge.SetStatus(t.Context(), options(t, s), status(state)); err != nil {
				t.Errorf("%s: %v", state, err)
			}
		}
	})
	s := forgetest.New(t, forge.GitLab)
	s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
		s.Fail(w, http.StatusBadRequest, "Cannot transition status via :enqueue from :running")
		return true
	}
	_, err := forge.SetStatus(t.Context(), options(t, s), status(forge.Pending))
	fails(t, err, forge.Invalid, "from :running")
}

// TestCheckRuns holds that the last check run of the same name is ended, and no other one, on
// whatever page it is.
func TestCheckRuns(t *testing.T) {
	for _, wrapped := range []bool{false, true} {
		s := forgetest.New(t, forge.Gitee)
		s.Wrapped = wrapped
		for _, name := range []string{"tekgate/app", "a", "b", "c", "d"} {
			one := status(forge.Pending)
			one.Context = name
			if _, err := forge.SetStatus(t.Context(), options(t, s), one); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := forge.SetStatus(t.Context(), options(t, s), status(forge.Success)); err != nil {
			t.Fatal(err)
		}
		all := s.Statuses()
		if len(all) != 5 || all[0].State != "success" || all[1].State != "in_progress" {
			t.Errorf("the forge has %+v", all)
		}
	}
	// A run whose beginning was not reported.
	s := forgetest.New(t, forge.Gitee)
	if _, err := forge.SetStatus(t.Context(), options(t, s), status(forge.Failure)); err != nil {
		t.Fatal(err)
	}
	if all := s.Statuses(); len(all) != 1 || all[0].State != "failure" {
		t.Errorf("the forge has %+v", all)
	}
}

// TestStatusRefusals holds the kind and the remedy of what forges answer.
func TestStatusRefusals(t *testing.T) {
	rights := map[forge.Forge]string{
		forge.Gitee: "scope projects", forge.GitCode: "write to repositories", forge.GitHub: "repo:status",
		forge.GitLab: "role Developer", forge.Gitea: "may push", forge.Forgejo: "may push",
	}
	eachReporter(t, func(t *testing.T, s *forgetest.Server) {
		set := func(change func(*forge.Options, *forge.Status)) error {
			o, one := options(t, s), status(forge.Success)
			change(&o, &one)
			_, err := forge.SetStatus(t.Context(), o, one)
			return err
		}
		right := rights[s.Forge]
		err := set(func(o *forge.Options, _ *forge.Status) { o.Token = "other-hunter5" })
		fails(t, err, forge.Unauthorized, "does not accept the token", right)
		err = set(func(o *forge.Options, _ *forge.Status) { o.Repository.Name = "hidden" })
		fails(t, err, forge.NotVisible, "no commit "+forgetest.SHA+" of team/hidden", right)
		err = set(func(_ *forge.Options, one *forge.Status) { one.SHA = strings.Repeat("a", 40) })
		switch s.Forge {
		case forge.GitHub:
			fails(t, err, forge.Invalid, "No commit found for SHA")
		case forge.Gitea, forge.Forgejo:
			fails(t, err, forge.Failed, "check that the repository has commit aaaa")
		default:
			fails(t, err, forge.NotVisible, "correct the repository's name or the commit")
		}
		err = set(func(o *forge.Options, _ *forge.Status) { o.CA = nil })
		fails(t, err, forge.Untrusted, "--ca-file")
		err = set(func(o *forge.Options, _ *forge.Status) {
			o.Repository.API = strings.Replace(s.API(), "127.0.0.1", "forge.invalid", 1)
		})
		fails(t, err, forge.UnknownHost, "forge.invalid", "does not resolve")
		for _, answer := range []struct {
			status int
			header string
			kind   forge.Kind
			want   string
		}{
			{http.StatusForbidden, "", forge.Forbidden, "report statuses of team/app (insufficient scope …)"},
			{http.StatusUnprocessableEntity, "", forge.Invalid, "insufficient scope …"},
			{http.StatusTooManyRequests, "3600", forge.Limited, "try again after 20"},
			{http.StatusMovedPermanently, "", forge.Redirected, "redirects"},
		} {
			s.Answer = func(w http.ResponseWriter, _ *http.Request) bool {
				if answer.header != "" {
					w.Header().Set("Retry-After", answer.header)
				}
				s.Fail(w, answer.status, "insufficient scope "+forgetest.Token)
				return true
			}
			fails(t, set(func(*forge.Options, *forge.Status) {}), answer.kind, answer.want)
		}
		if all := s.Statuses(); len(all) != 0 {
			t.Errorf("the forge has %+v", all)
		}
	})
}

// TestStatusRepeats holds that a report outlives a moment of trouble, and that one that would
// then be there twice is not sent again.
func TestStatusRepeats(t *testing.T) {
	eachReporter(t, func(t *testing.T, s *forgetest.Server) {
		var posts atomic.Int32
		s.Answer = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPost || posts.Add(1) > 1 {
				return false
			}
			s.Fail(w, http.StatusBadGateway, "try later")
			return true
		}
		_, err := forge.SetStatus(t.Context(), options(t, s), status(forge.Success))
		if s.Forge == forge.Gitee || s.Forge == forge.GitCode {
			fails(t, err, forge.Failed, "try later")
		} else if err != nil || len(s.Statuses()) != 1 {
			t.Errorf("error %v; the forge has %+v", err, s.Statuses())
		}
	})
}

// TestStatusChecks holds that values of forged or unusual events are refused before anything
// is sent, and that a long description is cut.
func TestStatusChecks(t *testing.T) {
	s := forgetest.New(t, forge.GitHub)
	long := "https://a.example/" + strings.Repeat("a", 255)
	for name, tt := range map[string]struct {
		want   string
		change func(*forge.Status)
	}{
		"no commit":     {"whole hash", func(one *forge.Status) { one.SHA = "" }},
		"a short hash":  {"whole hash", func(one *forge.Status) { one.SHA = "9921e45" }},
		"a path":        {"whole hash", func(one *forge.Status) { one.SHA = "../../../user" }},
		"a line end":    {"whole hash", func(one *forge.Status) { one.SHA = forgetest.SHA + "\n" }},
		"a deletion":    {"zeros", func(one *forge.Status) { one.SHA = strings.Repeat("0", 40) }},
		"no context":    {"context", func(one *forge.Status) { one.Context = "" }},
		"two lines":     {"context", func(one *forge.Status) { one.Context = "a\nb" }},
		"a long name":   {"context", func(one *forge.Status) { one.Context = strings.Repeat("a", 101) }},
		"no state":      {"is not known", func(one *forge.Status) { one.State = "done" }},
		"a script":      {"link", func(one *forge.Status) { one.TargetURL = "javascript:alert(1)" }},
		"a password":    {"link", func(one *forge.Status) { one.TargetURL = "https://me:hunter2@example.com" }},
		"a long link":   {"link", func(one *forge.Status) { one.TargetURL = long }},
		"not an url":    {"link", func(one *forge.Status) { one.TargetURL = "https://a b" }},
		"unfit control": {"is not known", func(one *forge.Status) { one.State = "\x1b[31m" }},
	} {
		one := status(forge.Success)
		tt.change(&one)
		_, err := forge.SetStatus(t.Context(), options(t, s), one)
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\x1b\n") ||
			strings.Contains(err.Error(), "hunter") {
			t.Errorf("%s: error %q, want one with %q", name, fmt.Sprint(err), tt.want)
		}
	}
	if requests := s.Requests(); len(requests) != 0 {
		t.Errorf("sent %v", requests)
	}
	one := status(forge.Success)
	one.Description = strings.Repeat("长", 200) + "\n"
	if _, err := forge.SetStatus(t.Context(), options(t, s), one); err != nil {
		t.Fatal(err)
	}
	if got := []rune(s.Statuses()[0].Description); len(got) != 140 || got[139] != '…' {
		t.Errorf("the description has %d characters", len(got))
	}
}

// TestStatusUnsupported holds that forges without statuses are named before a request.
func TestStatusUnsupported(t *testing.T) {
	each(t, func(t *testing.T, s *forgetest.Server) {
		if reporters[s.Forge] != "" {
			return
		}
		_, err := forge.SetStatus(t.Context(), options(t, s), status(forge.Success))
		if err == nil || !strings.Contains(err.Error(), s.Forge.Title()+": use gitee, gitcode, github") ||
			len(s.Requests()) != 0 {
			t.Errorf("error %v; sent %v", err, s.Requests())
		}
	})
	s := forgetest.New(t, forge.Gitea)
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := forge.SetStatus(canceled, options(t, s), status(forge.Success)); err == nil || len(s.Statuses()) != 0 {
		t.Errorf("a canceled report: error %v, the forge has %+v", err, s.Statuses())
	}
}
