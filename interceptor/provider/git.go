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
	Deleted bool   `json:"deleted,string" doc:"true or false: ref was deleted; such deliveries pass only where eventTypes asks for them"`
	Forced  Known  `json:"forced" doc:"the push removed commits from the branch"`

	Repository    string `json:"repository" doc:"with its owner, such as example/app"`
	CloneURL      string `json:"cloneURL" doc:"with https or http; empty where the signature does not cover the body, unless trustUnsignedBody is true"`
	SSHURL        string `json:"sshURL" doc:"with SSH; empty where cloneURL is"`
	DefaultBranch string `json:"defaultBranch" doc:"the repository's"`

	PullRequest  int64  `json:"pullRequest,string" doc:"its number; 0 where the event is about none"`
	Merged       Known  `json:"merged" doc:"the pull request was merged"`
	Draft        Known  `json:"draft" doc:"the pull request is a draft"`
	FromFork     Known  `json:"fromFork" doc:"the pull request comes from another repository, whose owner need not be trusted"`
	SourceBranch string `json:"sourceBranch" doc:"of a pull request"`
	TargetBranch string `json:"targetBranch" doc:"of a pull request"`

	Sender               string   `json:"sender" doc:"the account that did it; an app's, such as dependabot[bot], is dependabot+bot"`
	ChangedFiles         Words    `json:"changedFiles" doc:"names with a blank between them, which no name holds, of the commits that a push lists: added, changed and removed"`
	ChangedFilesComplete bool     `json:"changedFilesComplete,string" doc:"true or false: false where the delivery does not report all of them, or one was left out"`
	DeliveryID           string   `json:"deliveryID" doc:"the sender's, which nobody signed"`
	Verified             Strength `json:"verified" doc:"what the signature covers: body, time (and not the body), token (nothing of the delivery), or none where allowInsecure let it pass"`
	VerifiedBy           string   `json:"verifiedBy" doc:"the Secret's name, a slash and the key"`
}

// Known is an answer that not every delivery has. It is a word, since Triggers' templates
// make null of what is missing, and a default applies to a whole expression.
type Known string

// The answers.
const (
	Yes     Known = "true"
	No      Known = "false"
	Unknown Known = "unknown" // the delivery does not report it, or the question makes no sense for it
)

// known returns the answer for a JSON boolean; Unknown for anything else.
func known(raw string) Known {
	switch raw {
	case "true":
		return Yes
	case "false":
		return No
	}
	return Unknown
}

func either(yes bool) Known {
	if yes {
		return Yes
	}
	return No
}

// Words are texts that leave as one, with blanks between them: a list in an extension breaks
// the JSON of a TriggerTemplate.
type Words []string

// MarshalText joins the words.
func (w Words) MarshalText() ([]byte, error) { return []byte(strings.Join(w, " ")), nil }

// appendJSON appends the words as one text in JSON.
func (w Words) appendJSON(out []byte) []byte {
	out = append(out, '"')
	for i, word := range w {
		if i > 0 {
			out = append(out, ' ')
		}
		start := len(out)
		out = scan.AppendQuoted(out, word)
		out = out[:start+copy(out[start:], out[start+1:len(out)-1])] // without its quotes
	}
	return append(out, '"')
}

// UnmarshalText parts them again.
func (w *Words) UnmarshalText(text []byte) error {
	*w = strings.Fields(string(text))
	return nil
}

// AppendJSON is encoding/json's, which the tests compare it with, for a tenth of
// the time: it is part of every pass.
func (g *Git) AppendJSON(out []byte) []byte {
	text := func(key, value string) {
		out = append(append(append(out, '"'), key...), '"', ':')
		out = append(scan.AppendQuoted(out, value), ',')
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
	text("deleted", strconv.FormatBool(g.Deleted))
	text("forced", string(g.Forced))
	text("repository", g.Repository)
	text("cloneURL", g.CloneURL)
	text("sshURL", g.SSHURL)
	text("defaultBranch", g.DefaultBranch)
	text("pullRequest", strconv.FormatInt(g.PullRequest, 10))
	text("merged", string(g.Merged))
	text("draft", string(g.Draft))
	text("fromFork", string(g.FromFork))
	text("sourceBranch", g.SourceBranch)
	text("targetBranch", g.TargetBranch)
	text("sender", g.Sender)
	out = append(g.ChangedFiles.appendJSON(append(out, `"changedFiles":`...)), ',')
	text("changedFilesComplete", strconv.FormatBool(g.ChangedFilesComplete))
	text("deliveryID", g.DeliveryID)
	text("verified", string(g.Verified))
	text("verifiedBy", g.VerifiedBy)
	out[len(out)-1] = '}'
	return out
}

// Build makes a Git of what a payload tells, of one change in it or of all of it.
func (p *Payload) Build(x *Extract, change *Values, g Git) (Git, error) {
	g.Forced, g.Merged, g.Draft, g.FromFork = Unknown, Unknown, Unknown, Unknown
	if p == nil || !x.isObject {
		return g, g.check()
	}
	at := func(f field) string { return text(x.of(change, f)) }
	g.Action = at(fAction)
	g.Before, g.SHA = at(fBefore), at(fAfter)
	g.Deleted = at(fDeleted) == "true" || zeros(g.SHA)
	g.setRef(at)
	g.Repository, g.DefaultBranch = at(fRepository), at(fDefaultBranch)
	g.CloneURL, g.SSHURL = at(fCloneURL), at(fSSHURL)
	g.SourceBranch, g.TargetBranch = at(fSourceBranch), at(fTargetBranch)
	g.setPullRequest(at)
	g.Sender = at(fSender)
	g.Forced = x.forced(&g, change)
	x.Test, x.AsPush = "", false
	if g.Ref != "" && g.Before != "" && g.Before == g.SHA {
		x.Test = "the delivery sets " + g.What() +
			" to the commit that it is at, as a forge's test button does and no push: it starts nothing"
	}
	if head := at(fHead); head != "" {
		g.SHA = head
	}
	if commit := at(fTagged); commit != "" && g.Tag != "" && !g.Deleted {
		g.SHA = commit // and not the object of an annotated tag
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

// of returns a raw value of one change, or else of the payload.
func (x *Extract) of(change *Values, f field) []byte {
	if change != nil && change.raw[f] != nil {
		return change.raw[f]
	}
	return x.raw[f]
}

// setPullRequest reads what the delivery is about, if that is a pull request. The number of
// anything else is not one.
func (g *Git) setPullRequest(at func(field) string) {
	number := at(fNumber)
	if number == "" && g.TargetBranch != "" {
		number = at(fAnyNumber)
	}
	if isPull := at(fIssueIsPull); number == "" && (isPull != "" && isPull != "false" || at(fIssueMerged) != "") {
		number = at(fIssueNumber)
	}
	n, err := strconv.ParseInt(strings.TrimPrefix(number, "!"), 10, 64) // Gitee's comments have !7
	if err != nil || n <= 0 {
		return
	}
	g.PullRequest = n
	g.Draft = known(at(fDraft))
	head, base := at(fHeadRepo), at(fBaseRepo)
	if head != "" && base != "" {
		g.FromFork = either(head != base)
	}
	merged := at(fMerged)
	if merged == "" {
		merged = at(fIssueMerged)
	}
	g.Merged = known(merged)
	if g.Merged == Unknown {
		g.Merged = mergedBy(at(fState), merged)
	}
}

// mergedBy returns what a pull request's state, or the time when it was merged, tells. A state
// that closed ones have whether they were merged or not tells nothing.
func mergedBy(state, at string) Known {
	switch strings.ToLower(state) {
	case "merged":
		return Yes
	case "open", "opened", "reopened", "declined", "superseded":
		return No
	}
	if at != "" {
		return Yes
	}
	return Unknown
}

// forced returns whether a push removed commits from the branch. Where the forge does not
// report that, the commits may: of those between before and after, one has before as its
// parent, if after was made from before.
func (x *Extract) forced(g *Git, change *Values) Known {
	if reported := known(text(x.of(change, fForced))); reported != Unknown {
		return reported
	}
	if g.Branch == "" || g.Deleted || g.Before == "" || zeros(g.Before) || g.SHA == "" || g.Before == g.SHA {
		return Unknown
	}
	total := text(x.of(change, fTotal))
	if total == "0" && x.commits <= 0 {
		return Yes // back to an older commit
	}
	if x.parents == 0 || x.parents != x.commits {
		return Unknown
	}
	if x.names(x.of(change, fBefore)) {
		return No
	}
	if total == strconv.Itoa(x.commits) && text(x.of(change, fMore)) != "true" {
		return Yes
	}
	return Unknown
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
	case zeros(g.Before) || at(fCreated) == "true" || g.Event == "create":
		return "created"
	case g.SHA != "" && (g.Before != "" || at(fCreated) == "false"):
		return "updated"
	}
	return "" // which of them is not told
}

// toldAllFiles says whether the commits that are listed are all there are between
// before and after, each with all its files.
func (p *Payload) toldAllFiles(x *Extract, g *Git, at func(field) string) bool {
	switch {
	case x.commits < 0 || g.Branch == "" || g.Deleted || zeros(g.Before) || x.Files.cut:
		return false
	case at(fCreated) == "true" || at(fMore) == "true" || x.Forge == ForgeGogs:
		return false // Gogs lists neither side of a rename, and cuts names at a blank
	case g.Forced == Yes || g.Forced == Unknown && !x.TrustLists:
		return false // what such a push took away is in no commit that it lists
	case p.hidesRenames && x.added > 0 && !x.TrustLists:
		return false // it may be a renamed one, whose former name is in no list
	}
	if total := at(fTotal); total != "" {
		if total != strconv.Itoa(x.commits) {
			return false
		}
	} else if p.mostCommits > 0 && x.commits >= p.mostCommits {
		return false
	}
	return x.commits > 0 && x.lists == 3*x.commits // added, removed, modified
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
