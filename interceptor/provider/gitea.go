package provider

import "encoding/hex"

// gitea checks what Gitea, Forgejo and Gogs send for a hook with a secret: in a
// header of each one's own name HMAC-SHA256 over the body, in hexadecimal and
// without a prefix. Gitea and Forgejo send the headers of Gogs and GitHub beside
// theirs, all with the same signature, and send them empty where the hook has no
// secret.
var gitea = Provider{
	Provider: described("gitea"),
	methods: map[string]method{
		"sha256": {Read: readGitea, Sign: signGitea},
	},
	Normalise: asSent,
	Announce:  announceGitea,
	Payload: &Payload{
		root: compile([]path{
			{"ref", fRef}, {"ref_type", fRefType}, {"before", fBefore}, {"after", fAfter}, {"sha", fAfter},
			{"commits[]", fCommit}, {"commits[].added", fFiles}, {"commits[].removed", fFiles},
			{"commits[].modified", fFiles},
			{"total_commits", fTotal},
			{"repository.full_name", fRepository}, {"repository.default_branch", fDefaultBranch},
			{"repository.clone_url", fCloneURL}, {"repository.ssh_url", fSSHURL},
			{"sender.login", fSender}, {"sender.username", fSender}, {"action", fAction}, {"release.tag_name", fTag},
			{"pull_request.number", fNumber}, {"number", fNumber}, {"pull_request.head.sha", fHead},
			{"pull_request.head.ref", fSourceBranch}, {"pull_request.base.ref", fTargetBranch},
			{"pull_request.updated_at", fUpdatedAt},
			{"pull_request.head_branch", fSourceBranch}, {"pull_request.base_branch", fTargetBranch},
		}),
		// Without a total the list may be cut: old versions and Gogs send none.
		mostCommits: 5,
		finish:      finishGitHub,
	},
}

func announceGitea(d Delivery, _ *Sender) (Claim, error) {
	event, err := d.event(asSent, "X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event")
	if err != nil {
		return Claim{}, err
	}
	id, err := d.deliveryID("X-Gitea-Delivery", "X-Forgejo-Delivery", "X-Gogs-Delivery")
	return Claim{Event: event, DeliveryID: id}, err
}

func readGitea(said *Claim, d Delivery, _ *Sender) error {
	header, _, err := d.first("X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature")
	if err != nil {
		return err
	}
	return said.readHex(d, sha256Hash, header, "", "Gitea")
}

func signGitea(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	signature := hex.EncodeToString(sha256Hash.Sum(secret, o.Body))
	for _, name := range []string{"Gitea", "Gogs"} {
		s.Header.Set("X-"+name+"-Event", o.Event)
		s.Header.Set("X-"+name+"-Signature", signature)
		s.set("X-"+name+"-Delivery", o.ID)
	}
	s.Header.Set("X-GitHub-Event", o.Event)
	s.Header.Set("X-Hub-Signature-256", "sha256="+signature)
	return nil
}
