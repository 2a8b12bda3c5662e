package diagnosis_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/diagnosis"
)

const secret = "hunter2hunter2x9"

// secrets are the forms in which programs print credentials.
var secrets = []string{
	"clone https://bot:" + secret + "@gitee.test/x.git failed",
	"clone https://" + secret + "@gitee.test/x.git failed",
	"Authorization: Bearer " + secret,
	"authorization: Basic " + secret,
	`{"Authorization":"` + secret + `"}`,
	"> Proxy-Authorization: Basic " + secret,
	"PRIVATE-TOKEN: " + secret,
	"X-Gitlab-Token: " + secret,
	"GET /api?access_token=" + secret + "&x=1",
	"GET /v4?private_token=" + secret,
	"DB_PASSWORD=" + secret,
	`password: "` + secret + `"`,
	"password: " + secret,
	`"token": "` + secret + `"`,
	"Authorization: " + secret,
	"api_key=" + secret,
	"token: " + secret,
	`{"auths":{"x.test":{"auth":"` + secret + `"}}}`,
	"Set-Cookie: " + secret,
	"-----BEGIN OPENSSH PRIVATE KEY-----\n" + secret + "\n-----END OPENSSH PRIVATE KEY-----",
	"pushed with ghp_" + secret,
	"clone https://bot:p@" + secret + "@gitee.test/x.git failed",
	"+ curl -sf -u bot:" + secret + " https://nexus.test/x",
	"+ curl --user 'bot:" + secret + "' https://nexus.test/x",
	"+ skopeo copy --dest-creds=bot:" + secret + " docker://a docker://b",
	"+ docker login -u bot -p " + secret + " x.test",
	"+ docker login x.test -p" + secret + " -u bot",
	"+ helm registry login x.test --username bot --password " + secret,
	"+ trivy --token " + secret,
	"AWS_SECRET_ACCESS_KEY=" + secret,
	"aws_secret_access_key = " + secret,
	`{"SecretAccessKey": "` + secret + `"}`,
	"DefaultEndpointsProtocol=https;AccountName=x;AccountKey=" + secret + "==;EndpointSuffix=x",
	"+ aws configure set aws_secret_access_key " + secret,
	"+ echo " + secret + " | docker login -u bot --password-stdin x.test",
	"+ curl -X POST https://hooks.slack.com/services/T0/B0/" + secret,
	"REGISTRY_PASS=" + secret,
	"//nexus.test/:_auth=" + secret,
	"GET https://s3.test/x?X-Amz-Signature=" + secret,
	`config "{\"auths\":{\"x.test\":{\"auth\":\"` + secret + `\"}}}"`,
	`{"password":"a\"` + secret + `"}`,
	"npm_" + secret, "glrt-" + secret, "dckr_pat_" + secret, "hvs." + secret, "sha256~" + secret,
	"data: eyJhdXRocyI6" + secret,
	"eyJhbGciOiJSUzI1NiIs." + secret + "." + secret,
}

// words are texts that only look like credentials.
var words = []string{
	"Error: unauthorized: Basic authentication is not supported for SSO users",
	"x509: certificate has invalid basic constraints",
	"unauthorized: Bearer authentication required",
	"unable to retrieve auth token: invalid username/password: unauthorized: authentication required",
	"exec: /bin/sh -u failed: exit code 1",
	"the bypass: see https://x.test/a@sha256:1",
	"+ mkdir -p /workspace/source && git login",
	"registry.test/team/npm_cache-of-packages:1.0", "registry.test/team/pypi-publisher:1.0",
	"error: --token is required, and --password-stdin is not set",
	"https://x.test/v2/: bot@x.test refused",
	"failed to fetch anonymous token: unexpected status from GET request to https://x.test/token: 401 Unauthorized",
	`secret "tokens" not found`,
	"GET https://x.test/v2/team/tool/manifests/1.0: UNAUTHORIZED: authentication required",
	"Failed to pull image \"x.test/a@sha256:" + strings.Repeat("1", 64) + "\"",
	"the feature flag set-security-context",
	"repository does not exist or may require authorization: authorization failed: no basic auth credentials",
	"refuses the push of x.test/team/wrong-password:v1: it is wrong",
}

// TestMask holds that no form of a credential is left in a text, and that texts which only look
// like one stay readable.
func TestMask(t *testing.T) {
	for _, text := range secrets {
		if got := diagnosis.Mask(text); strings.Contains(got, "hunter2") {
			t.Errorf("Mask(%q) = %q", text, got)
		}
	}
	for _, key := range []string{"AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"} {
		if got := diagnosis.Mask("key " + key + " is not valid"); got != "key *** is not valid" {
			t.Errorf("Mask leaves %q", got)
		}
	}
	for _, text := range words {
		if got := diagnosis.Mask(text); got != text {
			t.Errorf("Mask(%q) = %q, want it unchanged", text, got)
		}
	}
}
