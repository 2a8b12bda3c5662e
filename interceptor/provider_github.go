package interceptor

import (
	"encoding/hex"

	"google.golang.org/grpc/codes"
)

// github checks what GitHub sends for a hook with a secret: in
// X-Hub-Signature-256 the word sha256= and, in hexadecimal, HMAC-SHA256 over the
// body, keyed with the secret. The older X-Hub-Signature with SHA-1 is not a
// second chance: who could choose it would choose the weaker one. It takes a mode
// of its own, for senders that have no other.
var github = Provider{
	Provider: described("github"),
	methods: map[string]method{
		"sha256": {read: readHub(sha256Hash, "X-Hub-Signature-256"), sign: signHub(sha256Hash, "X-Hub-Signature-256")},
		"sha1":   {read: readHub(sha1Hash, "X-Hub-Signature"), sign: signHub(sha1Hash, "X-Hub-Signature")},
	},
	normalise: asSent,
	announce:  announceGitHub,
	payload: &payload{
		root: compile([]path{
			{"ref", fRef}, {"ref_type", fRefType}, {"before", fBefore}, {"after", fAfter},
			{"deleted", fDeleted}, {"created", fCreated}, {"forced", fForced},
			{"commits[]", fCommit}, {"commits[].added", fFiles}, {"commits[].removed", fFiles},
			{"commits[].modified", fFiles},
			{"repository.full_name", fRepository}, {"repository.default_branch", fDefaultBranch},
			{"repository.clone_url", fCloneURL}, {"repository.ssh_url", fSSHURL},
			{"sender.login", fSender}, {"action", fAction}, {"release.tag_name", fTag},
			{"pull_request.number", fNumber}, {"number", fNumber}, {"pull_request.head.sha", fHead},
			{"pull_request.head.ref", fSourceBranch}, {"pull_request.base.ref", fTargetBranch},
		}),
		mostCommits: 2048,
		finish:      finishGitHub,
	},
}

// finishGitHub knows that the event delete has no field that says so.
func finishGitHub(_ *extract, _ func(field) string, g *Git) {
	if g.Event == "delete" {
		g.Deleted = true
	}
}

func announceGitHub(d delivery, _ *sender) (claim, error) {
	event, err := d.event(asSent, "X-GitHub-Event")
	if err != nil {
		return claim{}, err
	}
	id, err := d.deliveryID("X-GitHub-Delivery")
	return claim{event: event, deliveryID: id, ping: event == "ping"}, err
}

func readHub(a algorithm, header string) func(*claim, delivery, *sender) error {
	return func(said *claim, d delivery, _ *sender) error {
		err := said.readHex(d, a, header, a.name+"=", "GitHub")
		if err == nil || asRefusal(err).reason != reasonUnsigned {
			return err
		}
		if old, oldErr := d.value("X-Hub-Signature"); oldErr == nil && old != "" {
			// It is signed, in a way that is not taken: allowInsecure does not help it.
			return refuse(reasonHeader, codes.Unauthenticated,
				"the event has X-Hub-Signature (SHA-1) alone: let the sender, or GitHub Enterprise Server 2.23 or later, send %s, or set param mode to sha1",
				header)
		}
		return err
	}
}

func signHub(a algorithm, header string) func(*Signed, *sender, []byte, Outgoing) error {
	return func(s *Signed, _ *sender, secret []byte, o Outgoing) error {
		s.Header.Set("User-Agent", "GitHub-Hookshot/tekgate")
		s.Header.Set("X-GitHub-Event", o.Event)
		s.set("X-GitHub-Delivery", o.ID)
		s.Header.Set(header, a.name+"="+hex.EncodeToString(a.sum(secret, o.Body)))
		return nil
	}
}
