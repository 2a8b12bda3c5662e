package interceptor

import "encoding/hex"

// gitcode checks what GitCode and AtomGit send: in X-GitCode-Signature-256 what
// GitHub has in its header, or in X-GitCode-Token the hook's token.
var gitcode = Provider{
	Name: "gitcode",
	Doc:  "GitCode and AtomGit. The signature covers the body and not the time; the token covers nothing and is sent in clear. Prefer sign.",
	Modes: []Mode{
		{Name: "sign", Doc: "X-GitCode-Signature-256: sha256= and the HMAC over the body in hexadecimal", read: readGitCodeSign, sign: signGitCode},
		{Name: "token", Doc: "X-GitCode-Token: the token", read: readGitCodeToken, sign: passGitCode},
	},
	ExplicitMode: true,
	Setup: "Project settings → Webhooks → New (项目设置 → WebHooks): URL is the EventListener's; " +
		"the signature key for mode sign or the token for mode token; the events.",
	normalise: hookless,
	announce:  announceGitCode,
	payload:   gitlabPayload,
}

func announceGitCode(d delivery, _ *params) (claim, error) {
	event, err := d.event(hookless, "X-GitCode-Event")
	if err != nil {
		return claim{}, err
	}
	id, err := d.deliveryID("X-GitCode-Delivery")
	return claim{event: event, deliveryID: id}, err
}

func readGitCodeSign(said *claim, d delivery, _ *params) error {
	return said.readHex(d, sha256Hash, "X-GitCode-Signature-256", "sha256=", "GitCode")
}

func readGitCodeToken(said *claim, d delivery, _ *params) error {
	return said.readToken(d, "X-GitCode-Token", "GitCode", "token")
}

func signGitCode(s *Signed, _ *params, secret []byte, o Outgoing) error {
	s.Header.Set("X-GitCode-Signature-256", "sha256="+hex.EncodeToString(sha256Hash.sum(secret, o.Body)))
	headGitCode(s, o)
	return nil
}

func passGitCode(s *Signed, _ *params, secret []byte, o Outgoing) error {
	s.Header.Set("X-GitCode-Token", string(secret))
	headGitCode(s, o)
	return nil
}

func headGitCode(s *Signed, o Outgoing) {
	s.Header.Set("X-GitCode-Event", hookName(o.Event))
	s.set("X-GitCode-Delivery", o.ID)
}
