package interceptor_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-logr/logr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/provider"
)

// request is a delivery as it is on the wire, with or without a request line.
type request struct {
	header map[string]string
	body   string
}

func readRequest(t *testing.T, path string) request {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := bytes.Cut(raw, []byte("\r\n\r\n"))
	if !found {
		head, body, _ = bytes.Cut(raw, []byte("\n\n"))
	}
	r := request{header: map[string]string{}, body: string(body)}
	for line := range strings.Lines(string(head)) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), ": "); found {
			r.header[http.CanonicalHeaderKey(name)] = value
		}
	}
	return r
}

// paramsOf returns the params of the recipe for a forge.
func paramsOf(t *testing.T, f provider.Forge) map[string]any {
	t.Helper()
	i := slices.IndexFunc(interceptor.Recipes, func(r interceptor.Recipe) bool { return r.Name == f.Recipe })
	if i < 0 {
		t.Fatalf("%s: there is no recipe %s", f.Name, f.Recipe)
	}
	params := map[string]any{}
	for _, p := range interceptor.Recipes[i].Params {
		params[p.Name] = p.Value
	}
	return params
}

// repeatCommits stands in a delivery of our own for a list of so many commits.
const repeatCommits = "Tekgate-Repeat-Commits"

// madeDelivery reads a delivery of our own, which has all that a forge sends but the
// signature, and signs it.
func madeDelivery(t *testing.T, f provider.Forge, path string) request {
	t.Helper()
	r := readRequest(t, path)
	if n, err := strconv.Atoi(r.header[repeatCommits]); err == nil {
		var payload map[string]any
		if err := json.Unmarshal([]byte(r.body), &payload); err != nil {
			t.Fatal(err)
		}
		payload["commits"] = slices.Repeat(payload["commits"].([]any), n)
		body, err := json.Marshal(payload)
		if err != nil {
			t.Fatal(err)
		}
		r.body = string(body)
		delete(r.header, repeatCommits)
	}
	raw, err := json.Marshal(paramsOf(t, f))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := interceptor.Sign(raw, []byte(secret), outgoing("push", r.body))
	if err != nil {
		t.Fatal(err)
	}
	signature := signed.Header.Get("X-Gitea-Signature")
	for name := range signed.Header {
		if strings.Contains(name, "Event") || strings.Contains(name, "Delivery") {
			signed.Header.Del(name) // the file has the forge's own
		}
	}
	if f.Name == "gogs" {
		signed.Header.Del("X-Gitea-Signature")
		signed.Header.Del("X-Hub-Signature-256")
	}
	if f.Name == "forgejo" {
		signed.Header.Set("X-Forgejo-Signature", signature)
	}
	for name := range signed.Header {
		if r.header[name] == "" {
			r.header[name] = signed.Header.Get(name)
		}
	}
	return r
}

// judged is what the interceptor makes of a delivery.
type judged struct {
	git    map[string]any // nil where it is refused
	record interceptor.Record
}

// judgeForge sends a delivery to a Trigger that asks for everything.
func judgeForge(t *testing.T, h http.Handler, seen *records, params map[string]any, r request, event string) judged {
	t.Helper()
	params = maps.Clone(params)
	params["secretRef"] = map[string]any{"secretName": "hook", "secretKey": "token"}
	if params["eventTypes"] == nil {
		params["eventTypes"] = []string{"**", "**:deleted"}
	}
	headers := map[string][]string{"Content-Type": {"application/json"}}
	for name, value := range r.header {
		headers[http.CanonicalHeaderKey(name)] = []string{value}
	}
	got := send(t, h, &v1beta1.InterceptorRequest{Body: r.body, Header: headers, InterceptorParams: params,
		Context: &v1beta1.TriggerContext{EventID: event, TriggerID: triggerID}})
	j := judged{record: seen.last(t)}
	if got.Continue {
		j.git, _ = got.Extensions["git"].(map[string]any)
	}
	return j
}

func forgeHandler(key string) (http.Handler, *records) {
	seen := &records{}
	return interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: secrets{"ci/hook": {"token": []byte(key)}}, Log: logr.Discard(), Now: at(signedAt),
		Replay: &memory{}, Observers: []interceptor.Observer{seen}}), seen
}

// madeHashes are the hashes in deliveries of our own.
var madeHashes = strings.NewReplacer("COMMIT", strings.Repeat("c1", 20), "ZEROS", zeros, "+", " ")

// checkShows compares what the interceptor makes of a delivery with what an answer says.
func checkShows(t *testing.T, shows string, j judged) {
	t.Helper()
	switch shows {
	case "stopped":
		if j.git != nil || j.record.Reason != "ping" || !j.record.Verified {
			t.Errorf("got %+v, want a ping", j.record)
		}
		return
	case "replayed":
		if j.git != nil || j.record.Reason != "replayed" || j.record.Repository == "" {
			t.Errorf("got %+v, want a replay of a known repository", j.record)
		}
		return
	}
	if j.git == nil {
		t.Fatalf("refused: %s", j.record.Message)
	}
	for pair := range strings.FieldsSeq(shows) {
		name, want, _ := strings.Cut(pair, "=")
		if got := j.git[name]; got != madeHashes.Replace(want) {
			t.Errorf("%s is %q, want %q", name, got, madeHashes.Replace(want))
		}
	}
}

// TestForges holds every answer to deliveries of our own, which follow what the forges publish.
func TestForges(t *testing.T) {
	providers := map[string]bool{}
	for _, f := range provider.Forges {
		params := paramsOf(t, f)
		providers[fmt.Sprint(params["provider"])] = true
		for i, a := range f.Answers {
			q := provider.Questions[i].Name
			if !strings.HasPrefix(a.Source, "https://") || a.Shows == "" && a.Note == "" {
				t.Errorf("%s, %s: the answer needs a source, and a note where nothing shows it", f.Name, q)
			}
			paths, err := filepath.Glob(filepath.Join("testdata", "forges", f.Name, q+"*.req"))
			if err != nil || (len(paths) == 0) != (a.Shows == "") {
				t.Errorf("%s, %s: the answer shows %q, and there are %d deliveries", f.Name, q, a.Shows, len(paths))
			}
			for _, path := range paths {
				t.Run(f.Name+"/"+strings.TrimSuffix(filepath.Base(path), ".req"), func(t *testing.T) {
					h, seen := forgeHandler(secret)
					r := madeDelivery(t, f, path)
					more := maps.Clone(params)
					if a.Shows == "replayed" {
						more["replay"] = "enforce"
						if first := judgeForge(t, h, seen, more, r, "first"); first.git == nil {
							t.Fatalf("refused at first: %s", first.record.Message)
						}
					}
					checkShows(t, a.Shows, judgeForge(t, h, seen, more, r, "second"))
				})
			}
		}
	}
	for _, p := range provider.All {
		if !providers[p.Name] {
			t.Errorf("provider %s has no forge", p.Name)
		}
	}
}

// capturedForges are deliveries of a real Gitea and a real Gogs, and of others, by the folder
// beside the repository in which they are. What one shows is what its forge's answer says,
// with its own names.
var capturedForges = []struct{ forge, file, shows string }{
	{"gitea", "authorization-header", "action=updated sha=c6455fc1ca9ae9fbb1e437bdaa78e4ae720b56a1"},
	{"gitea", "create-branch", "action=created ref=refs/heads/main"},
	{"gitea", "create-tag", "action=created tag=v1.0.0"},
	{"gitea", "delete-branch", "action=deleted deleted=true branch=release/1"},
	{"gitea", "delete-tag", "action=deleted deleted=true tag=v1.0.0"},
	{"gitea", "fork", "event=fork pullRequest=0 fromFork=unknown"},
	{"gitea", "form", "form-encoded"},
	{"gitea", "issue-comment", "pullRequest=0 merged=unknown"},
	{"gitea", "issue-opened", "pullRequest=0 action=opened"},
	{"gitea", "no-secret", "unsigned"},
	{"gitea", "pr-approved", "pullRequest=5 fromFork=false draft=false"},
	{"gitea", "pr-comment", "pullRequest=1 merged=false fromFork=false"},
	{"gitea", "pr-labelled", "pullRequest=1 action=label_updated"},
	{"gitea", "pr-merged", "pullRequest=1 action=closed merged=true"},
	{"gitea", "pr-opened", "pullRequest=1 action=opened merged=false draft=false fromFork=false"},
	{"gitea", "pr-retargeted", "pullRequest=6 fromFork=true targetBranch=m2"},
	{"gitea", "pr-synchronized", "pullRequest=1 action=synchronized"},
	{"gitea", "push-25-commits", incompletePush},
	{"gitea", "push-5-commits", incompletePush},
	{"gitea", "push-annotated-tag", "tag=v1.1.0 sha=12f7a6b498b6b964a0478d029e7ed999846403f2"},
	{"gitea", "push-branch-chinese", "action=created"},
	{"gitea", "push-branch-shell", "payload-unusable"},
	{"gitea", "push-first", "action=created changedFilesComplete=false"},
	{"gitea", "push-forced-back", "forced=true changedFilesComplete=false"},
	{"gitea", "push-forced-two-commits-gone", "forced=unknown changedFilesComplete=false"},
	{"gitea", "push-odd-file-names", incompletePush},
	{"gitea", "push-one-commit", incompletePush + " changedFiles=src/main.go"},
	{"gitea", "push-rename", incompletePush + " changedFiles=src/renamed.go+src/m1.go"},
	{"gitea", "push-tag", "action=created tag=v1.0.0 sha=12f7a6b498b6b964a0478d029e7ed999846403f2"},
	{"gitea", "push-tag-deleted", "action=deleted deleted=true tag=v1.0.0"},
	{"gitea", "push-three-commits", incompletePush},
	{"gitea", "push-three-commits-redelivered", "replayed"},
	{"gitea", "release-published", "tag=v2.0.0 action=published"},
	{"gitea", "status", "event=status action="},
	{"gitea", "test-by-api", "stopped"},
	{"gitea", "test-by-web", "stopped"},
	{"gitea", "type-gogs", "action=updated"},
	{"gitea", "wiki", "event=wiki action=created"},
	{"gogs", "create-branch", "action=created branch=main sha="},
	{"gogs", "create-tag", "action=created tag=v1.0.0"},
	{"gogs", "delete-branch", "action=deleted deleted=true branch=forced"},
	{"gogs", "delete-tag", "action=deleted deleted=true tag=v1.0.0"},
	{"gogs", "form", "form-encoded"},
	{"gogs", "issue-comment", "pullRequest=0"},
	{"gogs", "issue-opened", "pullRequest=0"},
	{"gogs", "no-secret", "unsigned"},
	{"gogs", "pr-merged", "pullRequest=2 merged=true fromFork=false draft=unknown"},
	{"gogs", "pr-opened", "pullRequest=2 merged=false fromFork=false"},
	{"gogs", "pr-synchronized", "pullRequest=3 action=synchronized"},
	{"gogs", "push-25-commits", incompletePush},
	{"gogs", "push-empty-commit", incompletePush + " changedFiles="},
	{"gogs", "push-forced-back", incompletePush},
	{"gogs", "push-name-with-blank", incompletePush},
	{"gogs", "push-one-commit", incompletePush},
	{"gogs", "push-rename", incompletePush + " changedFiles="},
	{"gogs", "push-three-commits", incompletePush},
	{"gogs", "push-three-commits-redelivered", "replayed"},
	{"gogs", "release-published", "tag=v2.0.0"},
}

// incomplete is what a push shows that may have changed more files than it lists.
const incomplete = "changedFilesComplete=false"

const incompletePush = "event=push action=updated changedFilesComplete=false forced=unknown"

// TestForgesCaptured judges deliveries of real forges, which lie beside the repository and not
// in it, with the signatures that came along.
func TestForgesCaptured(t *testing.T) {
	folder := filepath.Join("..", "..", "shared", "gitea")
	if _, err := os.Stat(folder); err != nil {
		folder = filepath.Join("..", folder)
	}
	if _, err := os.Stat(folder); err != nil {
		t.Skip("the captured deliveries are not here; TestForges has deliveries of our own")
	}
	h, seen := forgeHandler("hook-secret-0123456789")
	for i, c := range capturedForges {
		t.Run(c.forge+"/"+c.file, func(t *testing.T) {
			r := readRequest(t, filepath.Join(folder, c.forge, c.file+".req"))
			params := map[string]any{"provider": "gitea", "replay": "enforce"}
			// type-gogs and others repeat a push: that they come again is not what they are about.
			if c.shows != "replayed" && c.file != "push-three-commits" {
				params["replay"] = "off"
			}
			j := judgeForge(t, h, seen, params, r, fmt.Sprint(i))
			switch c.shows {
			case "form-encoded", "unsigned", "payload-unusable":
				if j.git != nil || j.record.Reason != c.shows {
					t.Errorf("got %+v, want %s", j.record, c.shows)
				}
			default:
				checkShows(t, c.shows, j)
			}
		})
	}
}

// TestForgesStopTests holds that nothing makes a build of a test: not a Trigger that asks for
// everything, for deletions alone, or for deliveries without a signature.
func TestForgesStopTests(t *testing.T) {
	for _, f := range provider.Forges {
		paths, err := filepath.Glob(filepath.Join("testdata", "forges", f.Name, "test*.req"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			for _, events := range [][]string{{"**", "**:deleted"}, {"push:deleted"}, {"*:*"}} {
				params := paramsOf(t, f)
				params["eventTypes"], params["allowInsecure"], params["trustUnsignedBody"] = events, true, true
				h, seen := forgeHandler(secret)
				if j := judgeForge(t, h, seen, params, madeDelivery(t, f, path), "e"); j.git != nil {
					t.Errorf("%s with eventTypes %v starts a build: %v", path, events, j.git)
				}
			}
		}
	}
}

// TestDeletionsByPush holds that push:deleted asks for deletions wherever forges report them as
// an event of its own, and once where they report them twice.
func TestDeletionsByPush(t *testing.T) {
	for _, tt := range []struct {
		forge, file string
		events      []string
		pass        bool
	}{
		{"gitea", "deletion", []string{"push:deleted"}, true},
		{"gitea", "deletion", []string{"push", "push:deleted"}, true},
		{"gitea", "deletion", []string{"delete:deleted"}, true},
		{"gitea", "deletion", []string{"push"}, false},
		{"gitea", "deletion", []string{"push:*", "!push:deleted"}, false},
		{"gitea", "deletion", []string{"pull_request:deleted"}, false},
		{"gogs", "deletion", []string{"push:deleted"}, true},
		{"forgejo", "deletion", []string{"*:deleted"}, true},
		{"github", "deletion", []string{"push:deleted"}, true},
		{"github", "deletion-event", []string{"push:deleted"}, false},
		{"gitlab", "deletion", []string{"push:deleted"}, true},
		{"gitee", "deletion", []string{"push:deleted"}, true},
	} {
		i := slices.IndexFunc(provider.Forges, func(f provider.Forge) bool { return f.Name == tt.forge })
		f := provider.Forges[i]
		params := paramsOf(t, f)
		params["eventTypes"] = tt.events
		h, seen := forgeHandler(secret)
		r := madeDelivery(t, f, filepath.Join("testdata", "forges", f.Name, tt.file+".req"))
		if j := judgeForge(t, h, seen, params, r, "e"); (j.git != nil) != tt.pass {
			t.Errorf("%s, %s with eventTypes %v: got %+v", tt.forge, tt.file, tt.events, j.record)
		}
	}
}

// TestGiteaAsGitHub holds that Gitea's deliveries, which GitHub's provider verifies, too, are not
// taken for more than they are.
func TestGiteaAsGitHub(t *testing.T) {
	i := slices.IndexFunc(provider.Forges, func(f provider.Forge) bool { return f.Name == "gitea" })
	f := provider.Forges[i]
	for file, shows := range map[string]string{
		"test": "stopped", "test-web": "stopped", "many-commits": incomplete, "force-push": incomplete,
		"rename": incomplete, "issue": "pullRequest=0", "comment": "pullRequest=7", "annotated-tag": "sha=COMMIT",
		"deletion": "action=deleted deleted=true", "fork": "fromFork=true", "merged": "merged=true",
	} {
		h, seen := forgeHandler(secret)
		r := madeDelivery(t, f, filepath.Join("testdata", "forges", f.Name, file+".req"))
		checkShows(t, shows, judgeForge(t, h, seen, map[string]any{"provider": "github"}, r, "e"))
		if file == "many-commits" {
			trusting := map[string]any{"provider": "github", "trustListedFiles": true}
			checkShows(t, incomplete, judgeForge(t, h, seen, trusting, r, "e"))
		}
	}
}

// TestTrustedLists holds that paths refuses a push where whoever wrote the Trigger takes the
// listed files for all of them, but never where a push is known to have taken some away.
func TestTrustedLists(t *testing.T) {
	for _, tt := range []struct {
		forge, file string
		trust       bool
		paths       string
		pass        bool
	}{
		{"gitea", "rename", false, "src/**", true}, {"gitea", "rename", true, "src/**", false},
		{"gitea", "rename", true, "docs/**", true}, {"gitea", "many-commits", true, "src/**", true},
		{"gitlab", "rename", true, "src/**", false}, {"gitlab", "rename", false, "src/**", true},
		{"gitlab", "many-commits", true, "src/**", true},
		{"gitee", "rename", false, "src/**", true}, {"gitee", "rename", true, "src/**", false},
		{"gitee", "force-push", true, "src/**", true}, {"gitee", "force-push-back", true, "src/**", true},
		{"github", "rename", false, "src/**", false}, {"github", "force-push", true, "src/**", true},
		{"gogs", "rename", true, "src/**", true}, {"codeup", "rename", true, "src/**", true},
	} {
		i := slices.IndexFunc(provider.Forges, func(f provider.Forge) bool { return f.Name == tt.forge })
		f := provider.Forges[i]
		params := paramsOf(t, f)
		params["trustListedFiles"], params["paths"] = tt.trust, []string{tt.paths}
		h, seen := forgeHandler(secret)
		r := madeDelivery(t, f, filepath.Join("testdata", "forges", f.Name, tt.file+".req"))
		if j := judgeForge(t, h, seen, params, r, "e"); (j.git != nil) != tt.pass {
			t.Errorf("%s, %s, trusted %v, paths %s: got %+v", tt.forge, tt.file, tt.trust, tt.paths, j.record)
		}
	}
}
