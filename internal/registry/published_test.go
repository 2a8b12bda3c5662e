package registry_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

const (
	controller = "ghcr.io/tektoncd/pipeline/controller-10a3e32792f33651396d02b6855a6e36:v1.15.0"
	zeroDigest = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
)

// TestComparePublished compares what a mirror serves with what Tekton published, under each
// digest policy.
func TestComparePublished(t *testing.T) {
	mirror := start(t)
	serves := mirror.push(t, "pipeline-controller:v1.15.0", multi(t, "linux/amd64"))
	mirror.push(t, "pipeline-controller:own", multi(t, "linux/amd64"))
	tests := []struct {
		name, policy, pinned, published string
		images                          map[string]string
		status                          registry.Status
		says                            string // in the error, or in a warning
	}{
		{"equal", "keep", "", serves, nil, registry.StatusOK, ""},
		{"differs", "keep", "", zeroDigest, nil, registry.StatusWrongDigest,
			"it has digest " + serves + " there, and Tekton published " + zeroDigest},
		{"differs by default", "", "", zeroDigest, nil, registry.StatusWrongDigest, "Tekton published " + zeroDigest},
		{"equal, dropped", "drop", "", serves, nil, registry.StatusOK, ""},
		{"differs, dropped", "drop", "", zeroDigest, nil, registry.StatusOK,
			"has digest " + serves + ", and Tekton published " + zeroDigest},
		{"differs, to be locked", "relock", "", zeroDigest, nil, registry.StatusOK, "nothing proves that it is the same image"},
		{"pinned alike", "keep", serves, serves, nil, registry.StatusOK, ""},
		{"pinned otherwise", "keep", serves, zeroDigest, nil, registry.StatusOK,
			"is pinned to " + serves + ", and Tekton published " + zeroDigest},
		{"pinned otherwise, dropped", "drop", zeroDigest, serves, nil, registry.StatusOK, "is pinned to " + zeroDigest},
		{"pinned alike, dropped", "drop", zeroDigest, zeroDigest, nil, registry.StatusOK, ""},
		{"not known", "keep", "", "", nil, registry.StatusOK, ""},
		{"another image", "keep", "", zeroDigest, map[string]string{controller: "/pipeline-controller:own"},
			registry.StatusOK, ""},
		{"missing", "keep", "", zeroDigest, map[string]string{controller: "/nothing"}, registry.StatusMissing, "404"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := image.Mirror{Registry: mirror.host, Digest: tt.policy, Images: map[string]string{}}
			for from, to := range tt.images {
				m.Images[from] = mirror.host + to
			}
			from := ref(t, controller)
			from.Digest = tt.pinned
			candidates, err := rules(t, m).Candidates(from)
			if err != nil {
				t.Fatal(err)
			}
			r := registry.Probe(t.Context(), registry.ProbeRequest{Images: [][]image.Rewritten{candidates}}, quick)[0]
			r.ComparePublished(tt.published)
			said := strings.Join(r.Warnings, "\n")
			if r.Err != nil {
				said += r.Err.Error()
			}
			if r.Status != tt.status || !strings.Contains(said, tt.says) || (tt.says == "") != (said == "") {
				t.Errorf("%s: %s, want %s: %q", r.Status, said, tt.status, tt.says)
			}
			if r.Status == registry.StatusWrongDigest && !strings.Contains(r.Remedy, "tekgate images copy") {
				t.Errorf("remedy %q", r.Remedy)
			}
			if compared := tt.published != "" && tt.name != "another image"; compared != (r.Published != "") {
				t.Errorf("published %q", r.Published)
			}
		})
	}
}

// TestRelockByPublishedDigest holds that the published digest proves an image without asking
// upstream, and that another digest does not.
func TestRelockByPublishedDigest(t *testing.T) {
	source, mirror := start(t), start(t)
	source.answer(password) // it refuses requests without the password
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	digest := mirror.push(t, "x:v1", multi(t, "linux/amd64"))
	r := rules(t, image.Mirror{Registry: mirror.host, Digest: image.DigestRelock})
	from := ref(t, source.host+"/x:v1")
	candidates, err := r.Candidates(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		published string
		proven    bool
	}{{digest, true}, {zeroDigest, false}, {"", false}} {
		lock, result := relock(t, registry.RelockRequest{Images: [][]image.Rewritten{candidates},
			Published: func(asked image.Reference) (string, bool) { return tt.published, asked == from }})
		if !tt.proven {
			if len(lock.Images) != 0 || result.Err == nil {
				t.Errorf("published %q: locked %+v", tt.published, lock.Images)
			}
			continue
		}
		if result.Status != registry.StatusOK || len(lock.Images) != 1 ||
			lock.Images[0].Proof != registry.ProofPublished || !strings.HasSuffix(lock.Images[0].To, "@"+digest) {
			t.Errorf("%s: %v; lock %+v", result.Status, result.Err, lock)
		}
	}
}

// TestLoadPublished holds that an archive is loaded with its signatures if it has what Tekton
// published, and that another image is not.
func TestLoadPublished(t *testing.T) {
	source, mirror := start(t), start(t)
	digest := source.push(t, "x:v1", multi(t, "linux/amd64"))
	source.push(t, "x:"+strings.Replace(digest, ":", "-", 1)+".sig", single(t, "linux/amd64"))
	archive := filepath.Join(t.TempDir(), "images.tar")
	save(t, registry.SaveRequest{File: archive,
		Transfers: []registry.Transfer{transfer(t, source, "x:v1", to(t, controller, "unused/x"))}})
	pinning := rules(t, image.Mirror{Registry: mirror.host, Digest: image.DigestPublished})
	for published, outcomes := range map[string][]registry.Outcome{
		zeroDigest: {registry.Failed, registry.Copied},
		digest:     {registry.Copied, registry.Copied},
	} {
		results, err := registry.Load(t.Context(), registry.LoadRequest{File: archive, Overwrite: true,
			Rules: pinning.WithPublished(func(asked image.Reference) (string, bool) {
				if asked.String() == controller {
					return published, true
				}
				return "", true // the signature is in the repository of an image of Tekton
			})}, quick)
		if err != nil || len(results) != 2 {
			t.Fatalf("%d results, error %v", len(results), err)
		}
		if results[0].Outcome != outcomes[0] ||
			outcomes[0] == registry.Failed && !strings.Contains(results[0].Err.Error(), zeroDigest) {
			t.Errorf("published %s: %s, error %v", published, results[0].Outcome, results[0].Err)
		}
		if results[1].Outcome == registry.Failed {
			t.Errorf("published %s: the signature: %v", published, results[1].Err)
		}
	}
	_, err := registry.Load(t.Context(), registry.LoadRequest{File: archive,
		Rules: pinning.WithPublished(func(image.Reference) (string, bool) { return "", true })}, quick)
	if err == nil || !strings.Contains(err.Error(), controller+": `digest: published` needs the digest") {
		t.Errorf("a digest that is not known: %v", err)
	}
}
