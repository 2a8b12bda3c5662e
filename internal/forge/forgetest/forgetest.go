// Package forgetest serves the webhook and status APIs of forges, as their documentation
// states them, for tests.
package forgetest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/tekgate/tekgate/internal/forge"
)

// The account and the repository that a Server has.
const (
	Token = "tok-hunter2"
	Path  = "team/app"
)

// Hook is a webhook as a forge stores it.
type Hook struct {
	ID          int
	URL, Secret string
	// Signing is true where the secret is a signature key or a signing token.
	Signing     bool
	Events      []string
	ContentType string
	Active      bool
	Kept        string // the branch filter or description
}

// Server is one forge with one repository.
type Server struct {
	*httptest.Server
	Forge forge.Forge
	// PageSize is the largest page that the server makes.
	PageSize int
	// Empty is true for a repository without commits, where Gitea sends no test.
	Empty bool
	// Disabled is true where GitLab sends nothing because of failures.
	Disabled bool
	// Wrapped is true for a server of Gitee that lists check runs under a key.
	Wrapped bool
	// Answer may answer a request in place of the API.
	Answer func(w http.ResponseWriter, r *http.Request) bool
	// OnTest sends a test delivery.
	OnTest func(Hook)

	mu       sync.Mutex
	statuses []Status
	hooks    []Hook
	next     int
	requests []string
}

// New starts a server.
func New(t testing.TB, f forge.Forge) *Server {
	t.Helper()
	s := &Server{Forge: f, PageSize: 2, next: 1}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(s.serve))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that distrust it
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// bases are the paths of the APIs at a server of one's own.
var bases = map[forge.Forge]string{
	forge.Gitee: "/api/v5", forge.GitCode: "/api/v5", forge.GitHub: "/api/v3", forge.GitLab: "/api/v4",
	forge.Gitea: "/api/v1", forge.Forgejo: "/api/v1", forge.Gogs: "/api/v1", forge.Bitbucket: "/2.0",
}

// API returns the base URL of the API.
func (s *Server) API() string { return s.URL + bases[s.Forge] }

// CA returns the authority of the server's certificate, in PEM.
func (s *Server) CA() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
}

// Hooks returns the hooks.
func (s *Server) Hooks() []Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.hooks)
}

// Requests returns methods and URLs of the requests.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Add stores a hook, and returns it with its id.
func (s *Server) Add(h Hook) Hook {
	s.mu.Lock()
	defer s.mu.Unlock()
	h.ID = s.next
	s.next++
	s.hooks = append(s.hooks, h)
	return h
}

// Remove takes away the hook with this id.
func (s *Server) Remove(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hooks = slices.DeleteFunc(s.hooks, func(h Hook) bool { return s.id(h) == id })
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.String())
	s.mu.Unlock()
	if s.Answer != nil && s.Answer(w, r) {
		return
	}
	if !s.authorized(r) {
		s.Fail(w, http.StatusUnauthorized, "401 Unauthorized")
		return
	}
	if r.URL.Path == bases[s.Forge]+"/repos/"+Path && r.Method == http.MethodGet {
		write(w, http.StatusOK, map[string]any{"id": 1, "full_name": Path, "empty": s.Empty})
		return
	}
	if s.serveStatus(w, r) {
		return
	}
	rest, found := strings.CutPrefix(r.URL.EscapedPath(), bases[s.Forge]+s.collection())
	if !found || rest != "" && rest[0] != '/' {
		s.Fail(w, http.StatusNotFound, "404 Not Found")
		return
	}
	parts := strings.Split(strings.TrimPrefix(rest, "/"), "/")
	switch {
	case parts[0] == "" && r.Method == http.MethodGet:
		s.list(w, r)
	case parts[0] == "" && r.Method == http.MethodPost:
		s.create(w, r)
	case len(parts) == 1:
		s.one(w, r, parts[0])
	case r.Method == http.MethodPost:
		s.test(w, parts[0], strings.Join(parts[1:], "/"))
	case r.Method == http.MethodGet:
		s.deliveries(w, parts[1])
	default:
		s.Fail(w, http.StatusMethodNotAllowed, "405")
	}
}

func (s *Server) collection() string {
	switch s.Forge {
	case forge.GitLab:
		return "/projects/" + url.PathEscape(Path) + "/hooks"
	case forge.Bitbucket:
		return "/repositories/" + Path + "/hooks"
	}
	return "/repos/" + Path + "/hooks"
}

func (s *Server) authorized(r *http.Request) bool {
	got, want := r.Header.Get("Authorization"), "token "+Token
	switch s.Forge {
	case forge.GitLab:
		got, want = r.Header.Get("PRIVATE-TOKEN"), Token
	case forge.GitHub, forge.GitCode:
		want = "Bearer " + Token
	case forge.Bitbucket:
		if got == "Basic "+base64.StdEncoding.EncodeToString([]byte("me@example.com:"+Token)) {
			return true
		}
		want = "Bearer " + Token
	}
	return got == want
}

// Fail answers with an error in the forge's form.
func (s *Server) Fail(w http.ResponseWriter, status int, message string) {
	body := any(map[string]any{"message": message})
	if s.Forge == forge.Bitbucket {
		body = map[string]any{"type": "error", "error": map[string]any{"message": message}}
	}
	write(w, status, body)
}

func write(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if body != nil {
		_ = json.NewEncoder(w).Encode(body) // the client has gone
	}
}

// list pages as the forge does.
func (s *Server) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page, _ := strconv.Atoi(r.URL.Query().Get("page"))
	page = max(page, 1)
	from := min((page-1)*s.PageSize, len(s.hooks))
	to := min(from+s.PageSize, len(s.hooks))
	if s.Forge == forge.Gogs {
		from, to = 0, len(s.hooks)
	}
	items := []any{}
	for _, h := range s.hooks[from:to] {
		items = append(items, s.render(h))
	}
	next := *r.URL
	next.Scheme, next.Host = "https", r.Host
	q := next.Query()
	q.Set("page", fmt.Sprint(page+1))
	next.RawQuery = q.Encode()
	switch more := to < len(s.hooks); s.Forge {
	case forge.GitHub:
		if more {
			w.Header().Set("Link", fmt.Sprintf(`<%s>; rel="next"`, next.String()))
		}
	case forge.GitLab:
		if w.Header().Set("X-Next-Page", ""); more {
			w.Header().Set("X-Next-Page", fmt.Sprint(page+1))
		}
	case forge.Gitea, forge.Forgejo:
		w.Header().Set("X-Total-Count", fmt.Sprint(len(s.hooks)))
	case forge.Bitbucket:
		body := map[string]any{"values": items, "page": page}
		if more {
			body["next"] = next.String()
		}
		write(w, http.StatusOK, body)
		return
	}
	write(w, http.StatusOK, items)
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	h := Hook{Active: true}
	if !s.parse(w, r, &h) {
		return
	}
	s.mu.Lock()
	exists := slices.ContainsFunc(s.hooks, func(other Hook) bool { return other.URL == h.URL })
	s.mu.Unlock()
	if exists && s.Forge == forge.GitHub {
		write(w, http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed",
			"errors": []any{map[string]any{"resource": "Hook", "code": "custom",
				"message": "Hook already exists on this repository"}}})
		return
	}
	write(w, http.StatusCreated, s.render(s.Add(h)))
}

// one changes or deletes a hook.
func (s *Server) one(w http.ResponseWriter, r *http.Request, id string) {
	i := s.index(id)
	switch {
	case i < 0:
		s.Fail(w, http.StatusNotFound, "404 Not found")
	case r.Method == http.MethodDelete:
		s.mu.Lock()
		s.hooks = slices.Delete(s.hooks, i, i+1)
		s.mu.Unlock()
		write(w, http.StatusNoContent, nil)
	case r.Method == s.update():
		h := s.Hooks()[i]
		before := h
		if !s.parse(w, r, &h) {
			return
		}
		if slices.Contains([]forge.Forge{forge.Gitea, forge.Forgejo, forge.Gogs}, s.Forge) {
			h.Secret = before.Secret // they ignore the secret
		}
		s.mu.Lock()
		s.hooks[i] = h
		s.mu.Unlock()
		write(w, http.StatusOK, s.render(h))
	default:
		s.Fail(w, http.StatusMethodNotAllowed, "405")
	}
}

func (s *Server) update() string {
	if s.Forge == forge.GitLab || s.Forge == forge.Bitbucket {
		return http.MethodPut
	}
	return http.MethodPatch
}

func (s *Server) index(id string) int {
	id, _ = url.PathUnescape(id)
	return slices.IndexFunc(s.Hooks(), func(h Hook) bool { return s.id(h) == id })
}

func (s *Server) id(h Hook) string {
	if s.Forge == forge.Bitbucket {
		return fmt.Sprintf("{00000000-0000-0000-0000-%012d}", h.ID)
	}
	return fmt.Sprint(h.ID)
}

// tests are the paths by which tests are asked for.
var tests = map[forge.Forge]string{
	forge.Gitee: "tests", forge.GitCode: "tests", forge.GitHub: "pings", forge.GitLab: "test/push_events",
	forge.Gitea: "tests", forge.Forgejo: "tests",
}

func (s *Server) test(w http.ResponseWriter, id, path string) {
	i := s.index(id)
	if i < 0 || tests[s.Forge] != path || path == "" {
		s.Fail(w, http.StatusNotFound, "404 Not found")
		return
	}
	if s.OnTest != nil && !s.Empty {
		s.OnTest(s.Hooks()[i])
	}
	if s.Forge == forge.GitLab {
		write(w, http.StatusCreated, map[string]any{"message": "201 Created"})
		return
	}
	write(w, http.StatusNoContent, nil)
}

func (s *Server) deliveries(w http.ResponseWriter, path string) {
	switch {
	case s.Forge == forge.GitHub && path == "deliveries":
		write(w, http.StatusOK, []any{map[string]any{"id": 12345678, "guid": "0b989ba4-242f-11e5-81e1-c7b6966d2516",
			"delivered_at": "2026-06-03T00:57:16Z", "redelivery": false, "duration": 0.27, "status": "failed to connect to host",
			"status_code": 502, "event": "ping", "action": nil}})
	case s.Forge == forge.GitLab && path == "events":
		write(w, http.StatusOK, []any{map[string]any{"id": 1, "url": "https://example.net/", "trigger": "push_hooks",
			"request_headers":  map[string]any{"Idempotency-Key": "3a427872-00df-429c-9bc9-a9475de2efe4"},
			"response_headers": map[string]any{"Date": "Sun, 26 May 2024 03:03:17 GMT"}, "request_data": map[string]any{},
			"execution_duration": 1.09, "response_status": "503"}})
	default:
		s.Fail(w, http.StatusNotFound, "404 Not Found")
	}
}

// fields are the events of forges that have a field for each.
var fields = map[string]string{
	"push_events": "push", "tag_push_events": "tag_push", "issues_events": "issue", "note_events": "note",
	"merge_requests_events": "merge_request",
}

// render returns a hook as the API does. Gitee and GitCode return the password.
func (s *Server) render(h Hook) any {
	config := map[string]any{"url": h.URL, "content_type": h.ContentType}
	switch s.Forge {
	case forge.Gitee, forge.GitCode, forge.GitLab:
		item := map[string]any{"id": h.ID, "url": h.URL, "created_at": "2024-09-18T17:51:44+08:00"}
		for field, event := range fields {
			item[field] = slices.Contains(h.Events, event)
		}
		if s.Forge == forge.GitLab {
			maps.Copy(item, map[string]any{"alert_status": "executable", "disabled_until": nil})
			if s.Disabled {
				item["alert_status"] = "disabled"
			}
			return item
		}
		maps.Copy(item, map[string]any{"password": h.Secret, "project_id": 282463, "result": "not found",
			"result_code": 503})
		return item
	case forge.GitHub:
		config["secret"], config["insecure_ssl"] = "********", "0"
		return map[string]any{"type": "Repository", "id": h.ID, "name": "web", "active": h.Active, "events": h.Events,
			"config": config, "last_response": map[string]any{"code": nil, "status": "unused", "message": nil}}
	case forge.Bitbucket:
		return map[string]any{"uuid": s.id(h), "url": h.URL, "description": h.Kept, "active": h.Active,
			"events": h.Events, "secret_set": h.Secret != ""}
	}
	return map[string]any{"id": h.ID, "type": "gitea", "config": config, "events": h.Events, "active": h.Active,
		"branch_filter": h.Kept, "authorization_header": ""}
}

// parse reads a hook from a request, in the content type that the forge documents.
func (s *Server) parse(w http.ResponseWriter, r *http.Request, h *Hook) bool {
	if s.Forge == forge.Gitee || s.Forge == forge.GitCode {
		if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || r.ParseForm() != nil {
			s.Fail(w, http.StatusBadRequest, "not a form")
			return false
		}
		h.URL, h.Secret = r.PostForm.Get("url"), r.PostForm.Get("password")
		h.Signing = r.PostForm.Get("encryption_type") == "1"
		h.Events = nil
		for field, event := range fields {
			if r.PostForm.Get(field) == "true" {
				h.Events = append(h.Events, event)
			}
		}
		return s.checked(w, h)
	}
	var body struct {
		URL, Secret, Token, Description string
		SigningToken                    string `json:"signing_token"`
		BranchFilter                    string `json:"branch_filter"`
		Active                          *bool
		Events                          []string
		Config                          map[string]string
	}
	text, err := io.ReadAll(r.Body)
	var all map[string]any
	if err != nil || json.Unmarshal(text, &body) != nil || json.Unmarshal(text, &all) != nil {
		s.Fail(w, http.StatusBadRequest, "not JSON")
		return false
	}
	switch s.Forge {
	case forge.GitLab:
		h.URL, h.Secret, h.Signing, h.Events = body.URL, body.Token+body.SigningToken, body.SigningToken != "", nil
		for field, event := range fields {
			if all[field] == true {
				h.Events = append(h.Events, event)
			}
		}
	case forge.Bitbucket:
		h.URL, h.Secret, h.Events, h.Kept = body.URL, body.Secret, body.Events, body.Description
	default:
		h.URL, h.Secret, h.ContentType = body.Config["url"], body.Config["secret"], body.Config["content_type"]
		h.Events, h.Kept = body.Events, body.BranchFilter
	}
	if body.Active != nil {
		h.Active = *body.Active
	}
	return s.checked(w, h)
}

// checked refuses URLs that forges refuse.
func (s *Server) checked(w http.ResponseWriter, h *Hook) bool {
	slices.Sort(h.Events)
	if !strings.Contains(h.URL, "blocked.example") {
		return true
	}
	message := "Url is blocked: Requests to the local network are not allowed\x1b[31m " + h.Secret
	if s.Forge == forge.GitLab {
		write(w, http.StatusUnprocessableEntity, map[string]any{"message": map[string]any{"url": []any{message}}})
		return false
	}
	status := http.StatusUnprocessableEntity
	if s.Forge == forge.Bitbucket {
		status = http.StatusBadRequest
	}
	s.Fail(w, status, message)
	return false
}
