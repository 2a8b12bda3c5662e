package image_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
)

func compile(t *testing.T, m image.Mirror) *image.Rules {
	t.Helper()
	rules, err := m.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return rules
}

// present is a mirror that holds every image under a name of its own.
func present(former ...image.Mirror) image.Mirror {
	return image.Mirror{Registry: "new.example.com/hub", Layout: "host-path", Former: former}
}

// Whatever a former mirror made of an image, the present one makes of it what it makes of
// the image itself, or reports that it is not certain.
func TestFormerIsTheInverse(t *testing.T) {
	plain := compile(t, present())
	for name, m := range mirrors() {
		before := compile(t, m)
		now := compile(t, present(m))
		certain := strings.Contains(name, "host-path") || name == "preset daocloud-hosts " ||
			name == "preset daocloud-hosts keep"
		lost := strings.Contains(name, image.DigestDrop) || strings.Contains(name, image.DigestRelock)
		for _, s := range references {
			ref := parse(t, s)
			old, err := before.Rewrite(ref)
			if err != nil || old.Rule == "" || old.Other {
				continue // the mirror had nothing of it, or another image in its place
			}
			got, _, err := now.Origin(old.To)
			var unsure *image.FormerError
			if errors.As(err, &unsure) {
				if certain && !lost {
					t.Errorf("%s: %s became %s, whose origin is unknown: %v", name, ref, old.To, err)
				}
				checkLeftAlone(t, now, old.To)
				continue
			}
			want := ref.Canonical()
			if old.DigestDropped {
				want.Digest = ""
			}
			if err != nil || got.Canonical() != want {
				t.Errorf("%s: %s became %s, and that %s (error %v)", name, ref, old.To, got, err)
				continue
			}
			checkFresh(t, plain, now, old.To, got)
		}
	}
}

func checkLeftAlone(t *testing.T, now *image.Rules, ref image.Reference) {
	t.Helper()
	if done, err := now.Rewrite(ref); err == nil {
		t.Errorf("%s becomes %s, and its origin is unknown", ref, done.To)
	}
}

// checkFresh holds that a name on a former mirror becomes what its origin becomes.
func checkFresh(t *testing.T, plain, now *image.Rules, ref, origin image.Reference) {
	t.Helper()
	done, err := now.Rewrite(ref)
	fresh, freshErr := plain.Rewrite(origin)
	if err != nil || freshErr != nil || done.To != fresh.To || done.From != ref {
		t.Errorf("%s becomes %+v (error %v), and its origin %s (error %v)", ref, done, err, fresh.To, freshErr)
	}
}

func TestOrigin(t *testing.T) {
	const unsure = "?"
	old := image.Mirror{Registry: "old.example.com:5000/hub", Layout: "host-path"}
	rules := func(rules ...image.Rule) image.Mirror { return image.Mirror{Rules: rules} }
	at := func(registry, layout string) image.Mirror { return image.Mirror{Registry: registry, Layout: layout} }
	for _, c := range []struct {
		name   string
		mirror image.Mirror
		ref    string
		want   string // "" for the image itself, ? for a FormerError
	}{
		{"with a port, a tag and a digest", present(old), "old.example.com:5000/hub/docker.io/library/golang:1@" + digest,
			"docker.io/library/golang:1@" + digest},
		{"no such host", present(old), "old.example.com:5000/hub/team/app:1", ""},
		{"another folder", present(old), "old.example.com:5000/docker.io/library/golang:1", ""},
		{"a short name of Docker Hub below the host", present(old), "old.example.com:5000/hub/docker.io/golang", unsure},
		{"on the present mirror", present(old), "new.example.com/hub/docker.io/library/golang", ""},
		{"upstream", present(old), "golang:1", ""},
		{"a mirror of a mirror", present(old, at("older.example.com", "host-path")),
			"old.example.com:5000/hub/older.example.com/docker.io/library/golang:1", "docker.io/library/golang:1"},
		{"former mirrors of a former mirror", present(image.Mirror{Registry: "a.example.com", Layout: "dotted",
			Former: []image.Mirror{old}}), "old.example.com:5000/hub/ghcr.io/a/b:1", "ghcr.io/a/b:1"},
		{"another folder of the same host", present(at("new.example.com/old", "host-path")),
			"new.example.com/old/docker.io/library/golang:1", "docker.io/library/golang:1"},
		{"the root of the same host", present(at("new.example.com", "host-path")),
			"new.example.com/docker.io/library/golang:1", "docker.io/library/golang:1"},
		{"the present one below the former", present(at("new.example.com", "host-path")),
			"new.example.com/hub/docker.io/library/golang:1", ""},
		{"the present one at the root", image.Mirror{Registry: "new.example.com", Layout: "host-path",
			Former: []image.Mirror{at("new.example.com/old", "host-path")}},
			"new.example.com/old/docker.io/library/golang:1", "docker.io/library/golang:1"},
		{"the same place, another layout", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"new.example.com/hub/{path}"}})), "new.example.com/hub/library/golang:1",
			"docker.io/library/golang:1"},
		{"nothing but names", present(at("old.example.com", "")), "old.example.com/golang:1", unsure},
		{"one image beside nothing but names", present(image.Mirror{Registry: "old.example.com",
			Images: map[string]string{"golang": "old.example.com/golang"}}), "old.example.com/golang:1",
			"docker.io/library/golang:1"},
		{"the more exact of two mirrors", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"old.example.com/{path}"}}), rules(image.Rule{Match: "quay.io/**",
			To: image.Targets{"old.example.com/hub/{path}"}})), "old.example.com/hub/a:1", "quay.io/a:1"},
		{"two mirrors that agree", present(old, old), "old.example.com:5000/hub/quay.io/a/b:1", "quay.io/a/b:1"},
		{"two mirrors that do not", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"old.example.com/hub/{path}"}}), rules(image.Rule{Match: "quay.io/**",
			To: image.Targets{"old.example.com/hub/{path}"}})), "old.example.com/hub/a/b:1", unsure},
		{"two images with one name", present(image.Mirror{Images: map[string]string{"a.io/x": "old.example.com/x",
			"b.io/x": "old.example.com/x"}}), "old.example.com/x:1", unsure},
		{"a path of one host", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"old.example.com/dh/{path}"}})), "old.example.com/dh/library/golang:1",
			"docker.io/library/golang:1"},
		{"the last element in one folder", present(rules(image.Rule{Match: "docker.io/library/*",
			To: image.Targets{"old.example.com/{name}"}})), "old.example.com/golang:1", "docker.io/library/golang:1"},
		{"a fallback", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"gone.example.com/{path}", "old.example.com/{path}"}})), "old.example.com/library/golang:1",
			"docker.io/library/golang:1"},
		{"a rule that an earlier one keeps from ever applying", present(rules(
			image.Rule{Match: "docker.io/**", To: image.Targets{"a.example.com/{path}"}},
			image.Rule{Match: "docker.io/library/*", To: image.Targets{"b.example.com/{name}"}})), "b.example.com/golang", ""},
		{"a tag of the mirror's own", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"old.example.com/{path}:house"}})), "old.example.com/library/golang:house", unsure},
		{"another tag than the mirror's own", present(rules(image.Rule{Match: "docker.io/**",
			To: image.Targets{"old.example.com/{path}:house"}})), "old.example.com/library/golang:1", ""},
		{"the mirror's own digest", present(image.Mirror{Registry: "old.example.com", Layout: "host-path",
			Digest: image.DigestRelock}), "old.example.com/docker.io/library/golang:1@" + digest, unsure},
		{"a tag that stands for a digest", present(image.Mirror{Registry: "old.example.com", Layout: "host-path",
			Digest: image.DigestDrop}), "old.example.com/docker.io/library/golang:digest-19f02276bf8d", unsure},
		{"kept by the former mirror", present(image.Mirror{Registry: "old.example.com", Layout: "host-path",
			Keep: []string{"old.example.com/ours.io/**"}}), "old.example.com/ours.io/x", ""},
		{"kept by the present mirror", image.Mirror{Registry: "new.example.com", Layout: "host-path",
			Keep: []string{"old.example.com/docker.io/ours/*"}, Former: []image.Mirror{at("old.example.com", "host-path")}},
			"old.example.com/docker.io/ours/x", ""},
		{"no mirror any more", image.Mirror{Preset: "upstream", Former: []image.Mirror{old}},
			"old.example.com:5000/hub/docker.io/library/golang:1", "docker.io/library/golang:1"},
		{"no mirror any more, and nothing but names", image.Mirror{Preset: "upstream",
			Former: []image.Mirror{at("old.example.com", "")}}, "old.example.com/golang:1", unsure},
		{"another image upstream", image.Mirror{Preset: "upstream", Former: []image.Mirror{{
			Images: map[string]string{"busybox": "busybox:1.36.1"}}}}, "busybox:1.36.1", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ref := parse(t, c.ref)
			got, source, err := compile(t, c.mirror).Origin(ref)
			var former *image.FormerError
			switch {
			case errors.As(err, &former):
				if c.want != unsure {
					t.Errorf("got the error %v, want %q", err, c.want)
				}
			case err != nil || c.want == unsure || c.want == "" && (got != ref || source != "") ||
				c.want != "" && (got.String() != c.want || source == ""):
				t.Errorf("got %s by %q and the error %v, want %q", got, source, err, c.want)
			}
		})
	}
}

func TestFormerProblems(t *testing.T) {
	_, err := image.Mirror{Former: []image.Mirror{
		{Registry: "https://old.example.com"},
		{Rules: []image.Rule{{Match: "docker.io", To: image.Targets{"a.io/{path}"}}}, Former: []image.Mirror{{}}},
	}}.Compile()
	want := "mirror.former: there is no mirror beside it: name one, or write `preset: upstream` to use the upstream registries again\n" +
		"mirror.former[0]: mirror registry \"https://old.example.com\": leave out the scheme; a registry is named by host and path, such as registry.example.com/tekton\n" +
		"mirror.former[1].rules[0].match: pattern \"docker.io\" can match no image: it has to cover host and path, such as \"docker.io/**\"\n" +
		"mirror.former[1].former[0]: it is empty: write what the section mirror was at the time"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}

func TestFormerIsExplained(t *testing.T) {
	rules := compile(t, present(image.Mirror{Registry: "old.example.com", Layout: "host-path"},
		image.Mirror{Registry: "names.example.com"}))
	for ref, want := range map[string]string{
		"old.example.com/docker.io/library/golang:1": "mirror.former[0] led here: the image is docker.io/library/golang:1 upstream\n" +
			"registry new.example.com/hub (** → new.example.com/hub/{host}/{path}) decides",
		"names.example.com/golang:1": "it is on a former mirror (mirror.former[1]), and its upstream name is not certain: write the upstream name in its place, or add it to mirror.former[1].images",
	} {
		if got := strings.Join(rules.Explain(parse(t, ref)), "\n"); got != want {
			t.Errorf("%s: got\n%s\nwant\n%s", ref, got, want)
		}
	}
	plain := compile(t, present())
	if string(plain.Fingerprint()) == string(rules.Fingerprint()) {
		t.Error("the fingerprint does not change with the former mirrors")
	}
}

// FuzzFormer tries it with rules that nobody thought of.
func FuzzFormer(f *testing.F) {
	for _, s := range references {
		f.Add(s, "**", "a.io/{host}/{path}", "docker.io/**", "b.io/x/{path}", "")
		f.Add(s, "**", "a.io/old/{path}", "**", "a.io/{host}/{path}", image.DigestDrop)
	}
	f.Fuzz(func(t *testing.T, s, formerMatch, formerTo, match, to, policy string) {
		ref, err := image.Parse(s)
		if err != nil {
			return
		}
		rules := []image.Rule{{Match: formerMatch, To: []string{formerTo, "{host}/mirror/{path}"}, Digest: policy}}
		m := image.Mirror{Rules: []image.Rule{{Match: match, To: []string{to}}}, Former: []image.Mirror{{Rules: rules}}}
		now, err := m.Compile()
		if err != nil {
			return
		}
		checkStable(t, now, "fuzzed", ref)
		now.Explain(ref)
		checkInverse(t, compile(t, image.Mirror{Rules: rules}), now, ref)
	})
}

// checkInverse holds that the name that a former mirror gave an image leads back to that
// image, or nowhere.
func checkInverse(t *testing.T, before, now *image.Rules, ref image.Reference) {
	t.Helper()
	old, err := before.Rewrite(ref)
	if err != nil || old.Rule == "" || old.Other {
		return
	}
	origin, source, err := now.Origin(old.To)
	if err != nil || source == "" {
		return // it is not certain, or is the present mirror's
	}
	want, _, err := now.Origin(ref.Canonical()) // its own name may be one on a mirror
	if old.DigestDropped {
		want.Digest = ""
	}
	if err == nil && origin.Canonical() != want.Canonical() {
		t.Errorf("%s became %s, and that %s", ref, old.To, origin)
	}
}

// The remedy of an uncertain name makes it certain.
func TestFormerRemedy(t *testing.T) {
	const old, other = "old.example.com/hub", "sha256:" + "1111111111111111111111111111111111111111111111111111111111111111"
	images := func(registry, digest string, pairs ...string) image.Mirror {
		m := image.Mirror{Registry: registry, Layout: "last-segment", Digest: digest, Images: map[string]string{}}
		for i := 0; i < len(pairs); i += 2 {
			m.Images[pairs[i]] = pairs[i+1]
		}
		return m
	}
	rule := func(match, to string) image.Mirror {
		return image.Mirror{Rules: []image.Rule{{Match: match, To: image.Targets{to}}}}
	}
	for name, c := range map[string]struct {
		before, after []image.Mirror
		ref, remedy   string
		want          string
	}{
		"several images": {[]image.Mirror{images(old, "")}, []image.Mirror{images(old, "", "golang", old+"/golang")},
			old + "/golang:1", "or add it to mirror.former[0].images", "docker.io/library/golang:1"},
		"dropped digests": {[]image.Mirror{images(old, "drop", "golang", old+"/golang")},
			[]image.Mirror{images(old, "drop", "golang", old+"/golang", "golang:1@"+digest, old+"/golang:1@"+other)},
			old + "/golang:1@" + other, "or add `UPSTREAM:TAG@DIGEST: " + old + "/golang:1@" + other + "` to mirror.former[0].images, because the mirror changed",
			"docker.io/library/golang:1@" + digest},
		"a tag made of a digest": {[]image.Mirror{images(old, "relock", "golang", old+"/golang")},
			[]image.Mirror{images(old, "relock", "golang@"+digest, old+"/golang:digest-0123456789ab")},
			old + "/golang:digest-0123456789ab", "or add `UPSTREAM:TAG@DIGEST: ", "docker.io/library/golang@" + digest},
		"all tags": {[]image.Mirror{images(old, "", "golang", old+"/golang:fixed")},
			[]image.Mirror{images(old, "", "golang:1.24", old+"/golang:fixed")}, old + "/golang:fixed",
			`or add the tag to the key of mirror.former[0].images["golang"], because all tags of it led there`,
			"docker.io/library/golang:1.24"},
		"two mirrors": {[]image.Mirror{rule("docker.io/library/*", old+"/{name}"), rule("quay.io/x/*", old+"/{name}")},
			[]image.Mirror{rule("docker.io/library/*", old+"/{name}"), {Rules: []image.Rule{{Match: "quay.io/x/*",
				To: image.Targets{old + "/{name}"}}}, Images: map[string]string{"quay.io/x/golang": old + "/golang"}}},
			old + "/golang:1", "(mirror.former[0] and mirror.former[1]), and its upstream name is not certain: write the " +
				"upstream name in its place, or add it to images of the one that is meant, because it is " +
				"docker.io/library/golang:1 on the first and quay.io/x/golang:1 on the second", "quay.io/x/golang:1"},
		"two mirrors that name it": {
			[]image.Mirror{images("a.io", "", "a/x", old+"/x"), images("b.io", "", "b/x", old+"/x")},
			[]image.Mirror{images("a.io", "", "a/x", old+"/x"), images("b.io", "")}, old + "/x:1",
			"or take it out of images of one of them", "docker.io/a/x:1"},
	} {
		t.Run(name, func(t *testing.T) {
			ref := parse(t, c.ref)
			_, _, err := compile(t, present(c.before...)).Origin(ref)
			if err == nil || !strings.Contains(err.Error(), c.remedy) {
				t.Errorf("before: %v\nlacks %s", err, c.remedy)
			}
			got, _, err := compile(t, present(c.after...)).Origin(ref)
			if err != nil || got.String() != c.want {
				t.Errorf("after: %s, %v; want %s", got, err, c.want)
			}
			slices.Reverse(c.before)
			if _, _, err := compile(t, present(c.before...)).Origin(ref); err == nil {
				t.Error("in the other order the name is certain")
			}
		})
	}
}
