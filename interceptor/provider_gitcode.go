package interceptor

import "encoding/hex"

// gitcode checks what GitCode and AtomGit send: in X-GitCode-Signature-256 what
// GitHub has in its header, or in X-GitCode-Token the hook's token.
var gitcode = Provider{
	Provider: described("gitcode"),
	methods: map[string]method{
		"sign":  {read: readGitCodeSign, sign: signGitCode},
		"token": {read: readGitCodeToken, sign: passGitCode},
	},
	normalise: hookless,
	announce:  announceGitCode,
	payload:   gitlabPayload,
}

func announceGitCode(d delivery, _ *sender) (claim, error) {
	event, err := d.event(hookless, "X-GitCode-Event")
	if err != nil {
		return claim{}, err
	}
	id, err := d.deliveryID("X-GitCode-Delivery")
	return claim{event: event, deliveryID: id}, err
}

func readGitCodeSign(said *claim, d delivery, _ *sender) error {
	return said.readHex(d, sha256Hash, "X-GitCode-Signature-256", "sha256=", "GitCode")
}

func readGitCodeToken(said *claim, d delivery, _ *sender) error {
	return said.readToken(d, "X-GitCode-Token", "GitCode", "token")
}

func signGitCode(s *Signed, _ *sender, secret []byte, o Outgoing) error {
	s.Header.Set("X-GitCode-Signature-256", "sha256="+hex.EncodeToString(sha256Hash.sum(secret, o.Body)))
	headGitCode(s, o)
	return nil
}

func passGitCode(s *Signed, _ *sender, secret []byte, o Outgoing) error {
	s.Header.Set("X-GitCode-Token", string(secret))
	headGitCode(s, o)
	return nil
}

func headGitCode(s *Signed, o Outgoing) {
	s.Header.Set("X-GitCode-Event", hookName(o.Event))
	s.set("X-GitCode-Delivery", o.ID)
}
