package forgetest

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/forge"
)

// SHA is the commit that a Server's repository has.
const SHA = "9921e45e570db8e57e544650baf837932fb2100f"

// Status is what a forge has been told about SHA.
type Status struct {
	ID                              int
	State, Context, Description     string // in the forge's words
	URL                             string
	StartedAt, CompletedAt, Comment string // of check runs; the text of a comment
}

// Statuses returns the statuses, the oldest first.
func (s *Server) Statuses() []Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.statuses)
}

func (s *Server) addStatus(status Status) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	status.ID = len(s.statuses) + 1
	s.statuses = append(s.statuses, status)
	return status.ID
}

// statusPaths are where statuses are set.
var statusPaths = map[forge.Forge]string{
	forge.GitHub: "/repos/" + Path + "/statuses/", forge.Gitea: "/repos/" + Path + "/statuses/",
	forge.Forgejo: "/repos/" + Path + "/statuses/", forge.GitLab: "/projects/" + url.PathEscape(Path) + "/statuses/",
}

// serveStatus answers requests about statuses, and reports whether it did.
func (s *Server) serveStatus(w http.ResponseWriter, r *http.Request) bool {
	path := strings.TrimPrefix(r.URL.EscapedPath(), bases[s.Forge])
	repository := "/repos/" + Path
	sha, set := strings.CutPrefix(path, statusPaths[s.Forge])
	switch {
	case statusPaths[s.Forge] != "" && set && r.Method == http.MethodPost:
		s.setStatus(w, r, sha)
	case s.Forge == forge.GitCode && r.Method == http.MethodPost && path == repository+"/commits/"+SHA+"/comments":
		var body struct{ Body string }
		if !decode(r, &body) || body.Body == "" {
			s.Fail(w, http.StatusBadRequest, "body is empty")
			return true
		}
		s.addStatus(Status{Comment: body.Body})
		write(w, http.StatusCreated, map[string]any{"id": "12312sadsa", "body": body.Body})
	case s.Forge == forge.Gitee && r.Method == http.MethodPost && path == repository+"/check-runs":
		s.setCheckRun(w, r, 0)
	case s.Forge == forge.Gitee && r.Method == http.MethodPatch && strings.HasPrefix(path, repository+"/check-runs/"):
		id, _ := strconv.Atoi(path[len(repository+"/check-runs/"):])
		s.setCheckRun(w, r, id)
	case s.Forge == forge.Gitee && r.Method == http.MethodGet && path == repository+"/commits/"+SHA+"/check-runs":
		s.listCheckRuns(w, r)
	default:
		return false
	}
	return true
}

func decode(r *http.Request, into any) bool {
	text, err := io.ReadAll(r.Body)
	return err == nil && json.Unmarshal(text, into) == nil
}

// states are the states that a forge accepts.
var states = map[forge.Forge][]string{
	forge.GitLab: {"pending", "running", "success", "failed", "canceled", "skipped"},
}

// setStatus takes a status as GitHub, Gitea, Forgejo and GitLab do.
func (s *Server) setStatus(w http.ResponseWriter, r *http.Request, sha string) {
	var body struct {
		State, Context, Name, Description string
		URL                               string `json:"target_url"`
	}
	accepted := states[s.Forge]
	if accepted == nil {
		accepted = []string{"pending", "success", "failure", "error"}
	}
	switch {
	case !decode(r, &body) || !slices.Contains(accepted, body.State):
		s.Fail(w, http.StatusBadRequest, "state is missing or unknown")
		return
	case sha != SHA && s.Forge == forge.GitHub:
		s.Fail(w, http.StatusUnprocessableEntity, "No commit found for SHA: "+sha)
		return
	case sha != SHA && s.Forge == forge.GitLab:
		s.Fail(w, http.StatusNotFound, "404 Commit Not Found")
		return
	case sha != SHA: // as Gitea 1.27.3 does, whose documentation has 404
		s.Fail(w, http.StatusInternalServerError, "")
		return
	case len([]rune(body.Description)) > 140 && s.Forge == forge.GitHub:
		s.Fail(w, http.StatusUnprocessableEntity, "description is too long (maximum is 140 characters)")
		return
	}
	name := body.Context
	if s.Forge == forge.GitLab {
		name = body.Name
		if all := s.Statuses(); len(all) > 0 && all[len(all)-1].Context == name && all[len(all)-1].State == body.State {
			s.Fail(w, http.StatusBadRequest, `Cannot transition status via :enqueue from :`+body.State+
				` (Reason(s): Status cannot transition via "enqueue")`)
			return
		}
	}
	id := s.addStatus(Status{State: body.State, Context: name, Description: body.Description, URL: body.URL})
	write(w, http.StatusCreated, map[string]any{"id": id, "state": body.State, "status": body.State, "context": name,
		"description": body.Description, "target_url": body.URL})
}

// setCheckRun makes a check run, or changes the one with this id.
func (s *Server) setCheckRun(w http.ResponseWriter, r *http.Request, id int) {
	if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
		s.Fail(w, http.StatusBadRequest, "not a form")
		return
	}
	form := r.PostForm
	state := form.Get("status")
	if state == "completed" {
		state = form.Get("conclusion")
	}
	given := Status{State: state, Context: form.Get("name"), Description: form.Get("output[summary]"),
		URL: form.Get("details_url"), StartedAt: form.Get("started_at"), CompletedAt: form.Get("completed_at")}
	switch {
	case form.Get("name") == "" || form.Get("output[title]") == "" || given.Description == "" || state == "" ||
		!slices.Contains([]string{"in_progress", "success", "failure"}, state):
		s.Fail(w, http.StatusBadRequest, "name, output[title], output[summary], status or conclusion is missing")
		return
	case id == 0 && form.Get("head_sha") != SHA:
		s.Fail(w, http.StatusNotFound, "Commit Not Found")
		return
	case id == 0:
		id = s.addStatus(given)
	case id > len(s.Statuses()):
		s.Fail(w, http.StatusNotFound, "Not Found")
		return
	default:
		s.mu.Lock()
		given.ID, given.StartedAt = id, s.statuses[id-1].StartedAt
		s.statuses[id-1] = given
		s.mu.Unlock()
	}
	write(w, http.StatusCreated, map[string]any{"id": id, "name": given.Context, "head_sha": SHA,
		"status": form.Get("status")})
}

// listCheckRuns lists the check runs of SHA, the newest first, in pages.
func (s *Server) listCheckRuns(w http.ResponseWriter, r *http.Request) {
	all := s.Statuses()
	slices.Reverse(all)
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	from := min((max(page, 1)-1)*s.PageSize, len(all))
	runs := []any{}
	for _, status := range all[from:min(from+s.PageSize, len(all))] {
		state := "completed"
		if status.State == "in_progress" {
			state = status.State
		}
		runs = append(runs, map[string]any{"id": status.ID, "name": status.Context, "head_sha": SHA, "status": state})
	}
	if s.Wrapped {
		write(w, http.StatusOK, map[string]any{"total_count": len(all), "check_runs": runs})
		return
	}
	write(w, http.StatusOK, runs)
}
