package provider

import (
	"encoding/base64"
	"errors"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// gitlab checks GitLab's two ways. The secret token is sent as it is. The signing
// token, since 19.0, makes a signature after Standard Webhooks: the base64 of
// HMAC-SHA256 over the id, the time in seconds and the body, joined by dots, keyed
// with what whsec_ stands before in base64. Several signatures may come at once,
// while the sender changes its key.
var gitlab = Provider{
	Provider: described("gitlab"),
	methods: map[string]method{
		"token":         {Read: readGitLabToken, Sign: signGitLabToken},
		"signing-token": {Read: readStandardWebhook, Sign: signStandardWebhook, key: standardKey},
	},
	Normalise: hookless,
	Announce:  announceGitLab,
	Payload:   gitlabPayload,
}

// gitlabPayload is GitLab's, and that of those who took it over.
var gitlabPayload = &Payload{
	root: compile([]path{
		{"ref", fRef}, {"before", fBefore}, {"after", fAfter},
		{"commits[]", fCommit}, {"commits[].added", fAdded}, {"commits[].removed", fFiles},
		{"commits[].modified", fFiles},
		{"total_commits_count", fTotal},
		{"project.path_with_namespace", fRepository}, {"repository.path_with_namespace", fRepository},
		{"project.default_branch", fDefaultBranch}, {"repository.default_branch", fDefaultBranch},
		{"project.git_http_url", fCloneURL}, {"repository.git_http_url", fCloneURL},
		{"project.git_ssh_url", fSSHURL}, {"repository.git_ssh_url", fSSHURL},
		{"user_username", fSender}, {"user.username", fSender}, {"user_name", fSender},
		{"merge_request.iid", fNumber}, // in events about something of a merge request's
		{"object_attributes.action", fAction}, {"object_attributes.iid", fNumber},
		{"object_attributes.last_commit.id", fHead}, {"object_attributes.oldrev", fBefore},
		{"object_attributes.source_branch", fSourceBranch}, {"object_attributes.target_branch", fTargetBranch},
		{"merge_request.last_commit.id", fHead},
		{"merge_request.source_branch", fSourceBranch}, {"merge_request.target_branch", fTargetBranch},
		{"merge_request.state", fState}, {"object_attributes.state", fState},
		{"merge_request.draft", fDraft}, {"object_attributes.draft", fDraft},
		{"merge_request.work_in_progress", fDraft}, {"object_attributes.work_in_progress", fDraft},
		{"merge_request.source_project_id", fHeadRepo}, {"merge_request.target_project_id", fBaseRepo},
		{"object_attributes.source_project_id", fHeadRepo}, {"object_attributes.target_project_id", fBaseRepo},
		{"checkout_sha", fTagged}, {"repository.homepage", fHomepage}, {"commits[].id", fCommitID},
		{"object_kind", fKind},
	}),
	mostCommits:  20,
	hidesRenames: true,
	finish:       finishGitLab,
}

// finishGitLab keeps the numbers of issues and the like from passing for those of
// merge requests.
func finishGitLab(x *Extract, at func(field) string, g *Git) {
	if g.TargetBranch == "" {
		g.PullRequest, g.Merged, g.Draft, g.FromFork = 0, Unknown, Unknown, Unknown
	} else if g.Merged == Unknown && at(fState) == "closed" {
		g.Merged = No // merged is another state
	}
	if g.Repository == "" {
		g.Repository = repositoryIn(g.CloneURL, g.SSHURL, at(fHomepage))
	} else if why := testOfGitLab(x, at, g); why != "" && x.Forge == ForgeGitLab {
		x.Test = why
	}
}

// repositoryIn returns the path of the first address that has one. GitLab's former payload, which
// Codeup and Tencent's Gongfeng (工蜂) send, has no other name for a repository. The address to
// clone from comes first: a filter then judges what would be built.
func repositoryIn(addresses ...string) string {
	for _, address := range addresses {
		_, path, found := strings.Cut(address, "://")
		if found {
			_, path, found = strings.Cut(path, "/")
		} else {
			_, path, found = strings.Cut(address, ":")
		}
		if path = strings.TrimSuffix(strings.Trim(path, "/"), ".git"); found && path != "" {
			return path
		}
	}
	return ""
}

// testOfGitLab recognizes what GitLab's test button sends: a push made of the newest commits,
// the last of which is also the commit before them, and other events without their action.
func testOfGitLab(x *Extract, at func(field) string, g *Git) string {
	switch g.Event {
	case "push", "tag_push":
		if x.names(x.raw[fBefore]) {
			return "the delivery lists the commit before it among its own, as GitLab's test button does and no push: it starts nothing"
		}
	case "merge_request", "issue", "confidential_issue":
		if g.Action == "" && at(fKind) != "" {
			return "the delivery names no action, as GitLab's test button does: it starts nothing"
		}
	}
	return ""
}

func announceGitLab(d Delivery, _ *Sender) (Claim, error) {
	event, err := d.event(hookless, "X-Gitlab-Event")
	if err != nil {
		return Claim{}, err
	}
	id, err := d.deliveryID("webhook-id", "Idempotency-Key", "X-Gitlab-Webhook-UUID", "svix-id")
	if err != nil {
		return Claim{}, err
	}
	said := Claim{Event: event, DeliveryID: id, Forge: ForgeGitLab}
	if other, err := d.Value("X-Event"); err != nil || other != "" {
		said.Forge = "" // Gongfeng sends GitLab's headers beside its own
	}
	return said, nil
}

func readGitLabToken(said *Claim, d Delivery, _ *Sender) error {
	return said.readToken(d, "X-Gitlab-Token", "GitLab", "secret token")
}

// unixSeconds are the digits of a time from 2001 to 2286.
var unixSeconds = lazyregexp.New(`^[1-9][0-9]{9}$`)

func readStandardWebhook(said *Claim, d Delivery, _ *Sender) error {
	header, signatures, err := d.first("webhook-signature", "svix-signature")
	if err != nil {
		return err
	}
	if signatures == "" {
		return unsigned("webhook-signature", "GitLab", "signing token")
	}
	_, id, err := d.first("webhook-id", "svix-id")
	if err != nil {
		return err
	}
	stampHeader, timestamp, err := d.first("webhook-timestamp", "svix-timestamp")
	if err != nil {
		return err
	}
	if !unixSeconds.MatchString(timestamp) {
		return refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s is %s: senders after Standard Webhooks send seconds since 1970, in 10 digits", stampHeader,
			refusal.Quote(timestamp))
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return err
	}
	said.Digests, err = standardDigests(header, signatures)
	said.SignedAt, said.Covers = seconds*1000, StrengthBody
	said.MAC = func(secret, body []byte) ([]byte, error) { return standardMAC(secret, id, timestamp, body) }
	return err
}

// standardDigests reads signatures that are parted by spaces. Those of another
// version than v1 are for somebody else.
func standardDigests(header, signatures string) ([][]byte, error) {
	const most = 8
	var digests [][]byte
	for one := range strings.SplitSeq(signatures, " ") {
		encoded, found := strings.CutPrefix(one, "v1,")
		if !found {
			continue
		}
		digest, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(digest) != sha256Hash.Size || len(digests) == most {
			return nil, refusal.New(refusal.Header, codes.InvalidArgument,
				"header %s is not v1, and the base64 of 32 bytes, a few times at most: only the forge may set it",
				header)
		}
		digests = append(digests, digest)
	}
	if len(digests) == 0 {
		return nil, refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s holds no signature that begins with v1,: no other version is known", header)
	}
	return digests, nil
}

var errSigningToken = errors.New(
	"the value is no signing token, which is whsec_ and base64: copy it whole from the hook's settings")

// standardKey takes the secret with or without its prefix.
func standardKey(secret []byte) ([]byte, error) {
	encoded := strings.TrimPrefix(string(secret), "whsec_")
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(key) == 0 {
		return nil, errSigningToken
	}
	return key, nil
}

func standardMAC(secret []byte, id, timestamp string, body []byte) ([]byte, error) {
	key, err := standardKey(secret)
	if err != nil {
		return nil, err
	}
	return sha256Hash.Sum(key, []byte(id+"."+timestamp+"."), body), nil
}

func signGitLabToken(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	s.Header.Set("X-Gitlab-Token", string(secret))
	headGitLab(s, o)
	return nil
}

func headGitLab(s *Signed, o Outgoing) {
	s.Header.Set("User-Agent", "GitLab/tekgate")
	s.Header.Set("X-Gitlab-Event", hookName(o.Event))
	s.set("Idempotency-Key", o.ID)
}

func signStandardWebhook(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	timestamp := strconv.FormatInt(o.Time.Unix(), 10)
	digest, err := standardMAC(secret, o.ID, timestamp, o.Body)
	if err != nil {
		return err
	}
	headGitLab(s, o)
	s.set("webhook-id", o.ID)
	s.Header.Set("webhook-timestamp", timestamp)
	s.Header.Set("webhook-signature", "v1,"+base64.StdEncoding.EncodeToString(digest))
	return nil
}
