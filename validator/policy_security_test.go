package validator_test

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/validator"
)

// TestPolicyOfImagesAndSecurity says what the lists and limits of these groups take,
// and with which paths they complain.
func TestPolicyOfImagesAndSecurity(t *testing.T) {
	for _, c := range []struct{ config, want string }{
		{"images: {allowed: [registry.example.com/**], reachable: [docker.io]}", ""},
		{"images: {allowed: [registry.example.com]}", "policy.images.allowed[0]: pattern"},
		{"images: {reachable: [registry.example.com/team]}",
			"policy.images.reachable[0]: \"registry.example.com/team\" is not a host"},
		{"security: {pods: {hostPaths: ['[']}}", "policy.security.pods.hostPaths[0]"},
		{"security: {pods: {runtimeClasses: ['']}}", "policy.security.pods.runtimeClasses[0]"},
		{"security: {pods: {nodeKeys: ['[']}}", "policy.security.pods.nodeKeys[0]"},
		{"security: {accounts: {allowed: ['['], withToken: [a]}}", "policy.security.accounts.allowed[0]"},
		{"security: {sources: {kinds: [emptyDir], secrets: ['[']}}", "policy.security.sources.secrets[0]"},
		{"security: {limits: {timeout: 2h, retries: 0, combinations: 1, required: [memory]}}", ""},
		{"security: {limits: {timeout: -1s}}", "policy.security.limits.timeout: a time cannot be negative"},
		{"security: {limits: {retries: -1}}", "policy.security.limits.retries: it cannot be negative"},
		{"security: {limits: {combinations: -1}}", "policy.security.limits.combinations: it cannot be negative"},
		{"security: {builds: {destinations: [a]}}", "policy.security.builds.destinations[0]: pattern"},
		{"security: {builds: {platforms: ['[']}}", "policy.security.builds.platforms[0]"},
	} {
		config := validator.Default()
		if err := strict.UnmarshalYAML([]byte("policy: {"+c.config+"}"), &config); err != nil {
			t.Errorf("%s: %v", c.config, err)
			continue
		}
		got := ""
		if err := config.Validate(); err != nil {
			got = err.Error()
		}
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.config, got, c.want)
		}
	}
}
