package provider

import "encoding/hex"

// gitcode checks what GitCode and AtomGit send: in X-GitCode-Signature-256 what
// GitHub has in its header, or in X-GitCode-Token the hook's token.
var gitcode = Provider{
	Provider: described("gitcode"),
	methods: map[string]method{
		"sign":  {Read: readGitCodeSign, Sign: signGitCode},
		"token": {Read: readGitCodeToken, Sign: passGitCode},
	},
	Normalise: hookless,
	Announce:  announceGitCode,
	Payload:   gitlabPayload,
}

func announceGitCode(d Delivery, _ *Sender) (Claim, error) {
	event, err := d.event(hookless, "X-GitCode-Event")
	if err != nil {
		return Claim{}, err
	}
	id, err := d.deliveryID("X-GitCode-Delivery")
	return Claim{Event: event, DeliveryID: id}, err
}

func readGitCodeSign(said *Claim, d Delivery, _ *Sender) error {
	return said.readHex(d, sha256Hash, "X-GitCode-Signature-256", "sha256=", "GitCode")
}

func readGitCodeToken(said *Claim, d Delivery, _ *Sender) error {
	return said.readToken(d, "X-GitCode-Token", "GitCode", "token")
}

func signGitCode(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	s.Header.Set("X-GitCode-Signature-256", "sha256="+hex.EncodeToString(sha256Hash.Sum(secret, o.Body)))
	headGitCode(s, o)
	return nil
}

func passGitCode(s *Signed, _ *Sender, secret []byte, o Outgoing) error {
	s.Header.Set("X-GitCode-Token", string(secret))
	headGitCode(s, o)
	return nil
}

func headGitCode(s *Signed, o Outgoing) {
	s.Header.Set("X-GitCode-Event", hookName(o.Event))
	s.set("X-GitCode-Delivery", o.ID)
}
