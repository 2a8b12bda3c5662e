package image_test

import (
	"testing"

	"github.com/tekgate/tekgate/internal/image"
)

// references are of every sort that stands in a release or beside it.
var references = []string{
	controller, controller + "@" + digest, oldNop, oldNop + "@" + digest, shell,
	"asia.gcr.io/tekton-releases/github.com/tektoncd/triggers/cmd/eventlistenersink:v0.16.1",
	"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/webhook:v0.44.5@" + digest,
	"ghcr.io/tektoncd/chains/github.com/tektoncd/chains/cmd/controller:v0.27.1",
	"ghcr.io/tektoncd/triggers/eventlistenersink-7ad1faa98cddbcb0c24990303b220bb8:v0.37.0",
	"mcr.microsoft.com/powershell:nanoserver@" + digest, "gcr.io/distroless/base@" + digest,
	"gcr.io/google.com/cloudsdktool/cloud-sdk@" + digest, "busybox", "alpine:3",
	"tektondev/pipeline-controller:v0.27.3",
	"index.docker.io/library/alpine:3@" + digest, "localhost:5000/a/b", "r.example.com:5000/a/b/c:t@" + digest,
	"m.daocloud.io/ghcr.io/a/b:c", "ghcr.m.daocloud.io/a/b:c", "registry.example.com/t/pipeline-nop:v1",
	"quay.io/gcr.io/x", "foo.mirror.io/x",
}

// mirrors are all presets and all layouts, under every digest policy.
func mirrors() map[string]image.Mirror {
	all := map[string]image.Mirror{
		"rules": {Rules: []image.Rule{
			{
				Match: "ghcr.io/**",
				To:    []string{"a.io/{component}/{binary}:{tag}", "{host}.mirror.io/{path}", "docker.io/me/{dotted}"},
			},
			{Match: "**", To: []string{"b.io/{digest}/{name}:{digest}", "b.io/{host}/{name}"}},
		}, Keep: []string{"quay.io/**"}},
		"images": {Registry: "registry.example.com/t", Images: map[string]string{
			"cgr.dev/chainguard/busybox": "registry.example.com/other/sh:1", "busybox": "busybox:1.36.1",
			oldNop: "a.io/nop", "alpine:3": "registry.example.com/t/alpine",
		}},
	}
	for _, policy := range []string{"", image.DigestKeep, image.DigestDrop, image.DigestRelock, image.DigestPublished} {
		for _, p := range image.Presets {
			all["preset "+p.Name+" "+policy] = image.Mirror{Preset: p.Name, Digest: policy}
		}
		for _, l := range image.Layouts {
			for _, registry := range []string{"registry.example.com/t", "localhost:5000", "docker.io/me"} {
				all["layout "+l.Name+" "+registry+" "+policy] = image.Mirror{
					Registry: registry,
					Layout:   l.Name,
					Digest:   policy,
				}
			}
		}
	}
	return all
}

// Wherever a mirror may have an image, rewriting that again changes nothing;
// and what was chosen is what Rewrite says.
func TestRewritingTwiceChangesNothing(t *testing.T) {
	for name, m := range mirrors() {
		rules, err := m.Compile()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, s := range references {
			checkStable(t, rules, name, parse(t, s))
		}
	}
}

// The same holds beside each mirror that there may have been before.
func TestRewritingTwiceChangesNothingBesideFormerMirrors(t *testing.T) {
	all := mirrors()
	for name, m := range all {
		for formerName, former := range all {
			if m.Digest+former.Digest != "" || m.Registry == "localhost:5000" || former.Registry == "localhost:5000" {
				continue
			}
			m.Former = []image.Mirror{former}
			rules := compile(t, m)
			for _, s := range references {
				checkStable(t, rules, name+", formerly "+formerName, parse(t, s))
			}
		}
	}
}

func checkStable(t *testing.T, rules *image.Rules, name string, ref image.Reference) {
	t.Helper()
	candidates, err := rules.Candidates(ref)
	if err != nil {
		return
	}
	first, err := rules.Rewrite(ref)
	if err != nil || first != candidates[0] {
		t.Errorf(
			"%s: %s: Rewrite says %v and error %v, the first candidate is %v",
			name,
			ref,
			first.To,
			err,
			candidates[0].To,
		)
	}
	for _, c := range candidates {
		again, err := rules.Rewrite(c.To)
		if err != nil || again.To != c.To || again.Rule != "" {
			t.Errorf("%s: %s becomes %s, and that %s by %q (error %v)", name, ref, c.To, again.To, again.Rule, err)
		}
		if c.From != ref || c.DigestDropped != (ref.Digest != "" && c.To.Digest == "") {
			t.Errorf("%s: %s: %+v contradicts itself", name, ref, c)
		}
		if written, err := image.Parse(c.To.String()); err != nil || written != c.To {
			t.Errorf("%s: %s becomes %s, which reads as %v (error %v)", name, ref, c.To, written, err)
		}
		chosen := rules.Choose(c)
		if got, err := chosen.Rewrite(ref); err != nil || got != c {
			t.Errorf("%s: %s: chosen %v, rewritten to %v (error %v)", name, ref, c.To, got.To, err)
		}
	}
}

// FuzzRewrite tries the same with rules that nobody thought of.
func FuzzRewrite(f *testing.F) {
	for _, s := range references {
		f.Add(s, "**", "a.io/{host}/{path}", "cgr.dev/chainguard/busybox", "a.io/sh:1", "")
		f.Add(s, "**", "a.io/{host}/{path}", controller, "a.io/c", image.DigestPublished)
	}
	f.Fuzz(func(t *testing.T, s, match, to, key, value, policy string) {
		ref, err := image.Parse(s)
		if err != nil {
			return
		}
		if written, err := image.Parse(ref.String()); err != nil || written != ref {
			t.Errorf("%q is %+v, which reads as %+v (error %v)", s, ref, written, err)
		}
		m := image.Mirror{Digest: policy, Rules: []image.Rule{{Match: match, To: []string{to, "{host}/mirror/{path}"}}}}
		if key != "" {
			m.Images = map[string]string{key: value}
		}
		rules, err := m.Compile()
		if err != nil {
			return
		}
		checkStable(t, rules, "fuzzed", ref)
		checkStable(t, rules.WithPublished(lookup), "fuzzed, published", ref)
		rules.Explain(ref)
	})
}
