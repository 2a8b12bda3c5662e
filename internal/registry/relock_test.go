package registry_test

import (
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// repushed is what pull, tag and push make of one platform of an image: other
// media types, hence another digest, and the same configuration.
func repushed(t *testing.T, img v1.Image) v1.Image {
	t.Helper()
	return mutate.MediaType(img, types.OCIManifestSchema1)
}

func child(t *testing.T, index v1.ImageIndex, n int) v1.Image {
	t.Helper()
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	img, err := index.Image(manifest.Manifests[n].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

func relock(t *testing.T, request registry.RelockRequest) (*registry.Lock, registry.Result) {
	t.Helper()
	lock, results, err := registry.Relock(t.Context(), request, quick)
	if err != nil {
		t.Fatal(err)
	}
	return lock, results[0]
}

func TestTrap04_MirrorsWithDigestsOfTheirOwnAreLocked(t *testing.T) {
	source, mirror := start(t), start(t)
	index := multi(t, "linux/amd64", "linux/arm64")
	upstream := source.push(t, "x:v1", index)
	digest := mirror.push(t, "x:v1", repushed(t, child(t, index, 0)))
	r := rules(t, image.Mirror{Registry: mirror.host, Digest: image.DigestRelock})
	from := ref(t, source.host+"/x:v1@"+upstream)
	// The source is on this machine too, so the registry's rule sends it on.
	candidates, err := r.Candidates(from)
	if err != nil {
		t.Fatal(err)
	}
	if !candidates[0].Relock || candidates[0].To.Digest != "" {
		t.Fatalf("candidate %+v", candidates[0])
	}
	request := registry.RelockRequest{Images: [][]image.Rewritten{candidates}, Platforms: []string{"linux/amd64"}}
	lock, result := relock(t, request)
	if result.Status != registry.StatusOK || len(lock.Images) != 1 || lock.Images[0].Proof != registry.ProofConfig {
		t.Fatalf("%s: %v; lock %+v", result.Status, result.Err, lock)
	}
	file := filepath.Join(t.TempDir(), registry.LockFile)
	if err := lock.Write(file); err != nil {
		t.Fatal(err)
	}
	read, err := registry.ReadLock(file)
	if err != nil {
		t.Fatal(err)
	}
	locked, err := read.Apply(r)
	if err != nil {
		t.Fatal(err)
	}
	done, err := locked.Rewrite(from)
	if err != nil || done.To.String() != mirror.host+"/x:v1@"+digest || done.DigestDropped || done.Relock {
		t.Errorf("rewritten to %s, %+v, error %v", done.To, done, err)
	}
	if again, err := locked.Rewrite(done.To); err != nil || again.To != done.To {
		t.Errorf("rewriting twice gives %s, error %v", again.To, err)
	}

	// Where the source is out of reach, the lock knows.
	source.answer(password)
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	if lock, result := relock(t, request); len(lock.Images) != 0 ||
		!strings.Contains(result.Err.Error(), "nobody could be asked") || !strings.Contains(result.Remedy, "--trust") {
		t.Errorf("%s: %v: %s", result.Status, result.Err, result.Remedy)
	}
	request.Previous = read
	if lock, result := relock(t, request); len(lock.Images) != 1 || lock.Images[0].Proof != registry.ProofConfig {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
	request.Previous, request.Trust = nil, true
	if lock, result := relock(t, request); len(lock.Images) != 1 || lock.Images[0].Proof != registry.ProofNone {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
}

// An image that only bears the name is not locked, trusted or not.
func TestRelockRefusesAnotherImage(t *testing.T) {
	source, mirror := start(t), start(t)
	source.push(t, "x:v1", multi(t, "linux/amd64"))
	mirror.push(t, "x:v1", multi(t, "linux/amd64"))
	candidate := to(t, source.host+"/x:v1", mirror.host+"/x:v1")
	candidate.Relock = true
	request := registry.RelockRequest{Images: [][]image.Rewritten{{candidate}}, Trust: true}
	lock, result := relock(t, request)
	if len(lock.Images) != 0 || result.Status != registry.StatusWrongDigest ||
		!strings.Contains(result.Err.Error(), "another image") {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
	// A rule that names another image on purpose gets that pinned.
	candidate.Other = true
	request.Images[0][0] = candidate
	if lock, result := relock(t, request); len(lock.Images) != 1 || lock.Images[0].Proof != registry.ProofNone {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
}

// The same layers under another configuration are the same image.
func TestRelockByDiffIDs(t *testing.T) {
	source, mirror := start(t), start(t)
	img := single(t, "linux/amd64")
	source.push(t, "x:v1", img)
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config = config.DeepCopy()
	config.Author = "a mirror"
	relabelled, err := mutate.ConfigFile(img, config)
	if err != nil {
		t.Fatal(err)
	}
	mirror.push(t, "x:v1", relabelled)
	candidate := to(t, source.host+"/x:v1", mirror.host+"/x:v1")
	candidate.Relock = true
	if lock, result := relock(t,
		registry.RelockRequest{Images: [][]image.Rewritten{{candidate}}}); len(lock.Images) != 1 ||
		lock.Images[0].Proof != registry.ProofDiffIDs {
		t.Errorf("%s: %v", result.Status, result.Err)
	}
}

func TestLockThatTheRulesLeft(t *testing.T) {
	lock := &registry.Lock{Images: []registry.Locked{{From: "a.io/x:v1", To: "old.example.com/x:v1@" + other}}}
	_, err := lock.Apply(rules(t, image.Mirror{Registry: "new.example.com/t", Digest: image.DigestRelock}))
	if err == nil || !strings.Contains(err.Error(), "tekgate images lock") {
		t.Errorf("error %v", err)
	}
	// Rules that ask for no lock have nothing to do with it.
	same := rules(t, image.Mirror{Preset: "daocloud"})
	if _, err := lock.Apply(same); err != nil {
		t.Error(err)
	}
}

// A member of an index that names no platform is what its configuration says.
func TestRelockMembersWithoutPlatform(t *testing.T) {
	source, mirror := start(t), start(t)
	img := single(t, "linux/amd64")
	upstream := source.push(t, "x:v1", mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: img}))
	mirror.push(t, "x:v1", repushed(t, img))
	candidates, err := rules(t, image.Mirror{Registry: mirror.host, Digest: image.DigestRelock}).
		Candidates(ref(t, source.host+"/x:v1@"+upstream))
	if err != nil {
		t.Fatal(err)
	}
	lock, result := relock(t, registry.RelockRequest{Images: [][]image.Rewritten{candidates}})
	if result.Status != registry.StatusOK || len(lock.Images) != 1 || lock.Images[0].Proof != registry.ProofConfig {
		t.Errorf("%s: %v; lock %+v", result.Status, result.Err, lock)
	}
}
