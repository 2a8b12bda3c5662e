package provider

import (
	"encoding/hex"
	"strings"
)

// bitbucket checks what Bitbucket Cloud, since October 2023, and Data Center send
// for a hook with a secret: in X-Hub-Signature, which at GitHub is for SHA-1, the
// word sha256= and the HMAC over the body.
//
// One push of theirs may be about several branches and tags. Extensions can name
// one: it is the first that the Trigger's filters let through.
var bitbucket = Provider{
	Provider: described("bitbucket"),
	methods: map[string]method{
		"sha256": {Read: readBitbucket, Sign: signBitbucket},
	},
	Normalise: asSent,
	Announce:  announceBitbucket,
	Payload: &Payload{
		root: compile([]path{
			// Cloud
			{"push.changes[]", fChange}, {"push.changes[].new.name", fRefName}, {"push.changes[].new.type", fRefType},
			{"push.changes[].new.target.hash", fAfter},
			{"push.changes[].old.name", fRefName}, {"push.changes[].old.type", fRefType},
			{"push.changes[].old.target.hash", fBefore},
			{"push.changes[].closed", fDeleted}, {"push.changes[].created", fCreated},
			{"push.changes[].forced", fForced},
			{"repository.full_name", fRepository}, {"repository.mainbranch.name", fDefaultBranch},
			{"repository.links.html.href", fCloneURL},
			{"actor.nickname", fSender}, {"actor.name", fSender},
			{"pullrequest.id", fNumber}, {"pullrequest.source.branch.name", fSourceBranch},
			{"pullrequest.source.commit.hash", fHead}, {"pullrequest.destination.branch.name", fTargetBranch},
			{"pullrequest.state", fState}, {"pullrequest.draft", fDraft},
			{"pullrequest.source.repository.full_name", fHeadRepo},
			{"pullrequest.destination.repository.full_name", fBaseRepo},
			// Data Center
			{"pullRequest.state", fState}, {"pullRequest.draft", fDraft},
			{"pullRequest.fromRef.repository.id", fHeadRepo}, {"pullRequest.toRef.repository.id", fBaseRepo},
			{"date", fUpdatedAt},
			{"changes[]", fChange}, {"changes[].ref.id", fRef}, {"changes[].fromHash", fBefore},
			{"changes[].toHash", fAfter}, {"changes[].type", fAction},
			{"repository.slug", fCloneName}, {"repository.project.key", fOwner},
			{"pullRequest.id", fNumber}, {"pullRequest.fromRef.displayId", fSourceBranch},
			{"pullRequest.fromRef.latestCommit", fHead}, {"pullRequest.toRef.displayId", fTargetBranch},
			{"pullRequest.toRef.repository.slug", fCloneName}, {"pullRequest.toRef.repository.project.key", fOwner},
		}),
		finish: finishBitbucket,
	},
}

// finishBitbucket makes one spelling of the two products'.
func finishBitbucket(_ *Extract, at func(field) string, g *Git) {
	// A person's project is ~NAME, whose tilde is a home folder to a shell. Its address has
	// users/NAME, and no project is called that.
	owner, slug := at(fOwner), at(fCloneName)
	if person, found := strings.CutPrefix(owner, "~"); found {
		owner = "users/" + person
	}
	if g.Repository == "" && owner != "" && slug != "" {
		g.Repository = owner + "/" + slug
	}
	g.Action = strings.ToLower(g.Action)
	switch g.Action {
	case "add":
		g.Action = "created"
	case "update":
		g.Action = "updated"
	case "delete":
		g.Action = "deleted"
	}
	if g.Deleted && g.SHA == "" {
		g.SHA = strings.Repeat("0", 40)
	}
	if g.Before == "" && at(fCreated) == "true" {
		g.Before = strings.Repeat("0", 40)
	}
}

func announceBitbucket(d Delivery, _ *Sender) (Claim, error) {
	event, err := d.event(asSent, "X-Event-Key")
	if err != nil {
		return Claim{}, err
	}
	id, err := d.deliveryID("X-Request-UUID", "X-Request-Id")
	return Claim{Event: event, DeliveryID: id, Ping: event == "diagnostics:ping"}, err
}

func readBitbucket(said *Claim, d Delivery, _ *Sender) error {
	return said.readHex(d, sha256Hash, "X-Hub-Signature", "sha256=", "Bitbucket")
}

func signBitbucket(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	event := o.Event
	if event == "push" {
		event = "repo:push"
	}
	s.Header.Set("X-Event-Key", event)
	s.set("X-Request-UUID", o.ID)
	s.Header.Set("X-Hub-Signature", "sha256="+hex.EncodeToString(sha256Hash.Sum(secret, o.Body)))
	return nil
}
