package provider

import (
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/scan"
)

// Git is what bindings find under $(extensions.git). Every field is always there:
// a binding that names one which is missing fails the trigger. What a delivery does
// not tell is empty.
//
// All of it ends in scripts, as text that Tekton puts there before a shell reads them. So
// the table exports limits every text to what a shell takes for one word. A delivery about a
// branch called $(reboot), which Git allows, is refused; a sender or a changed file of such a
// name is left out.
type Git struct {
	Provider string `json:"provider" doc:"as the param has it"`
	Event    string `json:"event" doc:"in the provider's words and one spelling, such as push or merge_request"`
	Action   string `json:"action" doc:"what happened to a pull request; created, updated or deleted for a push"`

	Ref     string `json:"ref" doc:"such as refs/heads/main; empty for a pull request"`
	RefType string `json:"refType" doc:"branch or tag"`
	Branch  string `json:"branch" doc:"without refs/heads/"`
	Tag     string `json:"tag" doc:"without refs/tags/"`
	SHA     string `json:"sha" doc:"the commit that ref was set to, or a pull request's newest; zeros after a deletion"`
	Before  string `json:"before" doc:"the commit before it; zeros where there was none"`
	Deleted bool   `json:"deleted" doc:"ref was deleted; such deliveries pass only where eventTypes asks for them"`

	Repository    string `json:"repository" doc:"with its owner, such as example/app"`
	CloneURL      string `json:"cloneURL" doc:"with https or http; empty where the signature does not cover the body, unless trustUnsignedBody is true"`
	SSHURL        string `json:"sshURL" doc:"with SSH; empty where cloneURL is"`
	DefaultBranch string `json:"defaultBranch" doc:"the repository's"`

	PullRequest  int64  `json:"pullRequest" doc:"its number; 0 where the event is about none"`
	SourceBranch string `json:"sourceBranch" doc:"of a pull request"`
	TargetBranch string `json:"targetBranch" doc:"of a pull request"`

	Sender               string   `json:"sender" doc:"the account that did it; an app's, such as dependabot[bot], is dependabot+bot"`
	ChangedFiles         []string `json:"changedFiles" doc:"of the commits that a push lists: added, changed and removed"`
	ChangedFilesComplete bool     `json:"changedFilesComplete" doc:"false where the delivery does not tell all of them, or one was left out"`
	DeliveryID           string   `json:"deliveryID" doc:"the sender's, which nobody signed"`
	Verified             Strength `json:"verified" doc:"what the signature covers: body, time (and not the body), token (nothing of the delivery), or none where allowInsecure let it pass"`
	VerifiedBy           string   `json:"verifiedBy" doc:"the Secret's name, a slash and the key"`
}

// AppendJSON is encoding/json's, which the tests compare it with, for a tenth of
// the time: it is part of every pass.
func (g *Git) AppendJSON(out []byte) []byte {
	text := func(key, value string) {
		out = append(append(append(out, '"'), key...), '"', ':')
		out = append(scan.AppendQuoted(out, value), ',')
	}
	other := func(key, value string) {
		out = append(append(append(out, '"'), key...), '"', ':')
		out = append(append(out, value...), ',')
	}
	out = append(out, '{')
	text("provider", g.Provider)
	text("event", g.Event)
	text("action", g.Action)
	text("ref", g.Ref)
	text("refType", g.RefType)
	text("branch", g.Branch)
	text("tag", g.Tag)
	text("sha", g.SHA)
	text("before", g.Before)
	other("deleted", strconv.FormatBool(g.Deleted))
	text("repository", g.Repository)
	text("cloneURL", g.CloneURL)
	text("sshURL", g.SSHURL)
	text("defaultBranch", g.DefaultBranch)
	other("pullRequest", strconv.FormatInt(g.PullRequest, 10))
	text("sourceBranch", g.SourceBranch)
	text("targetBranch", g.TargetBranch)
	text("sender", g.Sender)
	out = append(out, `"changedFiles":[`...)
	for i, name := range g.ChangedFiles {
		if i > 0 {
			out = append(out, ',')
		}
		out = scan.AppendQuoted(out, name)
	}
	out = append(out, "],"...)
	other("changedFilesComplete", strconv.FormatBool(g.ChangedFilesComplete))
	text("deliveryID", g.DeliveryID)
	text("verified", string(g.Verified))
	text("verifiedBy", g.VerifiedBy)
	out[len(out)-1] = '}'
	return out
}

// Build makes a Git of what a payload tells, of one change in it or of all of it.
func (p *Payload) Build(x *Extract, change *Values, g Git) (Git, error) {
	if p == nil || !x.isObject {
		return g, g.check()
	}
	at := func(f field) string {
		if change != nil && change.raw[f] != nil {
			return text(change.raw[f])
		}
		return text(x.raw[f])
	}
	g.Action = at(fAction)
	g.Before, g.SHA = at(fBefore), at(fAfter)
	g.Deleted = at(fDeleted) == "true" || zeros(g.SHA)
	g.setRef(at)
	g.Repository, g.DefaultBranch = at(fRepository), at(fDefaultBranch)
	g.CloneURL, g.SSHURL = at(fCloneURL), at(fSSHURL)
	g.SourceBranch, g.TargetBranch = at(fSourceBranch), at(fTargetBranch)
	number, _ := strconv.ParseInt(strings.TrimPrefix(at(fNumber), "!"), 10, 64) // Gitee's comments have !7
	g.PullRequest = max(number, 0)
	g.Sender = at(fSender)
	if head := at(fHead); head != "" {
		g.SHA = head
	}
	if p.finish != nil {
		p.finish(x, at, &g)
	}
	if g.Action == "" && g.Ref != "" {
		g.Action = pushed(&g, at)
	}
	x.Files.Complete = p.toldAllFiles(x, &g, at)
	return g, g.check()
}

// Time returns when a delivery was made, by its payload. Only fields count that the forge sets
// for the event itself: commits have the times that their authors chose.
func (p *Payload) Time(x *Extract, event string) (time.Time, bool) {
	if p == nil || !x.isObject {
		return time.Time{}, false
	}
	told := text(x.raw[fUpdatedAt])
	if told == "" && event == "push" {
		told = text(x.raw[fPushedAt])
	}
	if unixSeconds.MatchString(told) {
		seconds, err := strconv.ParseInt(told, 10, 64)
		return time.Unix(seconds, 0), err == nil
	}
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05-0700"} {
		if at, err := time.Parse(layout, told); err == nil {
			return at, true
		}
	}
	return time.Time{}, false
}

// text returns a scalar as people write it.
func text(raw []byte) string {
	if len(raw) == 0 || raw[0] != '"' {
		return string(raw)
	}
	s, err := scan.New(raw).String()
	if err != nil { // cannot be: it was read before
		return ""
	}
	return string(s)
}

// setRef tells branches from tags.
func (g *Git) setRef(at func(field) string) {
	name := at(fRefName)
	g.Ref = at(fRef)
	if name == "" && !strings.HasPrefix(g.Ref, "refs/") {
		name, g.Ref = g.Ref, "" // events about creation and deletion name it so
	}
	if tag := at(fTag); tag != "" && g.Ref == "" {
		g.Ref = "refs/tags/" + tag
	}
	if g.Ref == "" && name != "" {
		switch strings.ToLower(at(fRefType)) {
		case "branch", "named_branch":
			g.Ref = "refs/heads/" + name
		case "tag", "annotated_tag":
			g.Ref = "refs/tags/" + name
		}
	}
	if branch, found := strings.CutPrefix(g.Ref, "refs/heads/"); found {
		g.RefType, g.Branch = "branch", branch
	}
	if tag, found := strings.CutPrefix(g.Ref, "refs/tags/"); found {
		g.RefType, g.Tag = "tag", tag
	}
}

func pushed(g *Git, at func(field) string) string {
	switch {
	case g.Deleted:
		return "deleted"
	case zeros(g.Before) || at(fCreated) == "true":
		return "created"
	case g.SHA != "":
		return "updated"
	}
	return ""
}

// toldAllFiles says whether the commits that are listed are all there are between
// before and after, each with all its files.
func (p *Payload) toldAllFiles(x *Extract, g *Git, at func(field) string) bool {
	switch {
	case x.commits < 0 || g.Branch == "" || g.Deleted || zeros(g.Before) || x.Files.cut:
		return false
	case at(fCreated) == "true" || at(fForced) == "true" || at(fMore) == "true":
		return false
	}
	if total := at(fTotal); total != "" {
		if total != strconv.Itoa(x.commits) {
			return false
		}
	} else if p.mostCommits > 0 && x.commits >= p.mostCommits {
		return false
	}
	return x.lists == 3*x.commits // added, removed, modified
}

// WithFiles adds the changed files that a script may see.
func (g *Git) WithFiles(files *FileList) {
	all := files.All()
	g.ChangedFiles = fitFiles(all)
	g.ChangedFilesComplete = files.Complete && len(g.ChangedFiles) == len(all)
}

// WithoutURLs leaves out where sources are fetched from.
func (g *Git) WithoutURLs() { g.CloneURL, g.SSHURL = "", "" }

// What names the tag, branch or other ref for a message.
func (g *Git) What() string {
	switch {
	case g.Tag != "":
		return "the tag " + refusal.Quote(g.Tag)
	case g.Branch != "":
		return "the branch " + refusal.Quote(g.Branch)
	}
	return "the ref " + refusal.Quote(g.Ref)
}

func unusable(what, value, why string) error {
	return refusal.New(refusal.Payload, codes.InvalidArgument, "the delivery's %s is %s, which %s",
		what, refusal.Quote(value), why)
}

func zeros(sha string) bool {
	return sha != "" && strings.Trim(sha, "0") == ""
}

// isHostAndPath tells whether a URL goes on after its scheme with nothing but the name of
// a host and a path, none of which can be written in another way.
func isHostAndPath(rest string) bool {
	for i := range len(rest) {
		if c := rest[i]; c == '@' || c == ':' || c == '%' || c == '#' || c == ',' || c == '=' || c == '~' || c == '+' {
			return false
		}
	}
	return rest != "" && rest[0] != '/' && rest[0] != '-'
}

// isUserAndHost tells whether Git takes it for an address of SSH, as in git@host:path.
func isUserAndHost(raw string) bool {
	user, rest, found := strings.Cut(raw, "@")
	host, _, colon := strings.Cut(rest, ":")
	return found && colon && host != "" && host[0] != '-' && !strings.Contains(host, "/") &&
		!strings.ContainsAny(user, ":/") && names.flaw(user) == ""
}

// urlFlaw says what is wrong with a URL to clone from. Git runs a program for some
// of those that it knows, such as ext::.
func urlFlaw(raw string) string {
	if raw == "" {
		return ""
	}
	if rest, found := strings.CutPrefix(raw, "https://"); found && isHostAndPath(rest) || isUserAndHost(raw) {
		return "" // as nearly all are
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "is no URL"
	}
	_, withPassword := u.User.Password()
	switch {
	case u.Scheme != "https" && u.Scheme != "http" && u.Scheme != "ssh":
		return "begins with none of https, http and ssh"
	case u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-"):
		return "names no host"
	case withPassword:
		return "holds a password"
	}
	return ""
}
