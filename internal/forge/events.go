package forge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/suggest"
)

// flag is an event of a forge whose API has a field for each.
type flag struct{ event, field string }

var (
	// v5Flags are those of Gitee and GitCode.
	v5Flags = []flag{
		{"push", "push_events"}, {"tag_push", "tag_push_events"}, {"issue", "issues_events"}, {"note", "note_events"},
		{"merge_request", "merge_requests_events"},
	}
	gitLabFlags = append(slices.Clone(v5Flags), []flag{
		{"job", "job_events"}, {"pipeline", "pipeline_events"}, {"wiki_page", "wiki_page_events"},
		{"deployment", "deployment_events"}, {"release", "releases_events"},
	}...)

	gogsEvents  = []string{"create", "delete", "fork", "issue_comment", "issues", "pull_request", "push", "release"}
	giteaEvents = append([]string{
		"issue_assign", "issue_label", "issue_milestone", "package", "pull_request_assign", "pull_request_comment",
		"pull_request_label", "pull_request_milestone", "pull_request_review", "pull_request_review_request",
		"pull_request_sync", "repository", "status", "wiki", "workflow_job", "workflow_run",
	}, gogsEvents...)
)

// aliases are names of events that another forge's have, with what they are called here.
// Names like GitHub's and like GitLab's are the two families; Bitbucket has one event for
// each action.
var (
	likeGitHub = map[string][]string{
		"tag": {"push"}, "tag_push": {"push"}, "merge_request": {"pull_request"}, "note": {"issue_comment"},
		"comment": {"issue_comment"}, "issue": {"issues"},
	}
	likeGitLab = map[string][]string{
		"tag": {"tag_push"}, "pull_request": {"merge_request"}, "comment": {"note"}, "issue_comment": {"note"},
		"issues": {"issue"},
	}
	likeBitbucket = map[string][]string{
		"push": {"repo:push"}, "tag": {"repo:push"}, "tag_push": {"repo:push"},
		"pull_request":  {"pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled"},
		"merge_request": {"pullrequest:created", "pullrequest:updated", "pullrequest:fulfilled"},
		"comment":       {"pullrequest:comment_created"}, "note": {"pullrequest:comment_created"},
	}
)

// Events returns events in the words of a forge. push, tag, pull_request, issue and comment
// are understood for every forge.
func (f Forge) Events(wanted []string) ([]string, error) {
	alias, known := likeGitHub, []string(nil)
	switch f {
	case Gitee, GitCode:
		alias, known = likeGitLab, events(v5Flags)
	case GitLab:
		alias, known = likeGitLab, events(gitLabFlags)
	case Gitea, Forgejo:
		known = giteaEvents
	case Gogs:
		known = gogsEvents
	case Bitbucket:
		alias = likeBitbucket
	}
	var list []string
	for _, event := range wanted {
		event = strings.TrimSpace(event)
		own, found := alias[event]
		if !found {
			own = []string{event}
		}
		for _, name := range own {
			if err := f.checkEvent(name, known); err != nil {
				return nil, err
			}
			if !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return sorted(list), nil
}

// checkEvent refuses an event that the forge would ignore, which Gitea and Gogs do silently.
// Without a list of events the forge itself judges.
func (f Forge) checkEvent(name string, known []string) error {
	if name != "" && (known == nil || slices.Contains(known, name)) && !strings.ContainsAny(name, " ,*!?\t\n") {
		return nil
	}
	return fmt.Errorf("%s has no event %q: %s", f.Title(), printable(name),
		suggest.DidYouMean(name, known, "choose from "+strings.Join(sorted(known), ", ")))
}

func events(flags []flag) []string {
	var list []string
	for _, f := range flags {
		list = append(list, f.event)
	}
	return list
}

// flagged returns the events whose fields are true.
func flagged(flags []flag, fields map[string]any) []string {
	var list []string
	for _, f := range flags {
		if on, _ := fields[f.field].(bool); on {
			list = append(list, f.event)
		}
	}
	return sorted(list)
}
