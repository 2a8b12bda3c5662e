package expressions

import (
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// nullable are paths that forges are known to send as null, without what is below them in the
// payload: GitHub's push has head_commit null for a branch that goes, GitLab's checkout_sha
// likewise; the others are what nobody has set yet.
var nullable = []string{
	"body.head_commit", "body.base_ref", "body.checkout_sha",
	"body.pull_request.milestone", "body.pull_request.assignee", "body.pull_request.merged_by",
	"body.pull_request.auto_merge", "body.pull_request.merge_commit_sha", "body.pull_request.merged_at",
	"body.pull_request.closed_at", "body.pull_request.head.repo",
	"body.issue.milestone", "body.issue.assignee", "body.issue.closed_at",
	"body.object_attributes.milestone_id", "body.object_attributes.merge_commit_sha",
	"body.repository.license", "body.repository.language", "body.repository.homepage",
	"body.repository.description",
}

// nullOfGitee are paths that Gitee sends as null when a branch goes, and other forges as an empty list.
var nullOfGitee = []string{"body.commits"}

// lists and objects are paths that have a list or an object in the payloads of every forge that
// has them at all. An index is written [].
var (
	lists = []string{
		"body.commits", "body.head_commit.added", "body.head_commit.modified", "body.head_commit.removed",
		"body.commits[].added", "body.commits[].modified", "body.commits[].removed",
		"body.pull_request.labels", "body.pull_request.assignees", "body.pull_request.requested_reviewers",
		"body.issue.labels", "body.issue.assignees", "body.repository.topics",
	}
	objects = []string{
		"body.head_commit", "body.pull_request", "body.object_attributes", "body.sender",
		"body.pull_request.head", "body.pull_request.base", "body.pull_request.user",
		"body.pull_request.head.repo", "body.pull_request.base.repo", "body.repository.owner",
	}
)

// eventPath is a JSONPath of fields and single items in the form of the lists above. It reports
// false for one with a filter or a search.
func eventPath(nodes []jsonpath.Node) (path string, is bool) {
	var text strings.Builder
	for i, node := range nodes {
		switch n := node.(type) {
		case *jsonpath.FieldNode:
			if i > 0 {
				text.WriteString(".")
			}
			text.WriteString(n.Value)
		case *jsonpath.ArrayNode:
			if !isSingle(n) {
				return "", false
			}
			text.WriteString("[]")
		default:
			return "", false
		}
	}
	return text.String(), true
}

// isSingle reports whether an index leads to one item at most.
func isSingle(n *jsonpath.ArrayNode) bool {
	from, to := n.Params[0], n.Params[1]
	return to.Derived || from.Known && from.Value == -1 && !to.Known ||
		from.Known && to.Known && to.Value == from.Value+1
}

// manyOf reports whether a JSONPath may lead to more than one value for sure of its form:
// Triggers writes these as a JSON list.
func manyOf(nodes []jsonpath.Node) bool {
	for _, node := range nodes {
		switch n := node.(type) {
		case *jsonpath.WildcardNode, *jsonpath.RecursiveNode, *jsonpath.UnionNode:
			return true
		case *jsonpath.ArrayNode:
			if !isSingle(n) {
				return true
			}
		}
	}
	return false
}
