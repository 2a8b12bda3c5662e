// Package manifests holds, as data, the objects that this version of Tekgate
// installs: the Tekton releases of the lines in internal/release and Tekgate's own.
//
// What is done with them is the installer's business. The Tekton releases are
// written by `go generate` and never committed, so that nothing of Tekton's
// text lives in this repository; a binary built without that step says so when
// it is asked for one.
package manifests

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/release"
)

//go:generate go run ../internal/release/generate release

//go:embed release
var releases embed.FS

//go:embed tekgate/*.yaml certmanager/*.yaml network/*.yaml
var own embed.FS

// Version is Tekgate's own version and the tag of its image. The linker sets
// it (Makefile).
var Version = "v0.0.0-dev"

// Release is one manifest of a Tekton release.
type Release struct {
	Name    string // see release.Manifests
	Version string // with its v
	Objects []*unstructured.Unstructured
}

// Tekton returns an embedded manifest of the newest line by its name in release.Manifests.
func Tekton(name string) (*Release, error) { return TektonOf(release.Newest(), name) }

// TektonOf returns an embedded manifest of a line by its name in release.Manifests.
func TektonOf(line release.Line, name string) (*Release, error) {
	i := slices.IndexFunc(release.Manifests, func(m release.Manifest) bool { return m.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no Tekton release %q", name)
	}
	return embedded(name, line.Version(release.Manifests[i]))
}

// Component returns the embedded manifest of a component.
func Component(c release.Component) (*Release, error) { return embedded(c.Name, c.Version) }

func embedded(name, version string) (*Release, error) {
	file := "release/" + name + "-" + version + release.PackedExt
	packed, err := releases.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf(
			"this tekgate was built without the Tekton release %q %s: build it with `make build`, or name a manifest file",
			name, version,
		)
	}
	if err != nil {
		return nil, err
	}
	objects, err := release.Unpack(packed)
	if err != nil {
		return nil, fmt.Errorf("embedded release %s: %w", file, err)
	}
	return &Release{Name: name, Version: version, Objects: objects}, nil
}

// Tekgate returns Tekgate's own objects, its version filled in.
func Tekgate() ([]*unstructured.Unstructured, error) { return read("tekgate/*.yaml") }

// Certificates returns the objects that ask cert-manager for the certificates of
// Tekgate's servers; they are not among those of Tekgate.
func Certificates() ([]*unstructured.Unstructured, error) { return read("certmanager/*.yaml") }

// NetworkPolicies returns a NetworkPolicy for each Deployment of Pipelines and Triggers; they
// are not among the objects of Tekgate.
func NetworkPolicies() ([]*unstructured.Unstructured, error) { return read("network/*.yaml") }

func read(pattern string) ([]*unstructured.Unstructured, error) {
	files, err := fs.Glob(own, pattern)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		text, err := own.ReadFile(file)
		if err != nil {
			return nil, err
		}
		read, err := release.Read(strings.NewReader(strings.ReplaceAll(string(text), "$VERSION", Version)))
		if err != nil {
			return nil, fmt.Errorf("manifests/%s: %w", file, err)
		}
		objects = append(objects, read...)
	}
	return objects, nil
}
