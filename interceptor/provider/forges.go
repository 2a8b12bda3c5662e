package provider

// Forge is a product whose hooks a provider takes, and what its deliveries report. The answers
// are data: the reference has a table of them, and a test holds them to deliveries.
type Forge struct {
	Name   string // of the folder with its deliveries in the tests
	Title  string // as people call it
	Recipe string // the recipe with a Trigger's params for it
	// Answers are in the order of Questions.
	Answers [len(Questions)]Answer
}

// Answer is what a forge reports about one question.
type Answer struct {
	// Shows are the extensions that the answer is read from, as name=value with blanks between
	// them; "stopped" for a delivery that starts nothing, and "replayed" for one that replay
	// stops. "" means that nothing tells.
	Shows string
	// Note is what else to know, in a phrase. Where Shows is empty, it says what is unknown.
	Note   string
	Source string // the URL of the public documentation, code or report that it is taken from
}

// Question is what is asked of every forge.
type Question struct {
	Name  string // of the deliveries in the tests
	Title string
}

// Questions are all of them.
var Questions = [...]Question{
	{"test", "the test button"},
	{"creation", "a branch is created"},
	{"deletion", "a branch is deleted"},
	{"force-push", "a push with force"},
	{"annotated-tag", "an annotated tag"},
	{"many-commits", "more commits than are listed"},
	{"rename", "a renamed file"},
	{"fork", "a pull request from a fork"},
	{"draft", "a draft"},
	{"merged", "a merged pull request"},
	{"issue", "an issue, or a comment on one"},
	{"comment", "a comment on a pull request"},
	{"redelivery", "sent again by hand"},
}

// The sources that several answers have.
const (
	docsGitee     = "https://help.gitee.com/webhook/gitee-webhook-push-data-format"
	docsGitCode   = "https://docs.gitcode.com/docs/help/home/org_project/webhook/webhook-stepup/commit-events"
	docsGitCodeMR = "https://docs.gitcode.com/docs/help/home/org_project/webhook/webhook-stepup/merge-request-events"
	docsGitHub    = "https://docs.github.com/en/webhooks/webhook-events-and-payloads"
	docsGitLab    = "https://docs.gitlab.com/user/project/integrations/webhook_events/"
	codeGitLab    = "https://gitlab.com/gitlab-org/gitlab/-/blob/master/lib/gitlab/data_builder/push.rb"
	docsGitea     = "https://docs.gitea.com/usage/webhooks"
	codeGitea     = "https://github.com/go-gitea/gitea/blob/v1.27.3/services/webhook/notifier.go"
	docsForgejo   = "https://forgejo.org/docs/latest/user/webhooks/"
	codeForgejo   = "https://codeberg.org/forgejo/forgejo/src/branch/forgejo/services/webhook/notifier.go"
	codeGogs      = "https://github.com/gogs/gogs/tree/v0.14.3/internal/database"
	docsCloud     = "https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/"
	docsServer    = "https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html"
	docsCodeup    = "https://help.aliyun.com/zh/yunxiao/user-guide/webhooks-settings"
	docsGongfeng  = "https://git.tencent.com/help/menu/manual/git_webhooks.html"
)

// What several answers show.
const (
	created    = "action=created deleted=false before=ZEROS"
	deleted    = "action=deleted deleted=true"
	unreported = "forced=unknown changedFilesComplete=false"
	incomplete = "changedFilesComplete=false"
)

// Forges are all of them, in the order of the reference.
var Forges = []Forge{
	{Name: "gitee", Title: "Gitee", Recipe: "gitee", Answers: [...]Answer{
		{"stopped", "X-Gitee-Ping is true", "https://github.com/FlowCI/flow-core-x"},
		{created, "", docsGitee},
		{deleted, "", docsGitee},
		{"forced=true changedFilesComplete=false", "read from the commits' parent_ids", docsGitee},
		{"sha=COMMIT", "the commit in head_commit; an event tag_push", docsGitee},
		{incomplete, "more than ten: commits is null", docsGitee},
		{incomplete, "unknown; whether an added file is a renamed one is not documented", docsGitee},
		{"fromFork=true", "", docsGitee},
		{"draft=unknown", "no field is documented", docsGitee},
		{"action=merge merged=true", "", docsGitee},
		{"pullRequest=0", "", docsGitee},
		{"pullRequest=7", "", docsGitee},
		{"", "unknown: whether the time is signed anew is not documented; with the same time, replay stops it", docsGitee},
	}},
	{Name: "gitcode", Title: "GitCode, AtomGit", Recipe: "gitcode", Answers: [...]Answer{
		{"", "unknown: no test is documented; a push from a commit to itself is stopped", docsGitCode},
		{created, "", docsGitCode},
		{deleted, "by an after of zeros, as GitLab's payload has", docsGitCode},
		{unreported, "", docsGitCode},
		{"sha=COMMIT", "the commit in checkout_sha; an event tag_push", docsGitCode},
		{incomplete, "by total_commits_count", docsGitCode},
		{incomplete, "unknown; GitLab's payload lists the new name alone", docsGitCode},
		{"fromFork=true", "", docsGitCodeMR},
		{"draft=true", "work_in_progress", docsGitCodeMR},
		{"action=merge merged=true", "", docsGitCodeMR},
		{"pullRequest=0", "", docsGitCode},
		{"pullRequest=7", "", docsGitCodeMR},
		{"", "unknown: not documented; the same body with the same signature is stopped by replay", docsGitCode},
	}},
	{Name: "github", Title: "GitHub", Recipe: "github", Answers: [...]Answer{
		{"stopped", "the event ping. The API's POST …/hooks/ID/tests sends the newest push again, which nothing tells from that push: name branches that may be built", docsGitHub + "#ping"},
		{created, "an event create, too", docsGitHub + "#push"},
		{deleted, "an event delete, too", docsGitHub + "#delete"},
		{"forced=true changedFilesComplete=false", "", docsGitHub + "#push"},
		{"sha=COMMIT", "the commit in head_commit; after is the tag's object", docsGitHub + "#push"},
		{incomplete, "2048 at most", docsGitHub + "#push"},
		{"changedFiles=docs/new.md+docs/old.md changedFilesComplete=true", "the new name is added, the former one removed", docsGitHub + "#push"},
		{"fromFork=true", "unknown after the fork was deleted", docsGitHub + "#pull_request"},
		{"draft=true", "", docsGitHub + "#pull_request"},
		{"action=closed merged=true", "", docsGitHub + "#pull_request"},
		{"pullRequest=0", "", docsGitHub + "#issue_comment"},
		{"pullRequest=7", "", docsGitHub + "#issue_comment"},
		{"replayed", "with the same id", "https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks"},
	}},
	{Name: "gitlab", Title: "GitLab, JihuLab (极狐)", Recipe: "gitlab", Answers: [...]Answer{
		{"stopped", "a push lists the commit before it among its own; a merge request or issue has no action. The test of a project without commits is a sample of GitLab's own project, which repositories refuses", codeGitLab},
		{created, "", docsGitLab + "#push-events"},
		{deleted, "", docsGitLab + "#push-events"},
		{"forced=unknown changedFilesComplete=false", "true where no commit is new", docsGitLab + "#push-events"},
		{"sha=COMMIT", "the commit in checkout_sha; an event tag_push", docsGitLab + "#tag-events"},
		{incomplete, "20 at most, by total_commits_count", docsGitLab + "#push-events"},
		{"changedFiles=docs/new.md changedFilesComplete=false", "the new name alone", "https://github.com/gitlabhq/gitlabhq/issues/10109"},
		{"fromFork=true", "", docsGitLab + "#merge-request-events"},
		{"draft=true", "", docsGitLab + "#merge-request-events"},
		{"action=merge merged=true", "", docsGitLab + "#merge-request-events"},
		{"pullRequest=0", "", docsGitLab + "#work-item-events"},
		{"pullRequest=7", "", docsGitLab + "#comment-on-a-merge-request"},
		{"replayed", "with the same Idempotency-Key", "https://docs.gitlab.com/user/project/integrations/webhooks/"},
	}},
	{Name: "gitea", Title: "Gitea", Recipe: "gitea", Answers: [...]Answer{
		{"stopped", "before and after are the same commit, or zeros since 1.24", "https://github.com/go-gitea/gitea/blob/v1.27.3/routers/web/repo/setting/webhook.go"},
		{created, "an event create, too", codeGitea},
		{deleted, "an event delete alone, which push:deleted asks for, too; a tag's deletion is a push as well", codeGitea},
		{unreported, "true where no commit is new", codeGitea},
		{"sha=COMMIT action=created", "the commit in head_commit; a moved tag looks like a new one", codeGitea},
		{incomplete, "5 by default, by total_commits", docsGitea},
		{"changedFiles=docs/new.md+docs/old.md", "both names", codeGitea},
		{"fromFork=true", "", codeGitea},
		{"draft=true", "", codeGitea},
		{"action=closed merged=true", "", codeGitea},
		{"pullRequest=0", "", codeGitea},
		{"pullRequest=7", "", codeGitea},
		{"replayed", "with a new id", docsGitea},
	}},
	{Name: "forgejo", Title: "Forgejo", Recipe: "gitea", Answers: [...]Answer{
		{"stopped", "before and after are the same commit", "https://codeberg.org/forgejo/forgejo/src/branch/forgejo/routers/web/repo/setting/webhook.go"},
		{created, "an event create, too", codeForgejo},
		{deleted, "an event delete alone, which push:deleted asks for, too", codeForgejo},
		{unreported, "true where no commit is new", codeForgejo},
		{"sha=COMMIT action=created", "the commit in head_commit", codeForgejo},
		{incomplete, "by total_commits", docsForgejo},
		{"changedFiles=docs/new.md+docs/old.md", "both names, as in the code that it shares with Gitea", codeForgejo},
		{"fromFork=true", "", codeForgejo},
		{"draft=true", "", "https://codeberg.org/swagger.v1.json"},
		{"action=closed merged=true", "", codeForgejo},
		{"pullRequest=0", "", codeForgejo},
		{"pullRequest=7", "", codeForgejo},
		{"replayed", "", docsForgejo},
	}},
	{Name: "gogs", Title: "Gogs", Recipe: "gitea", Answers: [...]Answer{
		{"stopped", "before and after are the same commit", "https://github.com/gogs/gogs/blob/v0.14.3/internal/route/repo/webhook.go"},
		{"action=created", "an event create without a commit, and a push", codeGogs},
		{deleted, "an event delete alone, of tags, too; push:deleted asks for it", codeGogs},
		{unreported, "a push back to an older commit lists what it took away", codeGogs},
		{"tag=v1.0.0 action=created", "an event create; whether sha is the commit's or the tag's is unknown", codeGogs},
		{incomplete, "5 at most, without a total", codeGogs},
		{"changedFiles= changedFilesComplete=false", "neither name is listed, and names end at a blank: the lists never count as complete", codeGogs},
		{"fromFork=true", "", codeGogs},
		{"draft=unknown", "there are none", codeGogs},
		{"action=closed merged=true", "sha is empty for all pull requests", codeGogs},
		{"pullRequest=0", "", codeGogs},
		{"pullRequest=7", "by issue.pull_request", codeGogs},
		{"replayed", "with the same id", codeGogs},
	}},
	{Name: "bitbucket-cloud", Title: "Bitbucket Cloud", Recipe: "bitbucket", Answers: [...]Answer{
		{"", "unknown: it has no test; View requests sends former ones again", "https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/"},
		{created, "", docsCloud + "#Push"},
		{deleted, "", docsCloud + "#Push"},
		{"forced=true changedFilesComplete=false", "", docsCloud + "#Push"},
		{"sha=COMMIT tag=v1.0.0", "the target's hash", docsCloud + "#Push"},
		{incomplete, "it lists no files", docsCloud + "#Push"},
		{incomplete, "it lists no files", docsCloud + "#Push"},
		{"fromFork=true", "unknown after the fork was deleted", docsCloud + "#Pull-request"},
		{"draft=true", "", "https://developer.atlassian.com/cloud/bitbucket/rest/api-group-pullrequests/"},
		{"event=pullrequest:fulfilled merged=true", "", docsCloud + "#Merged"},
		{"pullRequest=0", "", docsCloud + "#Issue-events"},
		{"pullRequest=7", "", docsCloud + "#Comment-created"},
		{"replayed", "", "https://support.atlassian.com/bitbucket-cloud/docs/troubleshoot-webhooks/"},
	}},
	{Name: "bitbucket-server", Title: "Bitbucket Data Center", Recipe: "bitbucket", Answers: [...]Answer{
		{"stopped", "the event diagnostics:ping", "https://confluence.atlassian.com/bitbucketserver/manage-webhooks-938025878.html"},
		{created, "", docsServer},
		{deleted, "", docsServer},
		{unreported, "", docsServer},
		{"tag=v1.0.0 action=created", "whether toHash is the commit's or the tag's is unknown", docsServer},
		{incomplete, "it lists no files", docsServer},
		{incomplete, "it lists no files", docsServer},
		{"fromFork=true", "", docsServer},
		{"draft=true", "since 8.18", "https://confluence.atlassian.com/bitbucketserver/draft-pull-requests-1354498120.html"},
		{"event=pr:merged merged=true", "", docsServer},
		{"", "it has no issues; unknown events have no number", docsServer},
		{"pullRequest=7", "", docsServer},
		{"", "unknown: no way to send again is documented", docsServer},
	}},
	{Name: "codeup", Title: "Alibaba Cloud Codeup (云效)", Recipe: "codeup", Answers: [...]Answer{
		{"", "unknown: no test is documented; a push from a commit to itself is stopped", docsCodeup},
		{created + " repository=team/app", "the repository is the path of git_http_url: there is no project", docsCodeup},
		{deleted, "by an after of zeros", docsCodeup},
		{unreported, "", docsCodeup},
		{"tag=v1.0.0 action=created", "whether sha is the commit's or the tag's is unknown; an event tag_push", docsCodeup},
		{incomplete, "its commits list no files", docsCodeup},
		{incomplete, "its commits list no files", docsCodeup},
		{"fromFork=true", "", docsCodeup},
		{"draft=unknown", "no field is documented", docsCodeup},
		{"action=merge merged=true", "", docsCodeup},
		{"", "it has no issues; unknown events have no number", docsCodeup},
		{"pullRequest=7", "", docsCodeup},
		{"", "unknown: not documented; replay stops the same body", docsCodeup},
	}},
	{Name: "gongfeng", Title: "Tencent Gongfeng (工蜂)", Recipe: "gongfeng", Answers: [...]Answer{
		{"", "unknown: no test is documented; a push from a commit to itself is stopped", docsGongfeng},
		{created + " repository=team/app", "the repository is the path of git_http_url: there is no project", docsGongfeng},
		{deleted, "by an after of zeros", docsGongfeng},
		{unreported, "the values of operation_kind are not all documented", docsGongfeng},
		{"sha=COMMIT", "the commit in checkout_sha; an event tag_push", docsGongfeng},
		{incomplete, "by total_commits_count", docsGongfeng},
		{incomplete, "unknown; diff_files would tell, and is not read", docsGongfeng},
		{"fromFork=true", "", docsGongfeng},
		{"draft=unknown", "no field is documented", docsGongfeng},
		{"action=merge merged=true", "", docsGongfeng},
		{"pullRequest=0", "", docsGongfeng},
		{"pullRequest=7", "", docsGongfeng},
		{"", "unknown: not documented; replay stops the same body", docsGongfeng},
	}},
}
