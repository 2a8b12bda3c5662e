package diagnosis_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/diagnosis"
)

// TestMask holds that no form of a credential is left in a text, and that texts which only look
// like one stay readable.
func TestMask(t *testing.T) {
	const secret = "hunter2hunter2x9"
	for _, text := range []string{
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
		"eyJhbGciOiJSUzI1NiIs." + secret + "." + secret,
	} {
		if got := diagnosis.Mask(text); strings.Contains(got, "hunter2") {
			t.Errorf("Mask(%q) = %q", text, got)
		}
	}
	for _, text := range []string{
		"failed to fetch anonymous token: unexpected status from GET request to https://x.test/token: 401 Unauthorized",
		`secret "tokens" not found`,
		"GET https://x.test/v2/team/tool/manifests/1.0: UNAUTHORIZED: authentication required",
		"Failed to pull image \"x.test/a@sha256:" + strings.Repeat("1", 64) + "\"",
		"the feature flag set-security-context",
		"repository does not exist or may require authorization: authorization failed: no basic auth credentials",
		"refuses the push of x.test/team/wrong-password:v1: it is wrong",
	} {
		if got := diagnosis.Mask(text); got != text {
			t.Errorf("Mask(%q) = %q, want it unchanged", text, got)
		}
	}
}
