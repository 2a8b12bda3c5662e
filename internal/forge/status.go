package forge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"code.gitea.io/sdk/gitea"
	"github.com/google/go-github/v89/github"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// State is the state of a commit status.
type State string

// The states, which GitHub, Gitea and Forgejo have under these names.
const (
	Pending State = "pending"
	Success State = "success"
	Failure State = "failure"
	Errored State = "error" // nothing is known about the commit, since the run ended before its end
)

// Status is what a run says about a commit.
type Status struct {
	SHA   string // the whole hash
	State State
	// Context tells the statuses of a commit apart. A later status replaces an earlier one of
	// the same context.
	Context     string
	Description string // one line, which is cut at 140 characters
	TargetURL   string // http or https; empty for none
}

// The forms in which forges take a status.
const (
	AsStatus   = "commit status"
	AsCheckRun = "check run"
	AsComment  = "comment on the commit"
	AsNothing  = "" // it was not sent
)

const (
	longestContext = 100
	// longestDescription is GitHub's limit; the others have larger ones.
	longestDescription = 140
	// longestURL is GitLab's limit.
	longestURL = 255
)

// SetStatus reports a status of a commit, and returns the form in which the forge has it.
//
// Sources: docs.github.com/rest/commits/statuses, docs.gitlab.com/api/commits (set commit
// pipeline status) and docs.gitea.com (repoCreateStatus). Gitee's v5 API documents no commit
// statuses but check runs (检查项, gitee.com/api/v5/swagger, Checks), which it shows in the same
// place. GitCode's documents neither, so the result becomes a comment on the commit
// (docs.gitcode.com/docs/apis, Commit); pending is not sent there, since a second comment
// would be all that comes of it.
func SetStatus(ctx context.Context, o Options, status Status) (as string, err error) {
	at := o.Repository.Forge
	if err := at.CheckStatus(); err != nil {
		return AsNothing, err
	}
	if err := status.check(); err != nil {
		return AsNothing, err
	}
	s, err := newSession(o)
	if err != nil {
		return AsNothing, err
	}
	s.sha, s.repeats = status.SHA, at != Gitee && at != GitCode
	status.Description = cut(printable(status.Description), longestDescription)
	switch at {
	case Gitee:
		return AsCheckRun, (&v5{s}).checkRun(ctx, status)
	case GitCode:
		if status.State == Pending {
			return AsNothing, nil
		}
		return AsComment, (&v5{s}).comment(ctx, status)
	case GitLab:
		return AsStatus, (&gitLab{s}).status(ctx, status)
	case GitHub:
		return AsStatus, (&gitHub{s}).status(ctx, status)
	}
	return AsStatus, (&giteaHooks{s}).status(ctx, status)
}

// CheckStatus returns an error for a forge to which SetStatus cannot report.
func (f Forge) CheckStatus() error {
	if f.StatusToken() != "" {
		return nil
	}
	var list []string
	for _, f := range All {
		if f.StatusToken() != "" {
			list = append(list, string(f))
		}
	}
	title := f.Title()
	if title == "" {
		title = printable(string(f))
	}
	return fmt.Errorf("tekgate cannot report commit statuses to %s: use %s, or leave the status out", title,
		strings.Join(list, ", "))
}

var wholeHash = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// check refuses what comes from a forged or unusual event before a token is sent anywhere.
func (s Status) check() error {
	switch {
	case !wholeHash.MatchString(s.SHA):
		return fmt.Errorf("the commit %q is no whole hash of 40 or 64 hexadecimal digits: pass $(extensions.git.sha)",
			cut(printable(s.SHA), longestContext))
	case strings.Trim(s.SHA, "0") == "":
		return errors.New("the commit is zeros, which stand for a deletion: report statuses of pushes and pull requests only")
	case s.Context == "" || s.Context != printable(s.Context) || len([]rune(s.Context)) > longestContext:
		return fmt.Errorf("the context %q has to be one line of at most %d characters", cut(printable(s.Context),
			longestContext), longestContext)
	}
	switch s.State {
	case Pending, Success, Failure, Errored:
	default:
		return fmt.Errorf("the state %q is not known: use %s, %s, %s or %s", cut(printable(string(s.State)),
			longestContext), Pending, Success, Failure, Errored)
	}
	if s.TargetURL == "" {
		return nil
	}
	u, err := url.Parse(s.TargetURL)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil ||
		len(s.TargetURL) > longestURL {
		return fmt.Errorf("the status's link has to be https://HOST/…, without a user, of at most %d bytes", longestURL)
	}
	return nil
}

func cut(text string, longest int) string {
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}

// below returns a path below the repository at forges whose paths begin with repos.
func (s *session) below(path string) string {
	return "/repos/" + url.PathEscape(s.at.Owner) + "/" + url.PathEscape(s.at.Name) + path
}

func (c *giteaHooks) status(ctx context.Context, status Status) error {
	api, err := sdk(ctx, c.session)
	if err != nil {
		return err
	}
	_, _, err = api.CreateStatus(c.at.Owner, c.at.Name, status.SHA, gitea.CreateStatusOption{
		State: gitea.StatusState(status.State), Context: status.Context, Description: status.Description,
		TargetURL: status.TargetURL})
	return c.wrap(ctx, err)
}

func (c *gitHub) status(ctx context.Context, status Status) error {
	api, err := repositories(c.session)
	if err != nil {
		return err
	}
	state := string(status.State)
	sent := github.RepoStatus{State: &state, Context: &status.Context, Description: &status.Description}
	if status.TargetURL != "" {
		sent.TargetURL = &status.TargetURL
	}
	_, _, err = api.CreateStatus(ctx, c.at.Owner, c.at.Name, status.SHA, sent)
	return c.wrap(ctx, err)
}

// gitLabStates are GitLab's names. It has no state for a run that ended before its end.
var gitLabStates = map[State]string{Pending: "pending", Success: "success", Failure: "failed", Errored: "failed"}

// status sets a status. GitLab refuses one that the commit has already.
func (c *gitLab) status(ctx context.Context, status Status) error {
	state := gitLabStates[status.State]
	fields := map[string]any{"state": state, "name": status.Context, "description": status.Description}
	if status.TargetURL != "" {
		fields["target_url"] = status.TargetURL
	}
	path := "/projects/" + url.PathEscape(c.at.Path()) + "/statuses/" + status.SHA
	_, err := c.call(ctx, http.MethodPost, path, fields, nil)
	var refused *Error
	if errors.As(err, &refused) && refused.Status == http.StatusBadRequest &&
		strings.Contains(refused.Message, "Cannot transition status") &&
		strings.Contains(refused.Message, "from :"+state) {
		return nil
	}
	return err
}

// comment adds a status as a comment.
func (c *v5) comment(ctx context.Context, status Status) error {
	text := fmt.Sprintf("%s: %s", status.Context, status.State)
	for _, more := range []string{status.Description, status.TargetURL} {
		if more != "" {
			text += "\n\n" + more
		}
	}
	path := c.below("/commits/" + status.SHA + "/comments")
	_, err := c.call(ctx, http.MethodPost, path, map[string]any{"body": text}, nil)
	return err
}

// checkRun begins a check run where a run begins, and ends the last one of the same name that
// has not ended where the run ends.
func (c *v5) checkRun(ctx context.Context, status Status) error {
	fields := url.Values{"name": {status.Context}, "output[title]": {status.Context},
		"output[summary]": {string(status.State)}}
	if status.Description != "" {
		fields.Set("output[summary]", status.Description)
	}
	if status.TargetURL != "" {
		fields.Set("details_url", status.TargetURL)
	}
	now := time.Now().UTC().Format(time.RFC3339)
	id := ""
	if status.State == Pending {
		fields.Set("status", "in_progress")
		fields.Set("started_at", now)
	} else {
		conclusion := "failure"
		if status.State == Success {
			conclusion = "success"
		}
		fields.Set("status", "completed")
		fields.Set("conclusion", conclusion)
		fields.Set("completed_at", now)
		var err error
		if id, err = c.unfinished(ctx, status); err != nil {
			return err
		}
	}
	if id != "" {
		_, err := c.call(ctx, http.MethodPatch, c.below("/check-runs/"+url.PathEscape(id)), fields, nil)
		return err
	}
	fields.Set("head_sha", status.SHA)
	_, err := c.call(ctx, http.MethodPost, c.below("/check-runs"), fields, nil)
	return err
}

// unfinished returns the id of the newest check run of a commit that has a status's name and
// has not ended; empty if there is none.
func (c *v5) unfinished(ctx context.Context, status Status) (string, error) {
	newest, first := int64(0), ""
	err := c.pages(func(page int) (bool, error) {
		query := url.Values{"check_name": {status.Context}, "page": {strconv.Itoa(page)},
			"per_page": {strconv.Itoa(pageSize)}}
		var list checkRuns
		_, err := c.call(ctx, http.MethodGet, c.below("/commits/"+status.SHA+"/check-runs?"+query.Encode()), nil, &list)
		if err != nil || len(list) == 0 || list[0].ID.String() == first { // the last page, or a server without pages
			return false, err
		}
		first = list[0].ID.String()
		for _, run := range list {
			if id, err := run.ID.Int64(); err == nil && run.Name == status.Context && run.Status != "completed" {
				newest = max(newest, id)
			}
		}
		return true, nil
	})
	if err != nil || newest == 0 {
		return "", err
	}
	return strconv.FormatInt(newest, 10), nil
}

// checkRuns is a list of check runs. The documentation gives the type of one run for it, so a
// list is accepted bare and, as GitHub's API has it, under the key check_runs.
type checkRuns []struct {
	ID     json.Number `json:"id"`
	Name   string      `json:"name"`
	Status string      `json:"status"`
}

// UnmarshalJSON implements json.Unmarshaler.
func (r *checkRuns) UnmarshalJSON(text []byte) error {
	type bare checkRuns
	var list bare
	if len(text) > 0 && text[0] == '{' {
		var wrapped struct {
			Runs bare `json:"check_runs"`
		}
		if err := json.Unmarshal(text, &wrapped); err != nil {
			return err
		}
		list = wrapped.Runs
	} else if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	*r = checkRuns(list)
	return nil
}
