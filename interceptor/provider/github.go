package provider

import (
	"encoding/hex"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
)

// github checks what GitHub sends for a hook with a secret: in
// X-Hub-Signature-256 the word sha256= and, in hexadecimal, HMAC-SHA256 over the
// body, keyed with the secret. The older X-Hub-Signature with SHA-1 is not a
// second chance: who could choose it would choose the weaker one. It takes a mode
// of its own, for senders that have no other.
var github = Provider{
	Provider: described("github"),
	methods: map[string]method{
		"sha256": {Read: readHub(sha256Hash, "X-Hub-Signature-256"), Sign: signHub(sha256Hash, "X-Hub-Signature-256")},
		"sha1":   {Read: readHub(sha1Hash, "X-Hub-Signature"), Sign: signHub(sha1Hash, "X-Hub-Signature")},
	},
	Normalise: asSent,
	Announce:  announceGitHub,
	Payload: &Payload{
		root: compile([]path{
			{"ref", fRef}, {"ref_type", fRefType}, {"before", fBefore}, {"after", fAfter},
			{"deleted", fDeleted}, {"created", fCreated}, {"forced", fForced},
			{"commits[]", fCommit}, {"commits[].added", fFiles}, {"commits[].removed", fFiles},
			{"commits[].modified", fFiles},
			{"repository.full_name", fRepository}, {"repository.default_branch", fDefaultBranch},
			{"repository.clone_url", fCloneURL}, {"repository.ssh_url", fSSHURL},
			{"sender.login", fSender}, {"action", fAction}, {"release.tag_name", fTag},
			{"pull_request.updated_at", fUpdatedAt}, {"repository.pushed_at", fPushedAt},
			{"pull_request.number", fNumber}, {"number", fAnyNumber}, {"pull_request.head.sha", fHead},
			{"pull_request.head.ref", fSourceBranch}, {"pull_request.base.ref", fTargetBranch},
			{"pull_request.merged", fMerged}, {"pull_request.merged_at", fMerged}, {"pull_request.state", fState},
			{"pull_request.draft", fDraft}, {"issue.draft", fDraft},
			{"pull_request.head.repo.id", fHeadRepo}, {"pull_request.base.repo.id", fBaseRepo},
			{"issue.number", fIssueNumber}, {"issue.pull_request.url", fIssueIsPull}, {"issue.state", fState},
			{"issue.pull_request.merged_at", fMerged}, {"head_commit.id", fTagged},
			{"total_commits", fTotal}, // Gitea's, whose deliveries bear GitHub's signature, too
		}),
		mostCommits: 2048,
		finish:      finishGitHub,
	},
}

// finishGitHub knows that the event delete has no field that says so.
func finishGitHub(_ *Extract, _ func(field) string, g *Git) {
	if g.Event == "delete" {
		g.Deleted = true
	}
}

func announceGitHub(d Delivery, _ *Sender) (Claim, error) {
	event, err := d.event(asSent, "X-GitHub-Event")
	if err != nil {
		return Claim{}, err
	}
	id, err := d.deliveryID("X-GitHub-Delivery")
	return Claim{Event: event, DeliveryID: id, Ping: event == "ping"}, err
}

func readHub(a Algorithm, header string) func(*Claim, Delivery, *Sender) error {
	return func(said *Claim, d Delivery, _ *Sender) error {
		err := said.readHex(d, a, header, a.Name+"=", "GitHub")
		if err == nil || refusal.Of(err).Reason != refusal.Unsigned {
			return err
		}
		if old, oldErr := d.Value("X-Hub-Signature"); oldErr == nil && old != "" {
			// It is signed, in a way that is not taken: allowInsecure does not help it.
			return refusal.New(refusal.Header, codes.Unauthenticated,
				"the event has X-Hub-Signature (SHA-1) alone: let the sender, or GitHub Enterprise Server 2.23 or later, send %s, or set param mode to sha1",
				header)
		}
		return err
	}
}

func signHub(a Algorithm, header string) func(*Signed, *Sender, []byte, Outgoing) error {
	return func(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
		s.Header.Set("User-Agent", "GitHub-Hookshot/tekgate")
		s.Header.Set("X-GitHub-Event", o.Event)
		s.set("X-GitHub-Delivery", o.ID)
		s.Header.Set(header, a.Name+"="+hex.EncodeToString(a.Sum(secret, o.Body)))
		return nil
	}
}
