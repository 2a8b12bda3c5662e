// Package hooks describes the params of Tekgate's ClusterInterceptor.
//
// The interceptor implements them, the validator checks Triggers against them, and the
// reference in docs/events.md is generated from them.
package hooks

// Param is a param of the ClusterInterceptor.
type Param struct {
	Name string
	Doc  string // one sentence
}

// Params are those of every provider, in the order of the reference.
var Params = []Param{
	{"provider", "who sends the events: see below"},
	{"mode", "how they are signed; where a provider has one mode alone, or a usual one, it may be left out"},
	{"secretRef", "secretName and secretKey of a Secret in the Trigger's own namespace; one newline at its end is forgiven, and the log says so"},
	{"secretRefs", "a list in place of secretRef, any of which may have signed: add the new secret, change the hook at the forge, take the old one away"},
	{"eventTypes", "the events that may continue, as the forge's header names them or as extensions.git.event does; `event:action`, as in `pull_request:opened`, asks for an action too"},
	{"repositories", "the repositories, such as `example/*`"},
	{"branches", "the branches: the one that was pushed to, or a pull request's target. Tags are then refused unless tags is given, too"},
	{"tags", "the tags. Branches are then refused unless branches is given, too"},
	{"paths", "the changed files, one of which has to match. Where a delivery does not tell all of them, it passes: changedFilesComplete is false then. Most forges leave something out, and then it is always so, unless trustListedFiles is true"},
	{"trustListedFiles", "true takes the files that a push's commits list for all changed files, at forges that may leave some out: the files that a force push took away, or the former names of renamed files. What forges report says which. A push then does not pass if the one file that paths asks for was left out"},
	{"maxAge", "how old a delivery may be whose signature covers a time, such as 1m; interceptor.maxAge in the configuration is the default and the limit"},
	{"replay", "what to do with a delivery that came before in another event: off (let it pass, the default), warn (and say so in the log), enforce (refuse it). interceptor.replay.retention in the configuration says how long it is remembered. A delivery that is sent again at the forge by hand is one"},
	{"allowInsecure", "true lets deliveries without a signature pass, with `verified: none`; those that have one must be right if a secret is named. Whoever reaches the EventListener starts pipelines then"},
	{"trustUnsignedBody", "true offers cloneURL and sshURL although the signature does not cover the body; whoever has seen a delivery can then have other sources built"},
}

// GenericParams are those that only the provider generic takes.
var GenericParams = []Param{
	{"header", "the header with the signature or token; Authorization where basic"},
	{"query", "the parameter of the hook's URL with the token, in place of header: the last resort, since URLs are logged all over"},
	{"algorithm", "sha256 (the default), sha1 or sha512"},
	{"encoding", "hex (the default) or base64"},
	{"prefix", "what stands before the signature or token, such as `sha256=` or `Bearer `"},
	{"template", "what is signed: text with `{body}` (the default, alone), `{timestamp}`, `{secret}` and `{header:NAME}`"},
	{"timestampHeader",
		"the header with the time, in seconds or milliseconds since 1970, that {timestamp} in template means; maxAge is about it"},
	{"eventHeader", "the header that names the event"},
	{"deliveryHeader", "the header with the delivery's id"},
	{"payload", "a provider whose payloads the sender's look like, so that branches and the like are known"},
}
