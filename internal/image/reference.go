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
	if r.Host == "" { // a host with an underscore, which the kubelet pulls from all the same
		r.Host, r.Path, _ = strings.Cut(r.Path, "/")
	}
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

// registryOf returns where the owner of a component publishes since October 2024.
func registryOf(owner string) string { return "ghcr.io/" + owner }

// owners are the organizations on GitHub whose components Tekton's operator installs.
var owners = []string{"tektoncd", "openshift-pipelines"}

// PublishedName returns the repository under which ko publishes the command
// with this import path in Tekton's releases since October 2024: its last
// element and the MD5 of the whole path, below the component
// (tektoncd/pipeline#8870; ko's default naming).
func PublishedName(importPath string) string {
	owner, component, _, ok := splitImportPath(importPath)
	if !ok {
		owner, component = owners[0], ""
	}
	sum := md5.Sum([]byte(importPath))
	return registryOf(owner) + "/" + component + "/" + path.Base(importPath) + "-" + hex.EncodeToString(sum[:])
}

// PreservedName returns the repository under which releases before that were
// published: the import path below tekton-releases.
func PreservedName(importPath string) string {
	return "gcr.io/tekton-releases/" + importPath
}

// splitImportPath returns "tektoncd", "pipeline" and "controller" for
// github.com/tektoncd/pipeline/cmd/controller. The folder cmd may have folders before and
// in it, as in github.com/tektoncd/operator/cmd/kubernetes/webhook.
func splitImportPath(importPath string) (owner, component, binary string, ok bool) {
	for _, owner := range owners {
		rest, found := strings.CutPrefix(importPath, "github.com/"+owner+"/")
		component, command, inside := strings.Cut(rest, "/")
		_, binary, is := strings.Cut("/"+command, "/cmd/")
		if found && inside && is && binary != "" && !strings.HasSuffix(binary, "/") {
			return owner, component, path.Base(binary), true
		}
	}
	return "", "", "", false
}

// commandFolders are where components keep the commands that their releases hold images of.
var commandFolders = []string{"cmd/", "cmd/kubernetes/", "cmd/openshift/"}

// ImportPath returns the import path of the command of Tekton's that an image holds, for
// example github.com/tektoncd/pipeline/cmd/entrypoint. It knows the names of all releases,
// and believes an MD5 suffix only after computing it. ok is false for all other images.
func (r Reference) ImportPath() (importPath string, ok bool) {
	for _, owner := range owners {
		if _, rest, found := strings.Cut("/"+r.Path, "/github.com/"+owner+"/"); found {
			importPath = "github.com/" + owner + "/" + rest
			_, _, _, ok = splitImportPath(importPath)
			return importPath, ok
		}
	}
	for _, owner := range owners {
		rest, found := strings.CutPrefix(r.Repository(), registryOf(owner)+"/")
		component, name, one := strings.Cut(rest, "/")
		dash := strings.LastIndex(name, "-")
		if !found || !one || dash < 0 {
			continue
		}
		for _, folder := range commandFolders {
			importPath = "github.com/" + owner + "/" + component + "/" + folder + name[:dash]
			if PublishedName(importPath) == r.Repository() {
				return importPath, true
			}
		}
	}
	return "", false
}

// Tekton returns which component and binary of Tekton an image holds, for
// example "pipeline" and "entrypoint": see ImportPath.
func (r Reference) Tekton() (component, binary string, ok bool) {
	importPath, ok := r.ImportPath()
	if !ok {
		return "", "", false
	}
	_, component, binary, ok = splitImportPath(importPath)
	return component, binary, ok
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
