package interceptor

import (
	"encoding/json"
	"slices"

	"github.com/tekgate/tekgate/internal/hooks"
)

// Recipe is a worked example: one sender, from its form for webhooks to the
// Trigger. The reference is written from them, and the tests sign and verify with
// every one.
type Recipe struct {
	Name  string // one word, such as codeup
	Title string // the sender as people call it
	Setup string // what to do at the sender
	Note  string // what else to know; may be ""
	// Params are the Trigger's but for secretRef, in the order to write them down.
	Params []Param
	// Secret is a value that the Secret may have: what to type, or how to make it.
	Secret string
	Event  string // one that the sender's header names; "" where none does
}

// Param is one of a Trigger's.
type Param struct {
	Name  string
	Value string
}

// JSON returns the params as an EventListener sends them, with a secretRef where
// ref names one.
func (r Recipe) JSON(ref SecretKey) json.RawMessage {
	fields := map[string]any{}
	for _, p := range r.Params {
		fields[p.Name] = p.Value
	}
	if ref != (SecretKey{}) {
		fields["secretRef"] = ref
	}
	raw, err := json.Marshal(fields)
	if err != nil { // cannot be: these are strings
		return nil
	}
	return raw
}

// randomSecret is how to make a secret that nobody guesses.
const randomSecret = "$(openssl rand -hex 20)"

// setup returns how the hook of a described provider is set up.
func setup(name string) string {
	i := slices.IndexFunc(hooks.Providers, func(p hooks.Provider) bool { return p.Name == name })
	return hooks.Providers[i].Setup
}

// Recipes are all of them.
var Recipes = []Recipe{
	{
		Name: "gitee", Title: "Gitee", Setup: setup("gitee"), Secret: randomSecret, Event: "push",
		Note:   "The signature does not cover the body, so name the repositories, and let `replay` stop what is sent again.",
		Params: []Param{{"provider", "gitee"}, {"mode", "sign"}},
	},
	{
		Name: "gitee-password", Title: "Gitee with a password", Setup: setup("gitee"), Secret: randomSecret,
		Event:  "push",
		Note:   "Every body holds the password.",
		Params: []Param{{"provider", "gitee"}, {"mode", "password"}},
	},
	{
		Name: "github", Title: "GitHub", Setup: setup("github"), Secret: randomSecret, Event: "push",
		Params: []Param{{"provider", "github"}},
	},
	{
		Name: "gitlab", Title: "GitLab with a secret token", Setup: setup("gitlab"), Secret: randomSecret,
		Event:  "push",
		Params: []Param{{"provider", "gitlab"}, {"mode", "token"}},
	},
	{
		Name: "gitlab-signing-token", Title: "GitLab with a signing token", Setup: setup("gitlab"),
		Secret: "whsec_$(openssl rand -base64 32)", Event: "push",
		Params: []Param{{"provider", "gitlab"}, {"mode", "signing-token"}},
	},
	{
		Name: "gitea", Title: "Gitea, Forgejo, Gogs", Setup: setup("gitea"), Secret: randomSecret, Event: "push",
		Params: []Param{{"provider", "gitea"}},
	},
	{
		Name: "gitcode", Title: "GitCode, AtomGit", Setup: setup("gitcode"), Secret: randomSecret, Event: "push",
		Params: []Param{{"provider", "gitcode"}, {"mode", "sign"}},
	},
	{
		Name: "bitbucket", Title: "Bitbucket", Setup: setup("bitbucket"), Secret: randomSecret, Event: "repo:push",
		Params: []Param{{"provider", "bitbucket"}},
	},
	{
		Name: "codeup", Title: "Alibaba Cloud Codeup (云效)", Secret: randomSecret, Event: "push",
		Setup: "Repository settings → Webhooks → New (设置 → Webhooks): the EventListener's URL, a Secret Token, the events.",
		Note: "The token is sent in clear, as GitLab's is. The repository's name for param repositories is the path of its clone URL, " +
			"such as ORGANIZATION/group/app.",
		Params: []Param{{"provider", "generic"}, {"mode", "token"}, {"header", "X-Codeup-Token"},
			{"eventHeader", "Codeup-Event"}, {"payload", "gitlab"}},
	},
	{
		Name: "gongfeng", Title: "Tencent Gongfeng (工蜂)", Secret: randomSecret, Event: "push",
		Setup:  "Project settings → Advanced → Webhooks (项目设置 → 高级设置 → 回调钩子): the EventListener's URL, a token, the events.",
		Note:   "It sends GitLab's headers and former payload. The token is sent in clear, as GitLab's is.",
		Params: []Param{{"provider", "gitlab"}, {"mode", "token"}},
	},
	{
		Name: "coding", Title: "Coding", Secret: randomSecret, Event: "push",
		Setup: "Project settings → Developer options → Service Hook (项目设置 → 开发者选项): the EventListener's URL, application/json, a signature token, the events.",
		Note:  "It signs with SHA-1, which is weak but not broken for this.",
		Params: []Param{{"provider", "generic"}, {"mode", "hmac"}, {"header", "X-Coding-Signature"},
			{"algorithm", "sha1"}, {"prefix", "sha1="}, {"eventHeader", "X-Coding-Event"},
			{"deliveryHeader", "X-Coding-Delivery"}, {"payload", "github"}},
	},
	{
		Name: "cnb", Title: "Tencent CNB", Secret: randomSecret,
		Setup:  "In the webhook plugin's settings: the EventListener's URL, signature_header: X-CNB-Signature, a signature secret.",
		Note:   "The header's name is yours to choose. Should the plugin prove to send base64, set `encoding` to it: `tekgate hook explain` tells.",
		Params: []Param{{"provider", "generic"}, {"mode", "hmac"}, {"header", "X-CNB-Signature"}},
	},
	{
		Name: "harbor", Title: "Harbor", Secret: randomSecret,
		Setup:  "Project → Webhooks → New webhook: Notify type http, the EventListener's URL, and as Auth Header the Secret's value.",
		Note:   "Harbor sends the auth header as it is, in Authorization. The event's type is in the body, where a binding or a CEL interceptor after this one finds it.",
		Params: []Param{{"provider", "generic"}, {"mode", "token"}, {"header", "Authorization"}},
	},
	{
		Name: "acr", Title: "Alibaba Cloud ACR (容器镜像服务)", Secret: randomSecret,
		Setup:  "Repository → Trigger (触发器): the EventListener's URL with `?token=` and the Secret's value.",
		Note:   "ACR signs nothing, so the secret has to stand in the URL. Gateways and proxies log URLs: give this hook a path of its own, and change the secret often.",
		Params: []Param{{"provider", "generic"}, {"mode", "token"}, {"query", "token"}},
	},
	{
		Name: "azure-devops", Title: "Azure DevOps", Secret: "tekton:" + randomSecret,
		Setup:  "Project settings → Service hooks → Web Hooks: the EventListener's URL, and a basic authentication user name and password.",
		Note:   "The Secret's value is the user, a colon and the password.",
		Params: []Param{{"provider", "generic"}, {"mode", "basic"}},
	},
	{
		Name: "x-my-token", Title: "curl, or anything else that sends a header", Secret: randomSecret,
		Setup:  "`curl -X POST -H 'Content-Type: application/json' -H \"X-My-Token: $TOKEN\" -d '{\"repository\":{\"ssh_url\":\"git@gitee.com:example/app.git\"}}' https://…`",
		Note:   "Say that it is application/json: curl calls it a form otherwise, and forms are refused.",
		Params: []Param{{"provider", "generic"}, {"mode", "token"}, {"header", "X-My-Token"}},
	},
}
