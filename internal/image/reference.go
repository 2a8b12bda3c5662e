// Package image knows image references and the mirrors that they are rewritten
// to.
//
// A mirror is a rule from references to references, and the same rules serve
// the installer and the admission server, so that what the cluster runs and
// what its users write end up in one place. References are taken apart by
// distribution/reference, never by string surgery: "tektondev/x" has no host
// although it has a slash, "localhost:5000/x" has one although it has no dot,
// and a name may carry a tag and a digest at once.
//
// Rules answer three questions, none of which touches the network:
//
//	rules.Rewrite(ref)    // the one place that an image goes to
//	rules.Candidates(ref) // all places where the mirror may have it, best first
//	rules.Choose(done...) // rules whose Rewrite answers what was chosen
//
// Who can reach the mirror asks internal/registry which of the candidates is
// there, and goes on with the rules that Choose returns; who cannot uses the
// first candidate. A choice also carries the digest that a rule with policy
// relock asks for (Rewritten.Relock), since that one is known only to the
// mirror. Rewriting twice changes nothing, whatever the rules: what a rule leads
// to is known again by the rule's own target, and stays.
package image

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"github.com/distribution/reference"
)

// Reference is an image reference taken apart and normalised: Docker Hub's
// short names carry their host and "library/".
type Reference struct {
	Host   string // with its port, for example "ghcr.io" or "localhost:5000"
	Path   string // for example "tektoncd/pipeline/controller"
	Tag    string // may be empty
	Digest string // with its algorithm, for example "sha256:…"; may be empty
}

// Parse takes a reference apart.
func Parse(s string) (Reference, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return Reference{}, fmt.Errorf("parsing image %q: %w", s, err)
	}
	r := Reference{Host: reference.Domain(named), Path: reference.Path(named)}
	if tagged, ok := named.(reference.Tagged); ok {
		r.Tag = tagged.Tag()
	}
	if digested, ok := named.(reference.Digested); ok {
		r.Digest = digested.Digest().String()
	}
	return r, nil
}

// Repository returns host and path.
func (r Reference) Repository() string { return r.Host + "/" + r.Path }

// String returns the reference in full, its host included.
func (r Reference) String() string {
	s := r.Repository()
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// DigestTag returns the tag under which an image that is named by its digest
// alone lives on a mirror that needs tags, for example "digest-19f02276bf8d";
// it is empty where there is no digest. It is not "sha256-…": under such tags
// the distribution specification looks for an image's referrers.
func (r Reference) DigestTag() string {
	_, hex, _ := strings.Cut(r.Digest, ":")
	if hex == "" {
		return ""
	}
	return digestTagPrefix + hex[:min(12, len(hex))]
}

const digestTagPrefix = "digest-"

// DigestAlone reports whether nothing but a digest names a version: no tag tells what the image is.
func (r Reference) DigestAlone() bool {
	return r.Tag == "" && r.Digest != "" || strings.HasPrefix(r.Tag, digestTagPrefix)
}

// name returns the last element of the path.
func (r Reference) name() string { return path.Base(r.Path) }

// tektonRegistry is where Tekton publishes since October 2024.
const tektonRegistry = "ghcr.io/tektoncd"

// PublishedName returns the repository under which ko publishes the command
// with this import path in Tekton's releases since October 2024: its last
// element and the MD5 of the whole path, below the component
// (tektoncd/pipeline#8870; ko's default naming).
func PublishedName(importPath string) string {
	sum := md5.Sum([]byte(importPath))
	return tektonRegistry + "/" + componentOf(
		importPath,
	) + "/" + path.Base(
		importPath,
	) + "-" + hex.EncodeToString(
		sum[:],
	)
}

// PreservedName returns the repository under which releases before that were
// published: the import path below tekton-releases.
func PreservedName(importPath string) string {
	return "gcr.io/tekton-releases/" + importPath
}

// componentOf returns "pipeline" for github.com/tektoncd/pipeline/cmd/….
func componentOf(importPath string) string {
	rest, ok := strings.CutPrefix(importPath, "github.com/tektoncd/")
	if !ok {
		return ""
	}
	component, _, _ := strings.Cut(rest, "/")
	return component
}

// Tekton returns which component and binary of Tekton an image holds, for
// example "pipeline" and "entrypoint". It knows the names of all releases, and
// believes an MD5 suffix only after computing it.
func (r Reference) Tekton() (component, binary string, ok bool) {
	if _, importPath, found := strings.Cut("/"+r.Path, "/github.com/tektoncd/"); found {
		component, rest, _ := strings.Cut(importPath, "/")
		binary, ok := strings.CutPrefix(rest, "cmd/")
		return component, binary, ok && binary != "" && !strings.Contains(binary, "/")
	}
	rest, found := strings.CutPrefix(r.Repository(), tektonRegistry+"/")
	component, name, one := strings.Cut(rest, "/")
	dash := strings.LastIndex(name, "-")
	if !found || !one || dash < 0 {
		return "", "", false
	}
	binary = name[:dash]
	published := PublishedName("github.com/tektoncd/" + component + "/cmd/" + binary)
	return component, binary, published == r.Repository()
}

// Canonical returns the reference under which the same image can still be
// pulled. gcr.io/tekton-releases and its regional twins answer nobody since
// July 2025; their images live on, digest for digest, under ghcr.io/tektoncd
// (tektoncd/pipeline#8870, tektoncd/plumbing#2262).
func (r Reference) Canonical() Reference {
	rest, ok := strings.CutPrefix(r.Path, "tekton-releases/")
	if !ok || (r.Host != "gcr.io" && !strings.HasSuffix(r.Host, ".gcr.io")) {
		return r
	}
	r.Host, r.Path = "ghcr.io", "tektoncd/"+rest
	return r
}
