package image_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
)

const (
	published = "sha256:0000000000000000000000000000000000000000000000000000000000000001"
	webhook   = "ghcr.io/tektoncd/pipeline/webhook-d4749e605405422fd87700164e31b2d1:v1.15.0"
)

// lookup knows the digest of the controller and of an image that has an old name.
func lookup(ref image.Reference) (string, bool) {
	ref.Digest = ""
	ref = ref.Canonical()
	known := ref.String() == controller || strings.HasSuffix(ref.Path, "/cmd/nop")
	switch {
	case !strings.HasPrefix(ref.Repository(), "ghcr.io/tektoncd/"):
		return "", false
	case known:
		return published, true
	}
	return "", true
}

func TestPublished(t *testing.T) {
	all := image.DigestPublished
	registry := image.Mirror{Registry: "r.io/t", Digest: all}
	copies := map[string]image.Reference{"docker.io/tektondev/pipeline-controller:v1.15.0": parse(t, controller)}
	tests := []struct {
		name     string
		mirror   image.Mirror
		ref      string
		want     string // or the error
		wantRule bool
	}{
		{"registry", registry, controller, "r.io/t/pipeline-controller:v1.15.0@" + published, true},
		{"pinned alike", registry, controller + "@" + published, "r.io/t/pipeline-controller:v1.15.0@" + published,
			true},
		{"old name", registry, oldNop, "r.io/t/pipeline-nop:v0.27.3@" + published, true},
		{"another image", registry, "quay.io/a/b:1", "r.io/t/b:1", true},
		{"another pinned image", registry, shell, "r.io/t/busybox@" + digest, true},
		{"upstream", image.Mirror{Preset: "upstream", Digest: all}, controller, controller + "@" + published, false},
		{"kept", image.Mirror{Registry: "r.io/t", Digest: all, Keep: []string{"ghcr.io/**"}}, controller,
			controller + "@" + published, false},
		{"a copy", registry, "docker.io/tektondev/pipeline-controller:v1.15.0",
			"r.io/t/pipeline-controller:v1.15.0@" + published, true},
		{"a tag of the mirror's own", image.Mirror{Digest: all, Images: map[string]string{controller: "r.io/c:v1-cn"}},
			controller, "r.io/c:v1-cn@" + published, true},
		{"a rule of its own", image.Mirror{Registry: "r.io/t", Rules: []image.Rule{
			{Match: "ghcr.io/tektoncd/**", To: []string{"p.io/{name}"}, Digest: all}}}, controller,
			"p.io/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0@" + published, true},
		{"another rule", image.Mirror{Registry: "r.io/t", Rules: []image.Rule{
			{Match: "gcr.io/tekton-releases/**", To: []string{"p.io/{name}"}, Digest: all}}}, webhook,
			"r.io/t/pipeline-webhook:v1.15.0", true},
		{"not known", registry, webhook, "image " + webhook + ": `digest: published` needs the digest that Tekton", false},
		{"not known and pinned", registry, webhook + "@" + digest, "this tekgate does not have", false},
		{"not known upstream", image.Mirror{Preset: "upstream", Digest: all}, webhook, "does not have", false},
		{"pinned otherwise", registry, controller + "@" + digest,
			"the manifests pin it to " + digest + ", and Tekton published " + published, false},
		{"pinned by the rule", image.Mirror{Digest: all,
			Images: map[string]string{controller: "r.io/c@" + digest}}, controller, "pins it to " + digest, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rules := compile(t, tt.mirror).WithCopies(copies).WithPublished(lookup)
			done, err := rules.Rewrite(parse(t, tt.ref))
			var unproven *image.PublishedError
			switch {
			case err != nil:
				if !errors.As(err, &unproven) || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
			case done.To.String() != tt.want || (done.Rule != "") != tt.wantRule || done.Other || done.DigestDropped:
				t.Errorf("got %+v, want %s", done, tt.want)
			default:
				checkStable(t, rules, tt.name, done.From)
			}
		})
	}
}

// TestPublishedIsKeepWithoutTable holds what the admission server makes of the policy.
func TestPublishedIsKeepWithoutTable(t *testing.T) {
	for _, m := range []image.Mirror{{Registry: "r.io/t"}, {Preset: "daocloud"}, {Preset: "upstream"}} {
		keep, pin := m, m
		keep.Digest, pin.Digest = image.DigestKeep, image.DigestPublished
		for _, s := range references {
			want, wantErr := compile(t, keep).Rewrite(parse(t, s))
			got, err := compile(t, pin).Rewrite(parse(t, s))
			if got.To != want.To || got.Rule != want.Rule || (err == nil) != (wantErr == nil) {
				t.Errorf("%s: %+v (%v), want %+v (%v)", s, got, err, want, wantErr)
			}
		}
	}
}

// TestPublishedTwiceChangesNothing holds that a pinned reference is final.
func TestPublishedTwiceChangesNothing(t *testing.T) {
	pinned := 0
	all := mirrors()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		m := all[name]
		m.Digest = image.DigestPublished
		rules := compile(t, m).WithPublished(func(ref image.Reference) (string, bool) {
			_, tekton := lookup(ref)
			return digest, tekton
		})
		for _, s := range references {
			ref := parse(t, s)
			checkStable(t, rules, name, ref)
			if done, err := rules.Rewrite(ref); err == nil && ref.Digest == "" && done.To.Digest == digest {
				pinned++
				if done.Source().Digest != digest || done.Source().Tag != ref.Tag {
					t.Errorf("%s: %s is copied from %s", name, ref, done.Source())
				}
			}
		}
	}
	if pinned < 100 {
		t.Errorf("only %d images were pinned", pinned)
	}
}
