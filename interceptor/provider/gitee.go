package provider

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// gitee checks what gitee.com sends for a hook with a signature key: in
// X-Gitee-Token the standard base64 of HMAC-SHA256, keyed with the secret, over
// X-Gitee-Timestamp, a newline and the secret. Its documentation adds
// URL-encoding and is wrong there, and the samples in circulation that encode
// twice or in hex match no delivery: all captured ones are encoded once.
//
// Nothing but the time is signed. Whoever has seen one delivery can therefore
// send any body until it is too old, and bodies repeat the signature; so the
// window is short, a replay is known by the signature alone, and Gitee's users
// need TLS and long random secrets more than others do.
var gitee = Provider{
	Provider: described("gitee"),
	methods: map[string]method{
		"sign":     {Read: readGiteeSign, Sign: signGitee},
		"password": {Read: readGiteePassword, Sign: passGitee},
	},
	Normalise: hookless,
	Announce:  announceGitee,
	Payload: &Payload{
		root: compile([]path{
			{"ref", fRef}, {"before", fBefore}, {"after", fAfter}, {"deleted", fDeleted}, {"created", fCreated},
			{"commits[]", fCommit}, {"commits[].added", fAdded}, {"commits[].removed", fFiles},
			{"commits[].modified", fFiles},
			{"total_commits_count", fTotal}, {"commits_more_than_ten", fMore},
			{"repository.full_name", fRepository}, {"repository.path_with_namespace", fRepository},
			{"repository.default_branch", fDefaultBranch},
			{"repository.git_http_url", fCloneURL}, {"repository.clone_url", fCloneURL},
			{"repository.git_ssh_url", fSSHURL}, {"repository.ssh_url", fSSHURL},
			{"project.path_with_namespace", fRepository}, {"project.git_http_url", fCloneURL},
			{"project.git_ssh_url", fSSHURL},
			{"sender.login", fSender}, {"sender.user_name", fSender}, {"user_name", fSender},
			{"action", fAction}, {"action_desc", fActionDetail},
			{"pull_request.number", fNumber}, {"pull_request.head.sha", fHead},
			{"pull_request.head.ref", fSourceBranch}, {"pull_request.base.ref", fTargetBranch},
			{"source_branch", fSourceBranch}, {"target_branch", fTargetBranch},
			{"pull_request.merged", fMerged}, {"pull_request.state", fState}, {"pull_request.draft", fDraft},
			{"pull_request.head.repo.id", fHeadRepo}, {"pull_request.base.repo.id", fBaseRepo},
			{"head_commit.id", fTagged}, {"commits[].parent_ids", fParents},
		}),
		hidesRenames: true,
		finish:       finishGitee,
	},
}

// finishGitee tells new commits (source_branch_changed) from labels
// (update_label): both are the action update.
func finishGitee(_ *Extract, at func(field) string, g *Git) {
	if detail := at(fActionDetail); g.Action == "update" && detail != "" {
		g.Action = detail
	}
}

func readGiteeSign(said *Claim, d Delivery, _ *Sender) error {
	token, err := d.Value("X-Gitee-Token")
	if err != nil {
		return err
	}
	digest, err := giteeDigest(token)
	if err != nil {
		return err
	}
	// The time comes with unsigned deliveries too, and says nothing about the mode.
	timestamp, err := d.Value("X-Gitee-Timestamp")
	if err != nil {
		return err
	}
	if said.SignedAt, err = giteeTime(timestamp); err != nil {
		return err
	}
	said.Digests, said.Covers = [][]byte{digest}, StrengthTime
	said.MAC = func(secret, _ []byte) ([]byte, error) { return giteeMAC(secret, timestamp), nil }
	return nil
}

func readGiteePassword(said *Claim, d Delivery, _ *Sender) error {
	return said.readToken(d, "X-Gitee-Token", "Gitee", "password")
}

func announceGitee(d Delivery, _ *Sender) (Claim, error) {
	ping, err := d.Value("X-Gitee-Ping")
	if err != nil {
		return Claim{}, err
	}
	event, err := d.event(hookless, "X-Gitee-Event", "X-Git-Oschina-Event")
	return Claim{Event: event, Ping: strings.EqualFold(ping, "true")}, err
}

func signGitee(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	timestamp := strconv.FormatInt(o.Time.UnixMilli(), 10)
	headGitee(s, o, base64.StdEncoding.EncodeToString(giteeMAC(secret, timestamp)))
	return nil
}

func passGitee(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	headGitee(s, o, string(secret))
	return nil
}

func headGitee(s *Signed, o Outgoing, token string) {
	event := hookName(o.Event)
	s.Header.Set("User-Agent", "git-oschina-hook")
	s.Header.Set("X-Gitee-Token", token)
	s.Header.Set("X-Gitee-Timestamp", strconv.FormatInt(o.Time.UnixMilli(), 10))
	s.Header.Set("X-Gitee-Event", event)
	s.Header.Set("X-Git-Oschina-Event", event)
	s.Header.Set("X-Gitee-Ping", "false")
}

func giteeMAC(secret []byte, timestamp string) []byte {
	return sha256Hash.Sum(secret, []byte(timestamp+"\n"), secret)
}

// giteeDigest decodes the token. Where that fails, the token's shape often tells
// what went wrong at the sender.
func giteeDigest(token string) ([]byte, error) {
	if token == "" {
		return nil, unsigned("X-Gitee-Token", "Gitee", "signature key")
	}
	digest, err := base64.StdEncoding.Strict().DecodeString(token)
	if err == nil && len(digest) == sha256.Size {
		return digest, nil
	}
	return nil, refusal.New(refusal.Header, codes.InvalidArgument, "header X-Gitee-Token is no signature: %s",
		giteeTokenFault(token, digest))
}

func giteeTokenFault(token string, decoded []byte) string {
	inner, innerErr := base64.StdEncoding.DecodeString(string(decoded))
	isHex := func(b []byte) bool {
		_, err := hex.DecodeString(string(b))
		return err == nil && len(b) == 2*sha256.Size
	}
	switch {
	case innerErr == nil && len(inner) == sha256.Size:
		return "it is base64 of base64; encode the HMAC's 32 bytes once, as gitee.com does"
	case isHex([]byte(token)):
		return "it is hexadecimal; encode the HMAC's 32 bytes in base64, as gitee.com does"
	case isHex(decoded):
		return "it is base64 of hexadecimal; encode the HMAC's 32 bytes themselves, as gitee.com does"
	case strings.Contains(token, "%"):
		return "it is URL-encoded; send the base64 as it is, as gitee.com does"
	case strings.Contains(token, " "):
		return "it holds spaces, as if something on the way had URL-decoded its plus signs; pass the header on unchanged"
	}
	return "it is not the base64 of 32 bytes; if the hook at Gitee has a password, change it to a signature key, or set param mode to password"
}

var giteeTimestamp = lazyregexp.New(`^[1-9][0-9]{12,13}$`)

// giteeTime parses Unix milliseconds. Fourteen digits last until the year 5138;
// fewer than thirteen are seconds, or the last century.
func giteeTime(timestamp string) (int64, error) {
	if !giteeTimestamp.MatchString(timestamp) {
		return 0, refusal.New(refusal.Header, codes.InvalidArgument,
			"header X-Gitee-Timestamp is %s: gitee.com sends milliseconds since 1970, in 13 digits", refusal.Quote(timestamp))
	}
	return strconv.ParseInt(timestamp, 10, 64)
}
