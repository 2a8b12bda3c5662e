package interceptor_test

import (
	"encoding/json"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
)

// filtered sends a signed delivery to a Trigger with filters. It returns why the
// delivery does not continue, or "".
func filtered(t *testing.T, provider, event, payload string, params map[string]any) string {
	t.Helper()
	got, message := extensions(t, provider, event, payload, params)
	if (got.Verified != "") != (message == "") {
		t.Fatalf("got %+v and message %q", got, message)
	}
	return message
}

func pushTo(ref, files string) string {
	return `{"ref":"` + ref + `","forced":false,"before":"` + sha2 + `","after":"` + sha +
		`","repository":{"full_name":"example/app"},"commits":[{"added":[` + files + `],"removed":[],"modified":[]}]}`
}

func TestFilters(t *testing.T) {
	list := func(s ...string) []string { return s }
	const pullRequest = `{"action":"opened","repository":{"full_name":"example/app"},"pull_request":{"number":1,"head":{"ref":"f"},"base":{"ref":"release/1"}}}`
	main := pushTo("refs/heads/main", `"cmd/main.go","docs/a/b.md"`)
	tag := pushTo("refs/tags/v1.2", "")
	created := strings.Replace(main, sha2, zeros, 1)
	deleted := strings.Replace(main, `"after":"`+sha, `"after":"`+zeros, 1)
	tests := []struct {
		name, event, payload string
		params               map[string]any
		want                 string // part of the refusal; "" passes
	}{
		{"event", "push", main, map[string]any{"eventTypes": list("push")}, ""},
		{"another event", "push", main, map[string]any{"eventTypes": list("pull_request")}, `the event is "push"`},
		{"event as a pattern", "push", main, map[string]any{"eventTypes": list("pu*")}, ""},
		{"event with its action", "push", main, map[string]any{"eventTypes": list("push:updated")}, ""},
		{"event with another action", "push", main, map[string]any{"eventTypes": list("push:created")},
			`the event is "push:updated"`},
		{"pull request's action", "pull_request", pullRequest,
			map[string]any{"eventTypes": list("push", "pull_request:{opened,synchronize}")}, ""},
		{"exception for an action", "pull_request", pullRequest,
			map[string]any{"eventTypes": list("*", "!pull_request:opened")}, `"pull_request:opened"`},
		{"exception that does not fit", "pull_request", pullRequest,
			map[string]any{"eventTypes": list("*", "!pull_request:closed")}, ""},
		{"branch", "push", main, map[string]any{"branches": list("main")}, ""},
		{"another branch", "push", main, map[string]any{"branches": list("release/*")},
			`the branch is "main", and param branches`},
		{"branch with a slash", "push", pushTo("refs/heads/release/1", ""),
			map[string]any{"branches": list("release/*")}, ""},
		{"star and two slashes", "push", pushTo("refs/heads/release/1/x", ""),
			map[string]any{"branches": list("release/*")}, "the branch is"},
		{"two stars and two slashes", "push", pushTo("refs/heads/release/1/x", ""),
			map[string]any{"branches": list("release/**")}, ""},
		{"exception", "push", main, map[string]any{"branches": list("**", "!main")}, "the branch is"},
		{"exception from an exception", "push", main, map[string]any{"branches": list("**", "!ma*", "main")}, ""},
		{"pull request's target", "pull_request", pullRequest, map[string]any{"branches": list("release/*")}, ""},
		{"pull request's source", "pull_request", pullRequest, map[string]any{"branches": list("f")},
			`the branch is "release/1"`},
		{"tag where branches are wanted", "push", tag, map[string]any{"branches": list("**")},
			`the tag is "v1.2", and param tags`},
		{"tag", "push", tag, map[string]any{"tags": list("v*")}, ""},
		{"another tag", "push", tag, map[string]any{"tags": list("w*")}, "the tag is"},
		{"branch where tags are wanted", "push", main, map[string]any{"tags": list("**")},
			`the branch is "main", and param branches`},
		{"tag where both are wanted", "push", tag, map[string]any{"tags": list("v*"), "branches": list("main")}, ""},
		{"branch where both are wanted", "push", main, map[string]any{"tags": list("v*"), "branches": list("main")},
			""},
		{"event without a branch", "issues", `{"action":"opened"}`, map[string]any{"branches": list("**")},
			"the branch has no name"},
		{"repository", "push", main, map[string]any{"repositories": list("example/*")}, ""},
		{"another repository", "push", main, map[string]any{"repositories": list("other/*")},
			`the repository is "example/app"`},
		{"no repository", "push", `{}`, map[string]any{"repositories": list("**")}, "the repository has no name"},
		{"path", "push", main, map[string]any{"paths": list("docs/**")}, ""},
		{"no path", "push", main, map[string]any{"paths": list("src/**")},
			"none of the 2 changed files matches param paths"},
		{"paths but for some", "push", main, map[string]any{"paths": list("**", "!docs/**", "!cmd/**")},
			"none of the 2"},
		{"one path left", "push", main, map[string]any{"paths": list("**", "!docs/**")}, ""},
		{"paths not all told", "push", created, map[string]any{"paths": list("src/**")}, ""},
		{"paths of a pull request", "pull_request", pullRequest, map[string]any{"paths": list("src/**")}, ""},
		{"deletion", "push", deleted, nil, `the branch "main" was deleted`},
		{"deletion among events", "push", deleted, map[string]any{"eventTypes": list("push")},
			`name "push:deleted" in param eventTypes`},
		{"deletion that is wanted", "push", deleted, map[string]any{"eventTypes": list("push:deleted")}, ""},
		{"deletion that is wanted, too", "push", deleted, map[string]any{"eventTypes": list("push", "*:deleted")}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := filtered(t, "github", tt.event, tt.payload, tt.params)
			if (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

// TestFiltersOfSeveralChanges pushes two branches and a tag at once, as Bitbucket
// tells it.
func TestFiltersOfSeveralChanges(t *testing.T) {
	change := func(kind, name string) string {
		return `{"new":{"type":"` + kind + `","name":"` + name + `","target":{"hash":"` + sha + `"}},"old":null}`
	}
	payload := `{"push":{"changes":[` + change("branch", "a") + `,` + change("branch", "b") + `,` +
		change("tag", "v1") + `]}}`
	for pattern, want := range map[string]string{"a": "refs/heads/a", "b": "refs/heads/b", "*": "refs/heads/a"} {
		got, message := extensions(t, "bitbucket", "repo:push", payload, map[string]any{"branches": []string{pattern}})
		if got.Ref != want {
			t.Errorf("branches %s: got %q, %s", pattern, got.Ref, message)
		}
	}
	if got, _ := extensions(t, "bitbucket", "repo:push", payload,
		map[string]any{"tags": []string{"v*"}}); got.Tag != "v1" {
		t.Errorf("tags: got %+v", got)
	}
	if got := filtered(t, "bitbucket", "repo:push", payload,
		map[string]any{"branches": []string{"c"}}); !strings.Contains(got, `the branch is "a"`) {
		t.Errorf("no change fits: got %q", got)
	}
}

// TestEventTypesAreSpeltAnyWay takes what people copy from headers.
func TestEventTypesAreSpeltAnyWay(t *testing.T) {
	for _, name := range []string{"Push Hook", "push_hooks", "push"} {
		if got := filtered(t, "gitee", "push", pushTo("refs/heads/main", ""),
			map[string]any{"eventTypes": []string{name}}); got != "" {
			t.Errorf("%s: %s", name, got)
		}
	}
	if got := filtered(t, "gitee", "push", pushTo("refs/heads/main", ""),
		map[string]any{"eventTypes": []string{"!Push Hook", "**", "!Tag Push Hook"}}); got != "" {
		t.Error(got)
	}
}

func TestParamsRefused(t *testing.T) {
	many := make([]string, 101)
	for i := range many {
		many[i] = "a"
	}
	generic := func(more map[string]any) map[string]any {
		p := map[string]any{"provider": "generic", "mode": "hmac", "header": "X-Sig"}
		for k, v := range more {
			p[k] = v
		}
		return p
	}
	ref := map[string]any{"secretName": "hook", "secretKey": "token"}
	tests := []struct {
		name   string
		params map[string]any
		want   string
	}{
		{"empty list", map[string]any{"provider": "github", "branches": []string{}}, "param branches is an empty list"},
		{"empty pattern", map[string]any{"provider": "github", "tags": []string{""}}, "param tags holds \"\""},
		{"no pattern", map[string]any{"provider": "github", "paths": []string{"a["}}, "is no pattern"},
		{"open brace", map[string]any{"provider": "github", "paths": []string{"a{b"}}, "is no pattern"},
		{"too many braces", map[string]any{"provider": "github", "paths": []string{strings.Repeat("{a,b}", 9)}},
			"is no pattern"},
		{"exceptions alone", map[string]any{"provider": "github", "branches": []string{"!main"}},
			"nothing but exceptions"},
		{"too many patterns", map[string]any{"provider": "github", "branches": many}, "101 patterns"},
		{"pattern too long", map[string]any{"provider": "github", "branches": []string{strings.Repeat("a", 257)}},
			"1 to 256 bytes"},
		{"both refs", map[string]any{"provider": "github", "secretRefs": []any{ref}}, "both given"},
		{"no list", map[string]any{"provider": "github", "branches": "main"}, "reading the params"},
		{"replay misspelt", map[string]any{"provider": "github", "replay": "on"}, "one of off, warn, enforce"},
		{"maxAge without a time", map[string]any{"provider": "github", "maxAge": "1h"}, "holds no time: remove it"},
		{"no mode for gitlab", map[string]any{"provider": "gitlab"}, "one of token, signing-token"},
		{"no mode for gitcode", map[string]any{"provider": "gitcode"}, "one of sign, token"},
		{"forgejo", map[string]any{"provider": "forgejo"}, "set it to gitea"},
		{"codeup", map[string]any{"provider": "Codeup"}, "set it to generic"},
		{"header for github", map[string]any{"provider": "github", "header": "X"},
			"param header means nothing to provider github"},
		{"no header", map[string]any{"provider": "generic", "mode": "hmac"}, "param header is missing"},
		{"header and query", map[string]any{"provider": "generic", "mode": "token", "header": "X", "query": "y"},
			"and not both"},
		{"query where signed", generic(map[string]any{"query": "y"}), "param query means nothing"},
		{"header that is none", map[string]any{"provider": "generic", "mode": "token", "header": "X Y"},
			"no header's name"},
		{"algorithm", generic(map[string]any{"algorithm": "md5"}), "one of sha1, sha256, sha512"},
		{"encoding", generic(map[string]any{"encoding": "base32"}), "hex or base64"},
		{"template without anything", generic(map[string]any{"template": "x"}), "put {body} into it"},
		{"template with the secret alone", generic(map[string]any{"template": "{secret}"}), "put {body} into it"},
		{"template with an unknown word", generic(map[string]any{"template": "{boby}"}), "known are {body}"},
		{"template with a header that has no name", generic(map[string]any{"template": "{header:}{body}"}),
			"known are {body}"},
		{"time without a header", generic(map[string]any{"template": "{timestamp}{body}"}), "go together"},
		{"time that is not signed", generic(map[string]any{"timestampHeader": "X-Time"}), "go together"},
		{"payload misspelt", generic(map[string]any{"payload": "gitlib"}), `did you mean "gitlab"?`},
		{"payload of nobody", generic(map[string]any{"payload": "zzzzzz"}), "one of gitee, github"},
		{"params too long", map[string]any{"provider": strings.Repeat("x", 70000)}, "take more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := vector{params: tt.params, secret: secret, body: vectorBody}
			got := v.send(t)
			if got.Continue || got.Status.Code != codes.InvalidArgument ||
				!strings.Contains(got.Status.Message, tt.want) {
				t.Errorf("got %+v, want %q", got, tt.want)
			}
		})
	}
	nine := make([]any, 9)
	for i := range nine {
		nine[i] = ref
	}
	req := githubRequest(noParam("secretRef"), param("secretRefs", nine))
	if got := send(t, newHandler(signedAt), req); !strings.Contains(got.Status.Message, "8 at most") {
		t.Errorf("nine Secrets: got %+v", got)
	}
}

// TestParamsAreRemembered sends the same params many times and different ones
// between: what is remembered must be those of the very same bytes.
func TestParamsAreRemembered(t *testing.T) {
	h := newHandler(signedAt)
	for i := range 3000 {
		want := i%3 == 0
		req := githubRequest(param("branches", []string{"b" + strings.Repeat("x", i%1500)}))
		if want {
			req = githubRequest()
		}
		raw, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		if got := sendRaw(t, h, raw); got.Continue != want {
			t.Fatalf("%d: got %+v", i, got)
		}
	}
}
