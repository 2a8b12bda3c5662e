package image_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
)

const (
	digest     = "sha256:19f02276bf8dbdd62f069b922f10c65262cc34b710eea26ff928129a736be791"
	controller = "ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0"
	oldNop     = "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.3"
	shell      = "cgr.dev/chainguard/busybox@" + digest
)

func parse(t *testing.T, s string) image.Reference {
	t.Helper()
	ref, err := image.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func TestParse(t *testing.T) {
	tests := []struct{ in, want string }{
		{"busybox", "docker.io/library/busybox"},
		{"tektondev/pipeline-controller:v0.27.3", "docker.io/tektondev/pipeline-controller:v0.27.3"},
		{"index.docker.io/library/alpine:3", "docker.io/library/alpine:3"},
		{"localhost:5000/a", "localhost:5000/a"},
		{"r.example.com:5000/a/b:t@" + digest, "r.example.com:5000/a/b:t@" + digest},
		{shell, shell},
		{"my_registry.local/a/b:1", "my_registry.local/a/b:1"},
		{"my_registry/a", "docker.io/my_registry/a"},
	}
	for _, tt := range tests {
		if ref := parse(t, tt.in); ref.Host == "" || ref.Path == "" {
			t.Errorf("Parse(%q) = %+v, want a host and a path", tt.in, ref)
		}
		if got := parse(t, tt.in).String(); got != tt.want {
			t.Errorf("Parse(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
	for _, bad := range []string{"", "a b", "a/UPPER", "a@sha256:12", "$(params.image)"} {
		if ref, err := image.Parse(bad); err == nil {
			t.Errorf("Parse(%q) = %v, want an error", bad, ref)
		}
	}
}

func TestTekton(t *testing.T) {
	tests := []struct{ in, want string }{
		{controller, "pipeline controller"},
		{
			"ghcr.io/tektoncd/triggers/eventlistenersink-7ad1faa98cddbcb0c24990303b220bb8:v0.37.0",
			"triggers eventlistenersink",
		},
		{oldNop, "pipeline nop"},
		{"ghcr.io/tektoncd/github.com/tektoncd/triggers/cmd/webhook:v0.16.1", "triggers webhook"},
		{"ghcr.io/tektoncd/chains/github.com/tektoncd/chains/cmd/controller:v0.27.1", "chains controller"},
		// A suffix that is no MD5 of the import path proves nothing.
		{"ghcr.io/tektoncd/pipeline/controller-00000000000000000000000000000000:v1", ""},
		{"ghcr.io/tektoncd/plumbing/static-base", ""},
		{"ghcr.io/tektoncd/pipeline/controller", ""},
		{shell, ""},
	}
	for _, tt := range tests {
		component, binary, ok := parse(t, tt.in).Tekton()
		got := ""
		if ok {
			got = component + " " + binary
		}
		if got != tt.want {
			t.Errorf("%s is %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	tests := []struct{ in, want string }{
		{oldNop, "ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop:v0.27.3"},
		{
			"asia.gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v1",
			"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop:v1",
		},
		{"gcr.io/distroless/base", "gcr.io/distroless/base"},
		{"evilgcr.io/tekton-releases/x", "evilgcr.io/tekton-releases/x"},
	}
	for _, tt := range tests {
		if got := parse(t, tt.in).Canonical().String(); got != tt.want {
			t.Errorf("Canonical(%s) = %s, want %s", tt.in, got, tt.want)
		}
	}
}

func TestRewrite(t *testing.T) {
	rules := func(r ...image.Rule) image.Mirror { return image.Mirror{Rules: r} }
	tests := []struct {
		name     string
		mirror   image.Mirror
		in, want string // want "" means that no rule applies
	}{
		{
			"registry, Tekton's",
			image.Shorthand("r.example.com/tekton"),
			controller + "@" + digest,
			"r.example.com/tekton/pipeline-controller:v1.15.0@" + digest,
		},
		{
			"registry, old name",
			image.Shorthand("r.example.com/tekton"),
			oldNop,
			"r.example.com/tekton/pipeline-nop:v0.27.3",
		},
		{"registry, others", image.Shorthand("r.example.com/tekton/"), shell, "r.example.com/tekton/busybox@" + digest},
		{
			"registry, Tekgate's own",
			image.Shorthand("r.example.com:5000/t"),
			"ghcr.io/tekgate/tekgate:v0.1.0",
			"r.example.com:5000/t/tekgate:v0.1.0",
		},
		{
			"registry, already there",
			image.Shorthand("r.example.com/tekton"),
			"r.example.com/tekton/pipeline-nop:v1",
			"r.example.com/tekton/pipeline-nop:v1",
		},
		{"registry without a path", image.Shorthand("localhost:5000"), oldNop, "localhost:5000/pipeline-nop:v0.27.3"},
		{
			"daocloud",
			image.Shorthand("daocloud"),
			controller + "@" + digest,
			"m.daocloud.io/" + controller + "@" + digest,
		},
		{
			"daocloud is asked for what lives",
			image.Shorthand("daocloud"),
			oldNop,
			"m.daocloud.io/ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop:v0.27.3",
		},
		{
			"daocloud has no cgr.dev",
			image.Shorthand("daocloud"),
			shell,
			"m.daocloud.io/gcr.io/distroless/static-debian12:debug-nonroot",
		},
		{"daocloud twice", image.Shorthand("daocloud"), "m.daocloud.io/ghcr.io/a/b:c", "m.daocloud.io/ghcr.io/a/b:c"},
		{"daocloud, Docker Hub", image.Shorthand("daocloud"), "alpine:3", "m.daocloud.io/docker.io/library/alpine:3"},
		{"upstream", image.Shorthand("upstream"), controller, controller},
		{
			"first match wins",
			rules(
				image.Rule{Match: "ghcr.io/**", To: []string{"a.io/{path}"}},
				image.Rule{Match: "**", To: []string{"b.io/{path}"}},
			),
			"ghcr.io/x/y:1",
			"a.io/x/y:1",
		},
		{
			"rules before the preset",
			image.Mirror{
				Preset: "daocloud",
				Rules:  []image.Rule{{Match: "cgr.dev/chainguard/busybox", To: []string{"r.io/sh:1"}}},
			},
			shell,
			"r.io/sh:1",
		},
		{
			"one star is one element",
			rules(image.Rule{Match: "ghcr.io/*", To: []string{"a.io/{path}"}}),
			"ghcr.io/x/y:1",
			"",
		},
		{"no rule", rules(image.Rule{Match: "ghcr.io/**", To: []string{"a.io/{path}"}}), shell, ""},
		{"keep", image.Mirror{Keep: []string{"quay.io/**"}}, "quay.io/a/b:1", "quay.io/a/b:1"},
		{
			"drop",
			rules(image.Rule{Match: "**", To: []string{"a.io/{name}"}, Digest: image.DigestDrop}),
			controller + "@" + digest,
			"a.io/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0",
		},
		{
			"tag placeholder keeps the digest",
			rules(image.Rule{Match: "**", To: []string{"a.io/all:{tag}"}}),
			controller + "@" + digest,
			"a.io/all:v1.15.0@" + digest,
		},
		{"no tag for {tag}", rules(image.Rule{Match: "**", To: []string{"a.io/all:{tag}"}}), shell, ""},
		{"own tag is another image", rules(image.Rule{Match: "**", To: []string{"a.io/sh:1"}}), shell, "a.io/sh:1"},
		{
			"component is Tekton's alone",
			rules(image.Rule{Match: "**", To: []string{"a.io/{component}/{binary}"}}),
			"quay.io/x/y",
			"",
		},
		{
			"host in a path",
			rules(image.Rule{Match: "**", To: []string{"{host}.mirror.io/{path}"}}),
			"quay.io/x/y:1",
			"quay.io.mirror.io/x/y:1",
		},
		{
			"host in a path, twice",
			rules(image.Rule{Match: "**", To: []string{"{host}.mirror.io/{path}"}}),
			"quay.io.mirror.io/x/y:1",
			"quay.io.mirror.io/x/y:1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			compiled, err := tt.mirror.Compile()
			if err != nil {
				t.Fatal(err)
			}
			got, err := compiled.Rewrite(parse(t, tt.in))
			if tt.want == "" {
				if err == nil || !strings.Contains(err.Error(), "mirror.rules") {
					t.Fatalf("got %v and error %v, want one that names mirror.rules", got.To, err)
				}
				return
			}
			if err != nil || got.To.String() != tt.want {
				t.Fatalf("got %v and error %v, want %s", got.To, err, tt.want)
			}
			if again, err := compiled.Rewrite(got.To); err != nil || again.To != got.To {
				t.Errorf("rewriting twice gives %v and error %v", again.To, err)
			}
			if dropped := parse(t, tt.in).Digest != "" && got.To.Digest == ""; got.DigestDropped != dropped {
				t.Errorf("DigestDropped is %v", got.DigestDropped)
			}
		})
	}
}

func TestCompileErrors(t *testing.T) {
	tests := []struct {
		name   string
		mirror image.Mirror
		want   string
	}{
		{
			"preset",
			image.Mirror{Preset: "nobody"},
			`mirror.preset: "nobody" is not known: choose one of daocloud, daocloud-hosts, tektondev, upstream`,
		},
		{
			"misspelt preset on the command line",
			image.Shorthand("daoclod"),
			`mirror "daoclod" is neither a preset (daocloud, daocloud-hosts, tektondev, upstream) nor a registry`,
		},
		{"scheme", image.Shorthand("https://r.example.com/t"), "leave out the scheme"},
		{"bad registry", image.Shorthand("r.example.com/UPPER"), "UPPER"},
		{
			"host alone matches nothing",
			image.Mirror{Rules: []image.Rule{{Match: "ghcr.io", To: []string{"a.io/{path}"}}}},
			`mirror.rules[0].match: pattern "ghcr.io" can match no image: it has to cover host and path, such as "ghcr.io/**"`,
		},
		{
			"tag in a pattern",
			image.Mirror{Rules: []image.Rule{{Match: "ghcr.io/a:1", To: []string{"a.io/{path}"}}}},
			"without tag",
		},
		{
			"placeholder",
			image.Mirror{Rules: []image.Rule{{Match: "**", To: []string{"a.io/{nam}"}}}},
			`placeholder {nam} is not known`,
		},
		{
			"open brace",
			image.Mirror{Rules: []image.Rule{{Match: "**", To: []string{"a.io/{name"}}}},
			`placeholder {name is not known`,
		},
		{"no host", image.Mirror{Rules: []image.Rule{{Match: "**", To: []string{"{name}"}}}}, "mirror's host"},
		{
			"no reference",
			image.Mirror{Rules: []image.Rule{{Match: "**", To: []string{"a.io/A {name}"}}}},
			"gives no image reference",
		},
		{"empty", image.Mirror{Rules: []image.Rule{{}}}, "mirror.rules[0].match"},
		{
			"digest",
			image.Mirror{Rules: []image.Rule{{Match: "**", To: []string{"a.io/{name}"}, Digest: "forget"}}},
			`mirror.rules[0].digest: "forget" is not known: say keep, drop, relock or published`,
		},
		{"no target", image.Mirror{Rules: []image.Rule{{Match: "**"}}}, "mirror.rules[0].to: say where the images go"},
		{"digest policy", image.Mirror{Preset: "daocloud", Digest: "hold"}, `mirror.digest: "hold" is not known`},
		{
			"layout",
			image.Mirror{Registry: "r.io/t", Layout: "flat"},
			`mirror.layout: "flat" is not known: choose one of component-binary, keep-path`,
		},
		{"layout of nothing", image.Mirror{Preset: "daocloud", Layout: "dotted"}, "there is no mirror.registry"},
		{"override", image.Mirror{Images: map[string]string{"a b": "c"}}, `mirror.images["a b"]`},
		{
			"override of an override",
			image.Mirror{Images: map[string]string{"a.io/x": "b.io/x", "b.io/x": "c.io/x"}},
			"leads to that very repository",
		},
		{
			"override of a rule's result",
			image.Mirror{Registry: "r.io/t", Images: map[string]string{"r.io/t/x": "b.io/x"}},
			`mirror.images["r.io/t/x"]: registry r.io/t leads there`,
		},
		{"keep", image.Mirror{Keep: []string{"quay.io"}}, `mirror.keep[0]`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.mirror.Compile(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

func TestPresetsCompile(t *testing.T) {
	for _, p := range image.Presets {
		if p.Doc == "" {
			t.Errorf("preset %s has no doc", p.Name)
		}
		if _, err := image.Shorthand(p.Name).Compile(); err != nil {
			t.Errorf("preset %s: %v", p.Name, err)
		}
	}
}

func TestUnused(t *testing.T) {
	rules, err := image.Mirror{Rules: []image.Rule{
		{Match: "ghcr.io/tektoncd/**", To: []string{"a.io/{name}"}},
		{Match: "ghcr.io/tekton/**", To: []string{"b.io/{name}"}},
		{Match: "docker.io/**", To: []string{"c.io/{name}"}, Optional: true},
	}}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	got := rules.Unused([]image.Reference{parse(t, controller)})
	if len(got) != 1 || got[0] != `mirror.rules[1] ("ghcr.io/tekton/**")` {
		t.Errorf("unused rules %q", got)
	}
}

func TestLayouts(t *testing.T) {
	tests := []struct{ layout, in, want string }{
		{"", controller, "r.io/t/pipeline-controller:v1.15.0"},
		{"component-binary", oldNop, "r.io/t/pipeline-nop:v0.27.3"},
		{"keep-path", controller, "r.io/t/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0"},
		{"host-path", shell, "r.io/t/cgr.dev/chainguard/busybox@" + digest},
		{"dotted", oldNop, "r.io/t/ghcr.io.tektoncd.github.com.tektoncd.pipeline.cmd.nop:v0.27.3"},
		{"last-segment", controller, "r.io/t/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0"},
	}
	for _, tt := range tests {
		rules, err := image.Mirror{Registry: "r.io/t", Layout: tt.layout}.Compile()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := rules.Rewrite(parse(t, tt.in)); err != nil || got.To.String() != tt.want {
			t.Errorf("layout %q: %s becomes %s (error %v), want %s", tt.layout, tt.in, got.To, err, tt.want)
		}
	}
}

func TestCandidates(t *testing.T) {
	list := func(done []image.Rewritten) string {
		var to []string
		for _, d := range done {
			to = append(to, d.To.String())
		}
		return strings.Join(to, " ")
	}
	tests := []struct {
		name     string
		mirror   image.Mirror
		in, want string
	}{
		{
			"fallbacks in their order",
			image.Mirror{
				Rules: []image.Rule{
					{
						Match: "ghcr.io/**",
						To:    []string{"a.io/{component}-{binary}", "b.io/{path}", "a.io/{component}-{binary}"},
					},
					{Match: "**", To: []string{"c.io/{name}"}},
				},
			},
			"ghcr.io/x/y:1",
			"b.io/x/y:1",
		},
		{"both names of an old image", image.Mirror{Registry: "r.io/t", Layout: "host-path"}, oldNop,
			"r.io/t/ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop:v0.27.3 r.io/t/" + oldNop},
		{
			"an override",
			image.Mirror{Registry: "r.io/t", Images: map[string]string{"cgr.dev/chainguard/busybox": "s.io/sh:1"}},
			shell,
			"s.io/sh:1",
		},
		{
			"the more exact override",
			image.Mirror{Registry: "r.io/t", Images: map[string]string{"a.io/x": "s.io/all", "a.io/x:2": "s.io/two"}},
			"a.io/x:2",
			"s.io/two:2",
		},
		{
			"an override without a tag",
			image.Mirror{Images: map[string]string{shell: "s.io/sh"}},
			shell,
			"s.io/sh@" + digest,
		},
		{
			"an override by the dead name",
			image.Mirror{Images: map[string]string{oldNop: "s.io/nop"}},
			strings.Replace(oldNop, "gcr.io", "eu.gcr.io", 1),
			"s.io/nop:v0.27.3",
		},
		{
			"an override by the living name",
			image.Mirror{
				Images: map[string]string{"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop": "s.io/nop"},
			},
			oldNop,
			"s.io/nop:v0.27.3",
		},
		{"kept", image.Mirror{Registry: "r.io/t", Keep: []string{"cgr.dev/**"}}, shell, shell},
		{
			"dropped, named by digest alone",
			image.Mirror{Registry: "r.io/t", Digest: image.DigestDrop},
			shell,
			"r.io/t/busybox:digest-19f02276bf8d",
		},
		{
			"a tag of the digest keeps it",
			image.Mirror{Rules: []image.Rule{{Match: "**", To: []string{"r.io/{name}:{digest}"}}}},
			shell,
			"r.io/busybox:" + strings.TrimPrefix(digest, "sha256:") + "@" + digest,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules, err := tt.mirror.Compile()
			if err != nil {
				t.Fatal(err)
			}
			got, err := rules.Candidates(parse(t, tt.in))
			if err != nil || list(got) != tt.want {
				t.Errorf("candidates %s (error %v), want %s", list(got), err, tt.want)
			}
		})
	}
}

// Relock leaves the digest open, and says so.
func TestRelock(t *testing.T) {
	rules, err := image.Mirror{Registry: "r.io/t", Digest: image.DigestRelock}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	got, err := rules.Rewrite(parse(t, controller+"@"+digest))
	if err != nil || !got.Relock || !got.DigestDropped || got.To.Digest != "" {
		t.Errorf("rewritten to %+v (error %v)", got, err)
	}
}

func TestExplain(t *testing.T) {
	rules, err := image.Mirror{
		Rules: []image.Rule{
			{Match: "quay.io/**", To: []string{"a.io/{name}"}},
			{Match: "**", To: []string{"a.io/{component}"}},
			{Match: "cgr.dev/**", To: []string{"a.io/{name}", "b.io/{name}"}},
		},
		Keep: []string{"docker.io/**"}, Images: map[string]string{"alpine": "a.io/alpine"},
	}.Compile()
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct{ in, want string }{
		{
			shell,
			"mirror.rules[0] (quay.io/** → a.io/{name}) does not match|mirror.rules[1] (** → a.io/{component}) matches, but the image has no value for one of its placeholders|mirror.rules[2] (cgr.dev/** → a.io/{name}, b.io/{name}) decides",
		},
		{"busybox", "mirror.keep[0] keeps it where it is"},
		{"alpine:3", `mirror.images["alpine"] decides, before any rule`},
		{"a.io/x", "mirror.rules[0] leads here: it is on the mirror already"},
	}
	for _, tt := range tests {
		if got := strings.Join(rules.Explain(parse(t, tt.in)), "|"); got != tt.want {
			t.Errorf("%s: %s", tt.in, got)
		}
	}
}

func TestTargetsInYAML(t *testing.T) {
	var rule image.Rule
	for in, want := range map[string]int{`{"match":"**","to":"a.io/{name}"}`: 1,
		`{"match":"**","to":["a.io/{name}","b.io/{name}"]}`: 2} {
		if err := json.Unmarshal([]byte(in), &rule); err != nil || len(rule.To) != want {
			t.Errorf("%s: %v (error %v)", in, rule.To, err)
		}
		if out, err := json.Marshal(rule); err != nil || string(out) != in {
			t.Errorf("%s is written as %s (error %v)", in, out, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"to":{"a":1}}`), &rule); err == nil ||
		!strings.Contains(err.Error(), "a string or a list of strings") {
		t.Errorf("error %v", err)
	}
}
