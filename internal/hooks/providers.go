package hooks

// Provider is a value of the param provider: a sender of events.
type Provider struct {
	Name string
	Doc  string // a paragraph or two for the reference
	// Modes are the values of the param mode. The first one is the default.
	Modes []Mode
	// ExplicitMode means that there is no default: the param mode must be given.
	ExplicitMode bool
	// Recommended is the mode that the command line takes where none is named; "" is the
	// first one. A Trigger gets it in writing.
	Recommended string
	// Setup says how to configure the hook at the sender.
	Setup string
}

// Mode is one way in which a provider signs its deliveries.
type Mode struct {
	Name string
	Doc  string // one line for the reference
	// SignsTime means that the signature covers a time, which the param maxAge limits.
	SignsTime bool
}

// RecommendedMode returns the name of the mode to take where none is named.
func (p Provider) RecommendedMode() string {
	if p.Recommended != "" {
		return p.Recommended
	}
	return p.Modes[0].Name
}

// RecommendedMode returns the mode to take for the provider called name where none is named;
// "" where there is no such provider.
func RecommendedMode(name string) string {
	for _, p := range Providers {
		if p.Name == name {
			return p.RecommendedMode()
		}
	}
	return ""
}

// Providers are all providers, in the order of the reference.
var Providers = []Provider{
	{
		Name: "gitee",
		Doc: "Gitee. In mode sign (the hook's signature key, 签名密钥) X-Gitee-Token holds a signature of the time in X-Gitee-Timestamp. " +
			"It does not cover the body, and bodies repeat it: whoever sees one delivery can send another body until maxAge is over, " +
			"or once instead of the delivery with `replay: enforce`, which knows the signature. So repository, ref and sha are anyone's word within that time: " +
			"name the repository to build in the TriggerBinding, as cloneURL is empty, and let a protected branch decide what may be built. " +
			"In mode password the token is the password itself, which the body repeats, too: keep `$(body)` out of params and logs. Prefer sign, with a long random secret.",
		Modes: []Mode{
			{Name: "sign", Doc: "X-Gitee-Token: base64 of HMAC-SHA256 over X-Gitee-Timestamp, a newline and the secret",
				SignsTime: true},
			{Name: "password", Doc: "X-Gitee-Token: the password"},
		},
		// The two look the same but for the token's shape, which the sender chooses.
		ExplicitMode: true,
		Setup: "Repository → Manage → WebHooks → Add (管理 → WebHooks → 添加): the EventListener's URL; " +
			"\"Signature key\" (签名密钥) for mode sign or \"WebHook password\" (密码) for mode password; the events.",
	},
	{
		Name: "github",
		Doc: "GitHub and GitHub Enterprise Server. The signature covers the body and not the time, so an old delivery stays valid: " +
			"with replay it passes once within interceptor.replay.retention, and later not if its body has a time. Mode sha1 is for senders that cannot do better, such as GitHub Enterprise Server before 2.23.",
		Modes: []Mode{
			{Name: "sha256", Doc: "X-Hub-Signature-256: sha256= and the HMAC over the body in hexadecimal"},
			{Name: "sha1", Doc: "X-Hub-Signature: the same with sha1="},
		},
		Setup: "Settings → Webhooks → Add webhook: Payload URL is the EventListener's; " +
			"Content type is application/json, since a form is refused; Secret; the events.",
	},
	{
		Name: "gitlab",
		Doc: "GitLab and JihuLab (极狐), and in mode signing-token every sender after Standard Webhooks. " +
			"The secret token is sent in clear and covers nothing, so whoever reads one delivery can send any other: prefer the signing token, which GitLab has since 19.0 and which covers id, time and body.",
		Modes: []Mode{
			{Name: "token", Doc: "X-Gitlab-Token: the secret token"},
			{Name: "signing-token",
				Doc:       "webhook-signature: v1, and base64 of HMAC-SHA256 over webhook-id, webhook-timestamp and the body; the Secret holds whsec_ and all",
				SignsTime: true},
		},
		// A hook can have both, and one who knows the token alone must not pass for the
		// other.
		ExplicitMode: true,
		Recommended:  "signing-token",
		Setup: "Settings → Webhooks → Add new webhook: URL is the EventListener's; " +
			"Secret token for mode token or Signing token for mode signing-token; the triggers.",
	},
	{
		Name: "gitea",
		Doc: "Gitea, Forgejo and Gogs. The signature covers the body and not the time. Set the hook's POST content type to application/json: " +
			"for a form they sign what they do not send. " +
			"They send GitHub's signature beside their own: with provider github their deliveries verify, too, but are read as GitHub's, whose lists are longer.",
		Modes: []Mode{
			{Name: "sha256", Doc: "X-Gitea-Signature, X-Forgejo-Signature or X-Gogs-Signature: the HMAC over the body in hexadecimal"},
		},
		Setup: "Settings → Webhooks → Add webhook → Gitea: Target URL is the EventListener's; " +
			"POST content type is application/json; Secret; the events.",
	},
	{
		Name: "gitcode",
		Doc:  "GitCode and AtomGit. The signature covers the body and not the time; the token covers nothing and is sent in clear. Prefer sign.",
		Modes: []Mode{
			{Name: "sign", Doc: "X-GitCode-Signature-256: sha256= and the HMAC over the body in hexadecimal"},
			{Name: "token", Doc: "X-GitCode-Token: the token"},
		},
		ExplicitMode: true,
		Setup: "Project settings → Webhooks → New (项目设置 → WebHooks): URL is the EventListener's; " +
			"the signature key for mode sign or the token for mode token; the events.",
	},
	{
		Name: "bitbucket",
		Doc: "Bitbucket Cloud and Data Center. The signature covers the body and not the time. A delivery about several branches and tags, " +
			"which one `git push` can cause, continues with the first of them that the filters let through. No changed files are told.",
		Modes: []Mode{
			{Name: "sha256", Doc: "X-Hub-Signature: sha256= and the HMAC over the body in hexadecimal"},
		},
		Setup: "Repository settings → Webhooks → Add webhook: URL is the EventListener's; " +
			"Secret, which Data Center tests with an event of its own; the triggers.",
	},
	{
		Name: "generic",
		Doc: "Any other sender whose deliveries carry a signature or a token. The params say where it is and how it is made: " +
			"see the recipes below.",
		Modes: []Mode{
			{Name: "hmac", Doc: "a header with an HMAC: params header, algorithm, encoding, prefix, template, timestampHeader"},
			{Name: "token", Doc: "a header, or a parameter of the URL, with the secret itself: params header, prefix, query"},
			{Name: "basic", Doc: "basic authentication; the Secret holds the user, a colon and the password: param header"},
		},
		ExplicitMode: true,
		Setup:        "Where the sender has a form for webhooks: the EventListener's URL, the secret and, where it asks, application/json.",
	},
}
