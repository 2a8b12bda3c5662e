package registry_test

import (
	"errors"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/imagetest"
	"github.com/tekgate/tekgate/internal/registry"
)

func TestNonRoot(t *testing.T) {
	t.Parallel()
	for user, want := range map[string]string{
		"65532": "", "65532:65532": "", "1001:0": "",
		"": "runs as root", "0": "runs as root", "0:0": "runs as root", "00": "runs as root", ":65532": "runs as root",
		"4294967296": "is not between", "root": "a number only", "nonroot": "a number only", "nonroot:nonroot": "a number only",
	} {
		err := registry.User{Name: user}.NonRoot()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("user %q: error %v, want %q", user, err, want)
		}
		if want == "runs as root" && !errors.Is(err, registry.ErrRoot) {
			t.Errorf("user %q: error %v is not ErrRoot", user, err)
		}
	}
}

// TestUsers reads users from a registry: of single images, of an index for the wanted platforms
// alone, and not of Windows.
func TestUsers(t *testing.T) {
	t.Parallel()
	started := httptest.NewServer(imagetest.Registry())
	t.Cleanup(started.Close)
	host := strings.TrimPrefix(started.URL, "http://")
	single := imagetest.AsUser(t, imagetest.Single(t, "linux/arm64"), "65532:65532")
	imagetest.Push(t, host+"/t/single:1", single)
	index := v1.ImageIndex(empty.Index)
	for platform, user := range map[string]string{"linux/amd64": "65532", "linux/arm64": "", "windows/amd64": ""} {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        imagetest.AsUser(t, imagetest.Single(t, platform), user),
			Descriptor: v1.Descriptor{Platform: platformOf(t, platform)},
		})
	}
	imagetest.Push(t, host+"/t/index:1", index)
	var refs []image.Reference
	for _, text := range []string{"/t/single:1", "/t/index:1", "/t/none:1"} {
		ref, err := image.Parse(host + text)
		if err != nil {
			t.Fatal(err)
		}
		refs = append(refs, ref)
	}
	users, errs := registry.Users(t.Context(), refs, []string{"linux/amd64"}, registry.Options{})
	want := [][]registry.User{
		{{Platform: "linux/arm64", Name: "65532:65532"}}, {{Platform: "linux/amd64", Name: "65532"}}, nil,
	}
	if !reflect.DeepEqual(users, want) || errs[0] != nil || errs[1] != nil || errs[2] == nil ||
		!strings.Contains(errs[2].Error(), "reading the user of "+host+"/t/none:1") {
		t.Errorf("users %v, errors %v", users, errs)
	}
	users, errs = registry.Users(t.Context(), refs[1:2], nil, registry.Options{})
	if len(users[0]) != 2 || errs[0] != nil {
		t.Errorf("of all platforms: users %v, error %v", users, errs)
	}
}

func platformOf(t *testing.T, text string) *v1.Platform {
	t.Helper()
	p, err := v1.ParsePlatform(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
