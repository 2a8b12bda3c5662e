package interceptor_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
)

// extensions returns what a verified delivery's bindings find.
func extensions(t testing.TB, from, event, payload string, more map[string]any) (provider.Git, string) {
	t.Helper()
	params := map[string]any{"provider": from}
	switch from {
	case "gitee", "gitcode":
		params["mode"] = "sign"
	case "gitlab":
		params["mode"] = "token"
	}
	if from == "gitee" || from == "gitlab" {
		params["trustUnsignedBody"] = true
	}
	raw, err := json.Marshal(params)
	if err != nil {
		t.Fatal(err)
	}
	v := signedVector(t, raw, secret, event)
	v.body = payload
	v = resigned(t, v, event)
	for name, value := range more {
		v.params[name] = value
	}
	got := v.send(t)
	var g provider.Git
	raw, err = json.Marshal(got.Extensions["git"])
	if err == nil && got.Continue {
		err = json.Unmarshal(raw, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g, got.Status.Message
}

// resigned signs again after the body has changed.
func resigned(t testing.TB, v vector, event string) vector {
	t.Helper()
	raw, err := json.Marshal(v.params)
	if err != nil {
		t.Fatal(err)
	}
	s, err := interceptor.Sign(raw, []byte(v.secret), outgoing(event, v.body))
	if err != nil {
		t.Fatal(err)
	}
	for name := range s.Header {
		v.header[name] = s.Header.Get(name)
	}
	return v
}

const zeros = "0000000000000000000000000000000000000000"

// captured are deliveries of forges, beside the repository and not in it.
var captured = []struct {
	file, provider, event string
	want                  provider.Git
}{
	{"gitee-signed/push.json", "gitee", "push", provider.Git{Event: "push", Action: "updated",
		Ref: "refs/heads/feat-2-1", RefType: "branch", Branch: "feat-2-1",
		SHA: "9921e45e570db8e57e544650baf837932fb2100f", Before: "6168d9dae737b47f00c59fafca10c913a6850c3a",
		ChangedFiles: []string{"modify.txt"}, ChangedFilesComplete: true}},
	{"gitee-signed/push_branch_create.json", "gitee", "push", provider.Git{Event: "push", Action: "created",
		Ref: "refs/heads/feat-2-1", RefType: "branch", Branch: "feat-2-1",
		SHA: "6168d9dae737b47f00c59fafca10c913a6850c3a", Before: zeros}},
	{"gitee-signed/tag_create.json", "gitee", "tag_push", provider.Git{Event: "tag_push", Action: "created",
		Ref: "refs/tags/1.3", RefType: "tag", Tag: "1.3",
		SHA: "aa9d11518a64dcd0d591a2a4eb35dfb4d91d49d5", Before: zeros}},
	{"gitee-signed/tag_delete.json", "gitee", "tag_push", provider.Git{Event: "tag_push", Action: "deleted",
		Deleted: true, Ref: "refs/tags/1.3", RefType: "tag", Tag: "1.3",
		SHA: zeros, Before: "aa9d11518a64dcd0d591a2a4eb35dfb4d91d49d5"}},
	{"gitee-signed/pr_open.json", "gitee", "merge_request", provider.Git{Event: "merge_request", Action: "open",
		PullRequest: 9, SourceBranch: "feat-3", TargetBranch: "master", SHA: "sha of head"}},
	{"gitee-signed/pr_update.json", "gitee", "merge_request", provider.Git{Event: "merge_request",
		Action: "source_branch_changed", PullRequest: 7, SourceBranch: "feat-2", TargetBranch: "master",
		SHA: "sha of head"}},
	{"gitee-signed/note_hook_pr_comment.json", "gitee", "note", provider.Git{Event: "note", Action: "comment",
		PullRequest: 7, SourceBranch: "feat-2", TargetBranch: "master", SHA: "sha of head"}},
	{"gitee-signed/issue_hook_open.json", "gitee", "issue", provider.Git{Event: "issue", Action: "open"}},
	{"gitee-unsigned/flowci_push.json", "gitee", "push", provider.Git{Event: "push", Action: "updated",
		Ref: "refs/heads/feature/222", RefType: "branch", Branch: "feature/222"}},
	{"other-forges/github_push.json", "github", "push", provider.Git{Event: "push", Action: "updated",
		Ref: "refs/heads/master", RefType: "branch", Branch: "master",
		SHA: "fd489864e7642b48eaad6e3f155c10e46810ec72", Before: "737d38c599c1b2991664dfc6155d6bf516fcce36",
		Repository: "binkkatal/sample_app",
		CloneURL:   "https://github.com/binkkatal/sample_app.git", SSHURL: "git@github.com:binkkatal/sample_app.git",
		DefaultBranch: "master", Sender: "binkkatal", ChangedFilesComplete: true}},
	{"other-forges/github_pull-request.json", "github", "pull_request", provider.Git{Event: "pull_request",
		Action: "opened", PullRequest: 1, SourceBranch: "changes", TargetBranch: "master",
		SHA: "0d1a26e67d8f5eaf1f6ba5c57fc3c7d91ac0fd1c", Repository: "baxterthehacker/public-repo",
		Sender: "baxterthehacker", DefaultBranch: "master",
		CloneURL: "https://github.com/baxterthehacker/public-repo.git",
		SSHURL:   "git@github.com:baxterthehacker/public-repo.git"}},
	{"other-forges/gitea_push-event.json", "gitea", "push", provider.Git{Event: "push", Action: "created",
		Ref: "refs/heads/master", RefType: "branch", Branch: "master",
		SHA: "67b56589a45103f891bdee7c0546e5d40bc02001", Before: zeros, Repository: "example/example",
		DefaultBranch: "master", Sender: "example"}},
	{"other-forges/bitbucket_repo-push.json", "bitbucket", "repo:push", provider.Git{Event: "repo:push",
		Repository: "team_name/repo_name", Sender: "emmap1"}},
}

// TestCapturedExtensions compares what is read of captured deliveries with what
// stands in them. Fields that want leaves empty are compared with what
// encoding/json finds, where reference knows the place.
func TestCapturedExtensions(t *testing.T) {
	folder := filepath.Join("..", "..", "shared", "webhooks")
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the captured deliveries are not here; TestExtensions covers each forge with payloads of its own")
	}
	for _, c := range captured {
		t.Run(c.file, func(t *testing.T) {
			payload, err := os.ReadFile(filepath.Join(folder, c.file))
			if err != nil {
				t.Fatal(err)
			}
			got, message := extensions(t, c.provider, c.event, string(payload),
				map[string]any{"eventTypes": []string{"**", "**:deleted"}})
			if got.Verified == "" {
				t.Fatalf("refused: %s", message)
			}
			reference(t, payload, &c.want)
			compare(t, got, c.want)
		})
	}
}

// reference fills in what encoding/json finds at the places that all of these
// forges have, where the case does not say it itself.
func reference(t *testing.T, payload []byte, want *provider.Git) {
	t.Helper()
	var p struct {
		Repository struct {
			FullName      string `json:"full_name"`
			CloneURL      string `json:"clone_url"`
			SSHURL        string `json:"ssh_url"`
			DefaultBranch string `json:"default_branch"`
		}
		Sender      struct{ Login string }
		PullRequest struct{ Head struct{ SHA string } } `json:"pull_request"`
	}
	if err := json.Unmarshal(payload, &p); err != nil {
		t.Fatal(err)
	}
	fill := func(field *string, value string) {
		if *field == "" {
			*field = value
		}
	}
	fill(&want.Repository, p.Repository.FullName)
	fill(&want.CloneURL, p.Repository.CloneURL)
	fill(&want.SSHURL, p.Repository.SSHURL)
	fill(&want.DefaultBranch, p.Repository.DefaultBranch)
	fill(&want.Sender, p.Sender.Login)
	if want.SHA == "sha of head" {
		want.SHA = p.PullRequest.Head.SHA
	}
}

// compare ignores what is the same everywhere, and fields that want does not name.
func compare(t *testing.T, got, want provider.Git) {
	t.Helper()
	g, w := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range w.NumField() {
		if w.Field(i).IsZero() {
			continue
		}
		if !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("%s: got %v, want %v", w.Type().Field(i).Name, g.Field(i), w.Field(i))
		}
	}
	if got.Deleted != want.Deleted || got.Tag != want.Tag || got.Branch != want.Branch && want.Ref != "" ||
		got.PullRequest != want.PullRequest {
		t.Errorf("got %+v", got)
	}
	if want.ChangedFiles != nil && got.ChangedFilesComplete != want.ChangedFilesComplete {
		t.Errorf("got changedFilesComplete %v", got.ChangedFilesComplete)
	}
}

const sha, sha2 = "67b56589a45103f891bdee7c0546e5d40bc02001", "1cdcd819599cbb4099289dbbec762452f006cb40"

// TestExtensions reads payloads of our own, of every shape that is known.
func TestExtensions(t *testing.T) {
	commit := func(files string) string {
		return `{"id":"x","message":"m","added":[` + files + `],"removed":[],"modified":[]}`
	}
	tests := []struct {
		name, provider, event, payload string
		want                           provider.Git
	}{
		{"gitlab push", "gitlab", "push", `{"object_kind":"push","before":"` + sha2 + `","after":"` + sha +
			`","ref":"refs/heads/feature/中文","user_username":"li",` +
			`"project":{"path_with_namespace":"g/sub/app","default_branch":"main","git_http_url":"https://gitlab.example.com/g/sub/app.git","git_ssh_url":"git@gitlab.example.com:g/sub/app.git"},` +
			`"commits":[` + commit(`"a/b.go","c.md"`) + `,` + commit(`"c.md"`) + `],"total_commits_count":2}`,
			provider.Git{Action: "updated", Ref: "refs/heads/feature/中文", RefType: "branch", Branch: "feature/中文",
				SHA: sha, Before: sha2, Sender: "li", Repository: "g/sub/app", DefaultBranch: "main",
				CloneURL: "https://gitlab.example.com/g/sub/app.git", SSHURL: "git@gitlab.example.com:g/sub/app.git",
				ChangedFiles: []string{"a/b.go", "c.md"}}}, // GitLab does not report force pushes
		{"gitlab push of more commits than it lists", "gitlab", "push", `{"before":"` + sha2 + `","after":"` + sha +
			`","ref":"refs/heads/main","commits":[` + commit(`"a"`) + `],"total_commits_count":21}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", ChangedFiles: []string{"a"}}},
		{"gitlab deletion", "gitlab", "push", `{"before":"` + sha2 + `","after":"` + zeros +
			`","checkout_sha":null,"ref":"refs/heads/main","commits":[],"total_commits_count":0}`,
			provider.Git{Action: "deleted", Deleted: true, Ref: "refs/heads/main", Branch: "main", SHA: zeros}},
		{"gitlab merge request", "gitlab", "merge_request",
			`{"object_kind":"merge_request","user":{"username":"li"},"project":{"path_with_namespace":"g/app"},` +
				`"object_attributes":{"id":99,"iid":1,"action":"update","oldrev":"` + sha2 +
				`","source_branch":"f","target_branch":"main","last_commit":{"id":"` + sha + `"}}}`,
			provider.Git{Action: "update", PullRequest: 1, SourceBranch: "f", TargetBranch: "main", SHA: sha,
				Before: sha2, Sender: "li", Repository: "g/app"}},
		{"gitlab comment on a merge request", "gitlab", "note",
			`{"object_attributes":{"id":1244,"action":"create"},"merge_request":{"iid":7,"source_branch":"f","target_branch":"main","last_commit":{"id":"` +
				sha + `"}}}`,
			provider.Git{Action: "create", PullRequest: 7, SourceBranch: "f", TargetBranch: "main", SHA: sha}},
		{"gitlab issue", "gitlab", "issue", `{"object_attributes":{"iid":23,"action":"open"}}`,
			provider.Git{Action: "open"}},
		{"gitcode tag", "gitcode", "tag_push", `{"object_kind":"tag_push","before":"` + zeros + `","after":"` + sha +
			`","ref":"refs/tags/v1.0","repository":{"git_http_url":"https://gitcode.com/a/b.git"}}`,
			provider.Git{Action: "created", Ref: "refs/tags/v1.0", RefType: "tag", Tag: "v1.0", SHA: sha,
				CloneURL: "https://gitcode.com/a/b.git"}},
		{"github creation", "github", "create", `{"ref":"v1","ref_type":"tag","repository":{"full_name":"a/b"}}`,
			provider.Git{Action: "created", Ref: "refs/tags/v1", RefType: "tag", Tag: "v1", Repository: "a/b"}},
		{"github deletion", "github", "delete", `{"ref":"old","ref_type":"branch"}`, provider.Git{Action: "deleted",
			Deleted: true, Ref: "refs/heads/old", Branch: "old"}},
		{"github release", "github", "release", `{"action":"published","release":{"tag_name":"v2"}}`,
			provider.Git{Action: "published", Ref: "refs/tags/v2", Tag: "v2"}},
		{"github forced push", "github", "push", `{"ref":"refs/heads/main","before":"` + sha2 + `","after":"` + sha +
			`","forced":true,"commits":[` + commit(`"a"`) + `]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", ChangedFiles: []string{"a"}}},
		{"github push whose commit lacks a list", "github", "push", `{"ref":"refs/heads/main","forced":false,"before":"` + sha2 +
			`","after":"` + sha + `","commits":[{"added":["a"],"removed":[]}]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", ChangedFiles: []string{"a"}}},
		{"github push with null lists", "github", "push", `{"ref":"refs/heads/main","forced":false,"before":"` + sha2 + `","after":"` +
			sha + `","commits":[{"added":null,"removed":null,"modified":["b"]}]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", ChangedFiles: []string{"b"},
				ChangedFilesComplete: true}},
		{"github bot", "github", "push", `{"ref":"refs/heads/main","sender":{"login":"dependabot[bot]"}}`,
			provider.Git{Ref: "refs/heads/main", Branch: "main", Sender: "dependabot+bot"}},
		{"github file with a shell's words", "github", "push", `{"ref":"refs/heads/main","before":"` + sha2 +
			`","after":"` + sha + `","commits":[` + commit(`"$(reboot)","a.go","x;y","b\nc"`) + `]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", ChangedFiles: []string{"a.go"}}},
		{"gitea pull request", "gitea", "pull_request",
			`{"action":"synchronized","number":3,"pull_request":{"head":{"sha":"` + sha +
				`","ref":"f"},"base":{"ref":"main"}},"repository":{"full_name":"a/b"}}`,
			provider.Git{Action: "synchronized", PullRequest: 3, SourceBranch: "f", TargetBranch: "main", SHA: sha,
				Repository: "a/b"}},
		{"bitbucket cloud tag", "bitbucket", "repo:push",
			`{"repository":{"full_name":"t/r"},"push":{"changes":[{"new":{"type":"tag","name":"v1","target":{"hash":"` +
				sha + `"}},"old":null,"created":true,"closed":false}]}}`,
			provider.Git{Action: "created", Ref: "refs/tags/v1", Tag: "v1", SHA: sha, Before: zeros,
				Repository: "t/r"}},
		{"bitbucket cloud deletion", "bitbucket", "repo:push",
			`{"push":{"changes":[{"new":null,"old":{"type":"branch","name":"f","target":{"hash":"` + sha2 +
				`"}},"created":false,"closed":true}]}}`,
			provider.Git{Action: "deleted", Deleted: true, Ref: "refs/heads/f", Branch: "f", SHA: zeros,
				Before: sha2}},
		{"bitbucket cloud pull request", "bitbucket", "pullrequest:created",
			`{"pullrequest":{"id":4,"source":{"branch":{"name":"f"},"commit":{"hash":"d3022fc0ca3d"}},"destination":{"branch":{"name":"main"}}}}`,
			provider.Git{PullRequest: 4, SourceBranch: "f", TargetBranch: "main", SHA: "d3022fc0ca3d"}},
		{"bitbucket data center push", "bitbucket", "repo:refs_changed",
			`{"actor":{"name":"admin"},"repository":{"slug":"app","project":{"key":"TEAM"}},"changes":[{"ref":{"id":"refs/heads/main","displayId":"main","type":"BRANCH"},"refId":"refs/heads/main","fromHash":"` +
				sha2 + `","toHash":"` + sha + `","type":"UPDATE"}]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", SHA: sha, Before: sha2,
				Sender: "admin", Repository: "TEAM/app"}},
		{"bitbucket data center pull request", "bitbucket", "pr:opened",
			`{"actor":{"name":"admin"},"pullRequest":{"id":5,"fromRef":{"displayId":"f","latestCommit":"` + sha +
				`"},"toRef":{"displayId":"main","repository":{"slug":"app","project":{"key":"~ADMIN"}}}}}`,
			provider.Git{PullRequest: 5, SourceBranch: "f", TargetBranch: "main", SHA: sha, Sender: "admin",
				Repository: "users/ADMIN/app"}},
		{"gitlab merge request closed", "gitlab", "merge_request",
			`{"object_kind":"merge_request","object_attributes":{"iid":1,"action":"close","state":"closed","target_branch":"main","source_project_id":3,"target_project_id":3}}`,
			provider.Git{Action: "close", PullRequest: 1, TargetBranch: "main", Merged: provider.No,
				FromFork: provider.No, Draft: provider.Unknown}},
		{"gitlab merge request that is being merged", "gitlab", "merge_request",
			`{"object_kind":"merge_request","object_attributes":{"iid":1,"action":"update","state":"locked","target_branch":"main"}}`,
			provider.Git{Action: "update", PullRequest: 1, TargetBranch: "main", Merged: provider.Unknown,
				FromFork: provider.Unknown}},
		{"gitlab without project, with SSH alone", "gitlab", "push",
			`{"ref":"refs/heads/a","repository":{"git_ssh_url":"ssh://git@git.example.com:2222/g/sub/app.git"}}`,
			provider.Git{Ref: "refs/heads/a", Branch: "a", Repository: "g/sub/app"}},
		{"gitlab without project, with a short address", "gitlab", "push",
			`{"ref":"refs/heads/a","repository":{"git_ssh_url":"git@git.example.com:g/app.git"}}`,
			provider.Git{Ref: "refs/heads/a", Branch: "a", Repository: "g/app"}},
		{"gitlab without project, with a page alone", "gitlab", "push",
			`{"ref":"refs/heads/a","repository":{"homepage":"https://git.example.com/g/app"}}`,
			provider.Git{Ref: "refs/heads/a", Branch: "a", Repository: "g/app"}},
		{"gitlab without project, whose addresses differ", "gitlab", "push",
			`{"ref":"refs/heads/a","repository":{"homepage":"https://git.example.com/g/app","git_http_url":"https://git.example.com/evil/app.git"}}`,
			provider.Git{Ref: "refs/heads/a", Branch: "a", Repository: "evil/app"}}, // as would be cloned
		{"github review of a merged pull request", "github", "pull_request_review",
			`{"action":"submitted","pull_request":{"number":2,"state":"closed","merged_at":"2026-08-01T12:00:00Z","draft":false,"base":{"ref":"main","repo":{"id":1}},"head":{"ref":"f","repo":null}}}`,
			provider.Git{Action: "submitted", PullRequest: 2, TargetBranch: "main", SourceBranch: "f",
				Merged: provider.Yes, Draft: provider.No, FromFork: provider.Unknown}},
		{"github review of a closed pull request", "github", "pull_request_review",
			`{"action":"submitted","pull_request":{"number":2,"state":"closed","merged_at":null,"base":{"ref":"main"}}}`,
			provider.Git{Action: "submitted", PullRequest: 2, TargetBranch: "main", Merged: provider.Unknown}},
		{"github number of something else", "github", "milestone", `{"action":"created","number":4}`,
			provider.Git{Action: "created", Merged: provider.Unknown}},
		{"github number that no counter has", "github", "pull_request",
			`{"number":12345678901234567890,"pull_request":{"base":{"ref":"main"}}}`,
			provider.Git{TargetBranch: "main"}},
		{"gitee push whose commits name no parents", "gitee", "push", `{"ref":"refs/heads/main","before":"` + sha2 +
			`","after":"` + sha + `","total_commits_count":1,"commits":[{"added":[],"removed":[],"modified":["a"],"parent_ids":null}]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", Forced: provider.Unknown,
				ChangedFiles: []string{"a"}}},
		{"gitee push after another one", "gitee", "push", `{"ref":"refs/heads/main","before":"` + sha2 +
			`","after":"` + sha + `","total_commits_count":1,"commits":[{"added":[],"removed":[],"modified":["a"],"parent_ids":["` +
			sha2 + `"]}]}`,
			provider.Git{Action: "updated", Ref: "refs/heads/main", Branch: "main", Forced: provider.No,
				ChangedFiles: []string{"a"}, ChangedFilesComplete: true}},
		{"no object", "github", "push", `["a"]`, provider.Git{}},
		{"no JSON", "github", "push", `hello`, provider.Git{}},
		{"other types", "github", "push",
			`{"ref":["refs/heads/a"],"repository":"x","commits":{"a":1},"sender":null,"number":"seven","deleted":"yes"}`,
			provider.Git{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, message := extensions(t, tt.provider, tt.event, tt.payload,
				map[string]any{"eventTypes": []string{"**", "**:deleted"}})
			if got.Verified == "" {
				t.Fatalf("refused: %s", message)
			}
			tt.want.Event = tt.event
			compare(t, got, tt.want)
			if got.Branch != tt.want.Branch || got.Ref != tt.want.Ref ||
				len(tt.want.ChangedFiles) != len(got.ChangedFiles) {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestUnusablePayloads are signed, and name what must not reach a script.
func TestUnusablePayloads(t *testing.T) {
	ref := func(r string) string { return `{"ref":` + r + `}` }
	tests := []struct{ name, payload, want string }{
		{"branch that a shell runs", ref(`"refs/heads/$(reboot)"`), `holds '$'`},
		{"branch with a backtick", ref("\"refs/heads/`id`\""), "rename it"},
		{"branch with a quote", ref(`"refs/heads/a\"b"`), "rename it"},
		{"branch with an apostrophe", ref(`"refs/heads/a'b"`), "rename it"},
		{"branch with a newline", ref(`"refs/heads/a\nb"`), `holds '\n'`},
		{"branch with NUL", ref(`"refs/heads/a\u0000b"`), `holds '\x00'`},
		{"branch that is an option", ref(`"refs/heads/--upload-pack=x"`), "begins with a dash"},
		{"branch that is a comment", ref(`"refs/heads/#1-fix"`), "begins with '#'"},
		{"branch that is a home folder", ref(`"refs/heads/~root"`), "begins with '~'"},
		{"branch that assigns a home folder", ref(`"refs/heads/a=~root"`), `holds "=~"`},
		{"SSH URL in a home folder", `{"repository":{"ssh_url":"git@h:~root/a"}}`, `holds ":~"`},
		{"branch that climbs", ref(`"refs/heads/../../x"`), "two dots"},
		{"branch too long", ref(`"refs/heads/` + strings.Repeat("a", 256) + `"`), "longer than 255 bytes"},
		{"branch that turns the line", ref("\"refs/heads/a\u202eb\""), `\u202e`},
		{"branch with a blank of no width", ref("\"refs/heads/a\u200bb\""), `\u200b`},
		{"branch that is half a pair", ref(`"refs/heads/a\ud800b"`), "rename it"},
		{"commit that is no hash", `{"ref":"refs/heads/a","after":"HEAD; reboot"}`, "not hexadecimal"},
		{"repository with a space", `{"repository":{"full_name":"a b"}}`, "repository"},
		{"clone URL that runs a program", `{"repository":{"clone_url":"ext::sh -c id"}}`, "clone URL"},
		{"clone URL of another scheme", `{"repository":{"clone_url":"file:///etc"}}`, "none of https, http and ssh"},
		{"clone URL with a password", `{"repository":{"clone_url":"https://u:p@h/x.git"}}`, "holds a password"},
		{"clone URL that is an option", `{"repository":{"clone_url":"--upload-pack=x"}}`, "clone URL"},
		{"clone URL whose host is an option", `{"repository":{"ssh_url":"ssh://-oProxyCommand=x/y"}}`, "names no host"},
		{"SSH URL that is an option", `{"repository":{"ssh_url":"git@-oProxyCommand=x:y"}}`, "is no URL"},
		{"target branch", `{"pull_request":{"base":{"ref":"a;b"}}}`, "target branch"},
		{"source branch", `{"pull_request":{"head":{"ref":"a|b"}}}`, "source branch"},
		{"key twice", `{"ref":"refs/heads/a","ref":"refs/heads/b"}`, "a key twice"},
		{"key twice, deep", `{"repository":{"full_name":"a","full_name":"b"}}`, "a key twice"},
		{"key twice, one of them escaped", `{"ref":"refs/heads/a","r\u0065f":"refs/heads/b"}`, "a key twice"},
		{"object that breaks off", `{"ref":"refs/heads/a"`, "begins like a JSON object"},
		{"object and more", `{} {}`, "begins like a JSON object"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, message := extensions(t, "github", "push", tt.payload, nil)
			if got.Verified != "" || !strings.Contains(message, tt.want) {
				t.Errorf("got %+v, %q; want %q", got, message, tt.want)
			}
		})
	}
}

// TestLeftOut are names that nobody builds by: they are empty, and the event goes
// on.
func TestLeftOut(t *testing.T) {
	got, message := extensions(t, "github", "push", `{"ref":"refs/heads/a","sender":{"login":"$(id)"},"action":"a b"}`,
		nil)
	if got.Verified == "" || got.Sender != "" || got.Action != "" {
		t.Errorf("got %+v, %s", got, message)
	}
}

// TestURLsOfUnsignedBodies holds that addresses to fetch from are offered only where the
// signature covers them, or where the Trigger asks for them all the same.
func TestURLsOfUnsignedBodies(t *testing.T) {
	const payload = `{"ref":"refs/heads/a","repository":{"clone_url":"https://h/a.git","ssh_url":"git@h:a.git"},` +
		`"project":{"git_http_url":"https://h/a.git","git_ssh_url":"git@h:a.git"}}`
	for _, tt := range []struct {
		provider string
		trust    bool
		covers   provider.Strength
		offered  bool
	}{
		{"github", false, provider.StrengthBody, true},
		{"gitee", false, provider.StrengthTime, false}, {"gitee", true, provider.StrengthTime, true},
		{"gitlab", false, provider.StrengthToken, false}, {"gitlab", true, provider.StrengthToken, true},
	} {
		got, message := extensions(t, tt.provider, "push", payload, map[string]any{"trustUnsignedBody": tt.trust})
		if got.Verified != tt.covers || (got.CloneURL != "") != tt.offered || (got.SSHURL != "") != tt.offered {
			t.Errorf("%s, trusted %v: got %+v, %s", tt.provider, tt.trust, got, message)
		}
	}
}

// TestManyFiles holds that extensions stay small, and say so.
func TestManyFiles(t *testing.T) {
	var files []string
	for i := range 4000 {
		files = append(files,
			strings.Repeat("d/", 3)+string(rune('a'+i%26))+"/"+strings.Repeat("x", i%50)+"/"+sha[:i%40]+sha2[:i/100])
	}
	added, err := json.Marshal(files)
	if err != nil {
		t.Fatal(err)
	}
	got, message := extensions(t, "github", "push",
		`{"ref":"refs/heads/a","forced":false,"before":"`+sha+`","after":"`+sha2+`","commits":[{"added":`+string(
			added)+`,"removed":[],"modified":[]}]}`, nil)
	if got.Verified == "" || got.ChangedFilesComplete || len(got.ChangedFiles) > 3000 {
		t.Errorf("got %d files, complete %v: %s", len(got.ChangedFiles), got.ChangedFilesComplete, message)
	}
}
