package interceptor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/internal/golden"
)

const pingStops = "a ping is verified and stopped"

const noSecretNoPass = "without a secret nothing passes unless allowInsecure says so, and the log says so then"

// parityCases are behaviours of Tekton's core interceptors. Package parity sends each
// to the real one and to ours. Where they differ, why says so, and PROVIDERS.md tells
// people: its list is written from here.
var parityCases = []struct {
	name     string
	core     string // path of the core interceptor
	req      func() *v1beta1.InterceptorRequest
	coreSays bool
	oursSays bool
	why      string // where these differ
}{
	{name: "valid signature", core: "github", req: edits(githubRequest), coreSays: true, oursSays: true},
	{name: "bad signature", core: "github", req: edits(githubRequest, body("x"))},
	{name: "no signature", core: "github", req: edits(githubRequest, noHeader("X-Hub-Signature-256"))},
	{name: "empty signature", core: "github", req: edits(githubRequest, header("X-Hub-Signature-256", ""))},
	{name: "no secret", core: "github", req: edits(githubRequest, noParam("secretRef")), coreSays: true,
		why: noSecretNoPass},
	{name: "no secret, and allowed", core: "github", req: edits(githubRequest, noParam("secretRef"),
		param("allowInsecure", true)), coreSays: true, oursSays: true},
	{name: "no secret, unsigned, and allowed", core: "github", req: edits(githubRequest, noParam("secretRef"),
		noHeader("X-Hub-Signature-256"), noHeader("X-Hub-Signature"), param("allowInsecure", true)), coreSays: true,
		oursSays: true},
	{name: "empty secretKey", core: "github", req: edits(githubRequest, secretRef("hook", ""))},
	{name: "secret that is missing", core: "github", req: edits(githubRequest, secretRef("absent", "token"))},
	{name: "key that is missing", core: "github", req: edits(githubRequest, secretRef("hook", "nokey"))},
	{name: "wanted event", core: "github", req: edits(githubRequest,
		param("eventTypes", []string{"push", "pull_request"})), coreSays: true, oursSays: true},
	{name: "another event", core: "github", req: edits(githubRequest, param("eventTypes", []string{"issues"}))},
	{name: "another event, bad signature", core: "github", req: edits(githubRequest, body("x"),
		param("eventTypes", []string{"issues"}))},
	{name: "wanted event, bad signature", core: "github", req: edits(githubRequest, body("x"),
		param("eventTypes", []string{"push"}))},
	{name: "no events at all", core: "github", req: edits(githubRequest, param("eventTypes", []string{}))},
	{name: "form", core: "github", req: edits(githubRequest,
		header("Content-Type", "application/x-www-form-urlencoded"))},
	{name: "form with a charset", core: "github", req: edits(githubRequest,
		header("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")), coreSays: true,
		why: "a form is refused however its content type is written"},
	{name: "no context", core: "github", req: edits(githubRequest,
		func(r *v1beta1.InterceptorRequest) { r.Context = nil })},
	{name: "no context, no secret", core: "github", req: edits(githubRequest, noParam("secretRef"),
		func(r *v1beta1.InterceptorRequest) { r.Context = nil }), coreSays: true,
		why: "without a Trigger's name nothing can be verified"},
	{name: "empty body, no secret, allowed", core: "github", req: edits(githubRequest, noParam("secretRef"), body(""),
		param("allowInsecure", true)), coreSays: true, oursSays: true},
	{name: "params of another type", core: "github", req: edits(githubRequest, param("eventTypes", "push"))},
	{name: "unknown param", core: "github", req: edits(githubRequest, body("x"), noParam("secretRef"),
		param("secretReff", 1)), coreSays: true,
		why: "an unknown param is an error, so a misspelt secretRef cannot pass for none"},
	{name: "header keys of any case", core: "github", req: edits(githubRequest, noHeader("X-Hub-Signature-256"),
		header("x-hub-signature-256", githubSignature)), coreSays: true, oursSays: true},
	{name: "ping", core: "github", req: edits(githubRequest, header("X-Github-Event", "ping")), coreSays: true,
		why: pingStops},
	{name: "empty secret", core: "github", req: edits(githubRequest, secretRef("hook", "empty"),
		header("X-Hub-Signature-256", "sha256=b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"),
		body("")), coreSays: true, why: "an empty secret is refused"},
	{name: "two different signatures", core: "github", req: edits(githubRequest, header("X-Hub-Signature-256",
		githubSignature, "sha256="+strings.Repeat("0", 64))), coreSays: true,
		why: "a header that comes with two values is refused"},

	{name: "gitlab, valid", core: "gitlab", req: edits(gitlabRequest), coreSays: true, oursSays: true},
	{name: "gitlab, bad token", core: "gitlab", req: edits(gitlabRequest, header("X-Gitlab-Token", "x"))},
	{name: "gitlab, no token", core: "gitlab", req: edits(gitlabRequest, noHeader("X-Gitlab-Token"))},
	{name: "gitlab, wanted event as the header has it", core: "gitlab", req: edits(gitlabRequest,
		param("eventTypes", []string{"Push Hook"})), coreSays: true, oursSays: true},
	{name: "gitlab, wanted event as extensions have it", core: "gitlab", req: edits(gitlabRequest,
		param("eventTypes", []string{"push"})), oursSays: true,
		why: "the names in eventTypes are patterns, in the header's spelling or in ours"},
	{name: "gitlab, another event", core: "gitlab", req: edits(gitlabRequest,
		param("eventTypes", []string{"Merge Request Hook"}))},
	{name: "gitlab, no secret", core: "gitlab", req: edits(gitlabRequest, noParam("secretRef")), coreSays: true,
		why: noSecretNoPass},
	{name: "gitlab, empty secretKey", core: "gitlab", req: edits(gitlabRequest, secretRef("hook", ""))},
	{name: "gitlab, token with the Secret's newline", core: "gitlab",
		req: edits(gitlabRequest, secretRef("hook", "newline")), oursSays: true,
		why: "a newline at the end of a Secret is forgiven"},

	{name: "bitbucket, valid", core: "bitbucket", req: edits(bitbucketRequest), coreSays: true, oursSays: true},
	{name: "bitbucket, bad signature", core: "bitbucket", req: edits(bitbucketRequest, body("x"))},
	{name: "bitbucket, no signature", core: "bitbucket", req: edits(bitbucketRequest, noHeader("X-Hub-Signature"))},
	{name: "bitbucket, wanted event", core: "bitbucket", req: edits(bitbucketRequest,
		param("eventTypes", []string{"repo:push"})), coreSays: true, oursSays: true},
	{name: "bitbucket, another event", core: "bitbucket", req: edits(bitbucketRequest,
		param("eventTypes", []string{"pr:opened"}))},
	{name: "bitbucket, signed with SHA-1", core: "bitbucket", req: edits(bitbucketRequest, body(vectorBody),
		header("X-Hub-Signature", "sha1="+vectorSHA1)), coreSays: true,
		why: "the algorithm is the provider's and not the sender's choice"},
}

func edits(make func(...edit) *v1beta1.InterceptorRequest, edits ...edit) func() *v1beta1.InterceptorRequest {
	return func() *v1beta1.InterceptorRequest { return make(edits...) }
}

func gitlabRequest(edits ...edit) *v1beta1.InterceptorRequest {
	return githubRequest(append([]edit{
		noHeader("X-Hub-Signature"), noHeader("X-Hub-Signature-256"), noHeader("X-Github-Event"),
		param("provider", "gitlab"), param("mode", "token"),
		header("X-Gitlab-Token", secret), header("X-Gitlab-Event", "Push Hook"),
	}, edits...)...)
}

func bitbucketRequest(edits ...edit) *v1beta1.InterceptorRequest {
	return githubRequest(append([]edit{
		noHeader("X-Hub-Signature-256"), noHeader("X-Github-Event"), param("provider", "bitbucket"),
		header("X-Hub-Signature", githubSignature), header("X-Event-Key", "repo:push"),
	}, edits...)...)
}

// TestParityReference holds what package parity sends to the cases here, and ours to
// what they say.
func TestParityReference(t *testing.T) {
	type written struct {
		Name     string                      `json:"name"`
		Core     string                      `json:"core"`
		CoreSays bool                        `json:"coreSays"`
		OursSays bool                        `json:"oursSays"`
		Request  *v1beta1.InterceptorRequest `json:"request"`
	}
	file := struct {
		Secret map[string]string `json:"secret"`
		Cases  []written         `json:"cases"`
	}{Secret: map[string]string{}}
	for key, value := range testSecrets()["ci/hook"] {
		file.Secret[key] = string(value)
	}
	for _, c := range parityCases {
		if (c.coreSays != c.oursSays) != (c.why != "") {
			t.Errorf("%s: a difference needs a reason, and a reason a difference", c.name)
		}
		got := send(t, newHandler(signedAt), c.req())
		if got.Continue != c.oursSays {
			t.Errorf("%s: ours says %+v, want continue %v", c.name, got, c.oursSays)
		}
		if !got.Continue && c.why != pingStops && got.Status.Code == codes.OK {
			t.Errorf("%s: a refusal has code %s", c.name, got.Status.Code)
		}
		file.Cases = append(file.Cases, written{c.name, c.core, c.coreSays, c.oursSays, c.req()})
	}
	text, err := json.MarshalIndent(file, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	golden.Equal(t, "parity/testdata/cases.json", append(text, '\n'))
}
