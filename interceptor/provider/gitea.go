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
			{"pull_request.number", fNumber}, {"number", fAnyNumber}, {"pull_request.head.sha", fHead},
			{"pull_request.head.ref", fSourceBranch}, {"pull_request.base.ref", fTargetBranch},
			{"pull_request.updated_at", fUpdatedAt},
			{"pull_request.head_branch", fSourceBranch}, {"pull_request.base_branch", fTargetBranch},
			{"pull_request.merged", fMerged}, {"pull_request.state", fState}, {"pull_request.draft", fDraft},
			{"pull_request.head.repo.id", fHeadRepo}, {"pull_request.base.repo.id", fBaseRepo},
			{"pull_request.head_repo.id", fHeadRepo}, {"repository.id", fBaseRepo},
			{"issue.number", fIssueNumber}, {"is_pull", fIssueIsPull}, {"issue.pull_request.merged", fIssueMerged},
			{"issue.pull_request.draft", fDraft}, {"head_commit.id", fTagged},
		}),
		// Without a total the list may be cut: old versions and Gogs send none.
		mostCommits:  5,
		deletesApart: true,
		finish:       finishGitea,
	},
}

// finishGitea knows which deletions arrive as the event delete alone: those of branches, and
// at Gogs those of tags.
func finishGitea(x *Extract, at func(field) string, g *Git) {
	finishGitHub(x, at, g)
	x.AsPush = g.Event == "delete" && (g.Branch != "" || x.Forge == ForgeGogs)
}

func announceGitea(d Delivery, _ *Sender) (Claim, error) {
	event, err := d.event(asSent, "X-Gitea-Event", "X-Forgejo-Event", "X-Gogs-Event")
	if err != nil {
		return Claim{}, err
	}
	forge, err := giteaForge(d)
	if err != nil {
		return Claim{}, err
	}
	id, err := d.deliveryID("X-Gitea-Delivery", "X-Forgejo-Delivery", "X-Gogs-Delivery")
	return Claim{Event: event, DeliveryID: id, Forge: forge}, err
}

// giteaForge tells Forgejo and Gogs from Gitea, which sends Gogs' headers beside its own, as
// Forgejo sends both others'.
func giteaForge(d Delivery) (string, error) {
	for _, f := range []struct{ name, forge string }{
		{"X-Forgejo-Event", ForgeForgejo}, {"X-Gitea-Event", ""}, {"X-Gogs-Event", ForgeGogs},
	} {
		if value, err := d.Value(f.name); err != nil || value != "" {
			return f.forge, err
		}
	}
	return "", nil
}

func readGitea(said *Claim, d Delivery, _ *Sender) error {
	header, value, err := d.first("X-Gitea-Signature", "X-Forgejo-Signature", "X-Gogs-Signature")
	if err != nil {
		return err
	}
	name := "Gitea"
	switch said.Forge {
	case ForgeForgejo:
		name = "Forgejo"
	case ForgeGogs:
		name = "Gogs"
		if value == "" {
			header = "X-Gogs-Signature"
		}
	}
	return said.readHex(d, sha256Hash, header, "", name)
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
