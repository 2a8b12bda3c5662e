package validator_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// TestTrustAndPatchPolicy holds what of the two policies is refused, and by which words.
func TestTrustAndPatchPolicy(t *testing.T) {
	for _, tt := range []struct{ section, want string }{
		{`trust: {resolvers: ["["]}`, `policy.trust.resolvers[0]: "[" is not a pattern`},
		{`trust: {bannedResolvers: [""]}`, `policy.trust.bannedResolvers[0]`},
		{`trust: {bundleRepositories: ["https://r.example.com/x"]}`, `policy.trust.bundleRepositories[0]`},
		{`trust: {bundleRepositories: ["r.example.com/*"]}`, `policy.trust.bundleRepositories[0]`},
		{`trust: {params: [{name: hermetic}]}`, `policy.trust.params[0]: says nothing`},
		{`trust: {freeze: {weekdays: [samstag]}}`, `policy.trust.freeze.weekdays[0]: "samstag" is not a day`},
		{`trust: {freeze: {dates: ["2026-02-30"]}}`, `policy.trust.freeze.dates[0]: "2026-02-30" is not a day`},
		{`trust: {freeze: {dates: ["2026-02-02/2026-02-01"]}}`, `ends before it begins`},
		{`trust: {freeze: {utcOffset: Europe/Berlin}}`,
			`policy.trust.freeze.utcOffset: "Europe/Berlin" is not a distance`},
		{`patches: {gitServers: [git.example.com]}`, `policy.patches.gitServers[0]: "git.example.com" is not a URL`},
		{`patches: {maxParamBytes: -1}`, `policy.patches.maxParamBytes: it cannot be negative`},
		{`trust: {resolvers: [git], freeze: {weekdays: [Saturday], dates: ["2026-12-24/2027-01-02"], utcOffset: "-03:30"}}`, ""},
		{`patches: {gitServers: ["https://git.example.com"], maxParamBytes: 7}`, ""},
	} {
		config := validator.Default()
		if err := strict.UnmarshalYAML([]byte("policy: {"+tt.section+"}"), &config); err != nil {
			t.Fatal(err)
		}
		err := config.Validate()
		if (err == nil) != (tt.want == "") || (err != nil && !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.section, err, tt.want)
		}
	}
}
