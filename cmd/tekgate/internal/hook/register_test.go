package hook

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/forge"
	"github.com/tekgate/tekgate/internal/forge/forgetest"
)

func TestRegisterRefuses(t *testing.T) {
	s := forgetest.New(t, forge.Gitea)
	token, ca := write(t, "token", forgetest.Token), write(t, "ca.pem", string(s.CA()))
	good := map[string]string{
		"--provider": "gitea", "--api-url": s.URL, "--ca-file": ca, "--token-file": token, "--secret": "hook/token",
		"--url": "https://hooks.example.com/app?token=hunter2", "--kubeconfig": "/nonexistent",
	}
	t.Setenv("EMPTY_TOKEN", "")
	for _, tt := range []struct {
		name, want string
		change     map[string]string // "" leaves a flag out
	}{
		{"no URL", "--url is missing", map[string]string{"--url": ""}},
		{"a URL with a user", "without a user", map[string]string{"--url": "https://me:hunter2@example.com"}},
		{"no token", "write:repository", map[string]string{"--token-file": ""}},
		{"two tokens", "with one of", map[string]string{"--token-env": "X"}},
		{"an empty variable", "no variable EMPTY_TOKEN", map[string]string{"--token-file": "", "--token-env": "EMPTY_TOKEN"}},
		{"a token without a key", "NAME/KEY", map[string]string{"--token-file": "", "--token-secret": "hunter2"}},
		{"no Secret", "pass --trigger", map[string]string{"--secret": ""}},
		{"Secret and Trigger", "leave out --trigger", map[string]string{"--trigger": "app"}},
		{"rotation without a Trigger", "name it with --trigger", map[string]string{"--rotate": "true"}},
		{"removal without rotation", "is for --rotate", map[string]string{"--remove-old-after": "1m"}},
		{"a negative time", "must not be negative", map[string]string{"--wait": "-1s"}},
		{"a status token at rotation", "not for --rotate",
			map[string]string{"--secret": "", "--trigger": "app", "--rotate": "true", "--status-token-file": token}},
		{"a status Secret alone", "without --status-token-file", map[string]string{"--status-secret": "x"}},
		{"a status Secret without a name", "with --status-secret", map[string]string{"--status-token-file": token}},
		{"a test by nobody", "say auto", map[string]string{"--test": "me"}},
		{"an unknown forge", `did you mean "gitee"?`, map[string]string{"--provider": "gitae"}},
		{"an unknown mode", `set it to one of sha256`, map[string]string{"--mode": "sign"}},
		{"an unknown event", "has no event", map[string]string{"--events": "pushes"}},
		{"an unknown output", "is not known", map[string]string{"-o": "table"}},
		{"plain HTTP", "--plain-http", map[string]string{"--api-url": "http://git.example.com"}},
		{"an unknown name", "git.invalid does not resolve", map[string]string{"--api-url": "https://git.invalid"}},
		{"an untrusted certificate", "is not trusted", map[string]string{"--ca-file": ""}},
		{"a wrong token", "does not accept the token", map[string]string{"--token-file": write(t, "t", "tok-hunter9")}},
		{"no cluster", "no such file", map[string]string{}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := []string{"register", forgetest.Path}
			for flag, value := range good {
				if _, changed := tt.change[flag]; !changed {
					args = append(args, flag+"="+value)
				}
			}
			for flag, value := range tt.change {
				if value != "" {
					args = append(args, flag, value)
				}
			}
			for i, arg := range args { // booleans take no word of their own
				if arg == "true" {
					args = append(args[:i], args[i+1:]...)
					break
				}
			}
			_, _, err := hookTool(t, args...)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
			if len(s.Hooks()) != 0 {
				t.Errorf("the forge has %+v", s.Hooks())
			}
		})
	}
}

func TestTriggerEvents(t *testing.T) {
	for _, tt := range []struct{ provider, types, want string }{
		{"gitee", "Push Hook,Merge Request Hook:open,tag_push", "push merge_request tag_push"},
		{"github", "push,pull_request:opened,!issues,pull_*", "push pull_request"},
		{"bitbucket", "repo:push,pullrequest:created", "repo:push pullrequest:created"},
		{"github", "", ""},
	} {
		params := map[string]any{"provider": tt.provider}
		var list []any
		for event := range strings.SplitSeq(tt.types, ",") {
			list = append(list, event)
		}
		params["eventTypes"] = list
		if got := strings.Join(triggerEvents(params), " "); got != tt.want {
			t.Errorf("%s of %s: got %q, want %q", tt.types, tt.provider, got, tt.want)
		}
	}
}

// TestRegisterHasNoSecretFlags holds that no flag of these commands takes a secret itself.
func TestRegisterHasNoSecretFlags(t *testing.T) {
	for _, verb := range []string{"register", "unregister", "status"} {
		for _, flag := range []string{"--token=x", "--password=x", "--secret-token=x", "--access-token=x"} {
			if _, _, err := hookTool(t, verb, forgetest.Path, flag); err == nil ||
				!strings.Contains(err.Error(), "unknown flag") {
				t.Errorf("%s %s: error %v", verb, flag, err)
			}
		}
	}
}
