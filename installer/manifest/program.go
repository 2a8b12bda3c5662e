package manifest

import (
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// behind returns the upstream image that a reference is a copy of, if its name says that
// it holds the program in a version of a release. If the version is unknown, "", any will
// do.
func (p program) behind(ref image.Reference, version string) (image.Reference, bool) {
	tag, plain := releaseTag(ref.Tag)
	switch {
	case ref.Tag == "" && ref.Digest == "", ref.Tag != "" && tag == "":
		return image.Reference{}, false
	case tag != "" && version != "" && tag != version:
		return image.Reference{}, false
	}
	if tag == "" {
		tag = version
	}
	repository, ok := p.repository(ref, tag)
	if !ok {
		return image.Reference{}, false
	}
	origin, err := image.Parse(repository)
	if err != nil {
		return image.Reference{}, false
	}
	origin.Tag, origin.Digest = ref.Tag, ref.Digest
	if !plain {
		origin.Tag = tag
	}
	if (isPushedAgain(ref) || !plain) && tag != "" {
		origin.Tag, origin.Digest = tag, ""
	}
	return origin, true
}

// isPushedAgain reports whether an image is where users copy images to by pull and push,
// which changes their digests. Copies in other registries may have kept them.
func isPushedAgain(ref image.Reference) bool { return ref.Host == "docker.io" }

var (
	// releaseVersion matches the versions of Tekton's releases.
	releaseVersion = lazyregexp.New(`^v\d+\.\d+\.\d+$`)
	// copiedVersion matches the tags that copies have. The first group is the version.
	copiedVersion = lazyregexp.New(`^v?(\d+\.\d+\.\d+)(?:[-_.](.+))?$`)
)

// neutral are words after the version in the tag of a copy which say how it was copied, so
// that it still is the release's image. A tag such as v1.15.0-patched has another image.
var neutral = []string{"linux", "amd64", "arm64", "arm", "s390x", "ppc64le", "x86", "64", "aarch64", "multi", "arch",
	"multiarch", "cn", "china", "zh", "mirror", "copy", "sync"}

// releaseTag returns the version of the release that a tag names, "" if it names none. plain
// says that the tag is the version, as the release has it.
func releaseTag(tag string) (version string, plain bool) {
	parts := copiedVersion.FindStringSubmatch(tag)
	if parts == nil {
		return "", tag == ""
	}
	for _, word := range separators.Split(parts[2], -1) {
		if word != "" && !slices.Contains(neutral, word) {
			return "", false
		}
	}
	version = "v" + parts[1]
	return version, tag == version
}

// words are what the names of copies have before that of the program, beside the component.
var words = []string{
	"asia", "cmd", "com", "core", "eu", "gcr", "ghcr", "github", "io", "releases", "remote", "tekton", "tektoncd", "us",
}

var (
	separators = lazyregexp.New(`[./_-]+`)
	md5Suffix  = lazyregexp.New(`^(.+)[-_.]([0-9a-f]{32})$`)
)

// repository returns the upstream repository that one is a copy of, by its name.
func (p program) repository(ref image.Reference, version string) (string, bool) {
	if repository, ok := p.proven(ref, version); ok {
		return repository, true
	}
	other, has := ref.ImportPath()
	_, name := splitName(ref)
	switch {
	case has && other != string(p), md5Suffix.MatchString(name), !p.named(name):
		return "", false
	case !p.publishedAtGHCR(version):
		return image.PreservedName(string(p)), true
	}
	return image.PublishedName(string(p)), true
}

// proven is repository for names that one program alone can have: those that end with its
// import path, whatever separates its elements, or with the MD5 of it.
func (p program) proven(ref image.Reference, version string) (string, bool) {
	published := image.PublishedName(string(p))
	flat, name := splitName(ref)
	if sum := md5Suffix.FindStringSubmatch(name); sum != nil {
		return published, strings.HasSuffix(published, "-"+sum[2])
	}
	_, below, _ := strings.Cut(string(p), "/") // without github.com
	importPath := flatten("/" + below)
	preserved := "/github/com" + importPath
	switch {
	case strings.HasSuffix(flat, "/tektoncd/"+p.component()+preserved):
		return "ghcr.io/tektoncd/" + p.component() + "/" + string(p), true
	case strings.HasSuffix(flat, "/tektoncd"+preserved):
		return "ghcr.io/tektoncd/" + string(p), true
	case !strings.HasSuffix(flat, importPath):
		return "", false
	case p.publishedAtGHCR(version) && !strings.Contains(flat, "/tekton/releases/"):
		return published, true
	}
	return image.PreservedName(string(p)), true
}

// splitName returns the path of a reference with a slash at every separator, and its last
// element.
func splitName(ref image.Reference) (flat, name string) {
	path := "/" + ref.Path
	return flatten(path), path[strings.LastIndex(path, "/")+1:]
}

func flatten(path string) string { return separators.ReplaceAllString(path, "/") }

// named reports whether a name is the program's, with nothing but words of Tekton's before it.
func (p program) named(name string) bool {
	parts := separators.Split(name, -1)
	for i := range parts {
		if slices.Contains(names()[p], strings.Join(parts[i:], "")) && p.allows(parts[:i]) {
			return true
		}
	}
	return false
}

// allows reports whether what a name has before the program's consists of known words.
func (p program) allows(before []string) bool {
	own := separators.Split(strings.TrimSuffix(string(p), p.binary()), -1)
	component := p.component()
	own = append(own, component+"s", strings.TrimSuffix(component, "s"))
	for _, word := range before {
		if word != "" && !slices.Contains(words, word) && !slices.Contains(own, word) {
			return false
		}
	}
	return true
}

// firstAtGHCR has the first release of each line that was published under ghcr.io, for the
// lines that began under gcr.io. All later lines are there. Of the dashboard, Chains, Results
// and the Operator it is the first that was seen there.
var firstAtGHCR = map[string][]string{
	"pipeline":             {"0.53.9", "0.56.8", "0.59.4", "0.62.4", "0.65.0"},
	"triggers":             {"0.29.2", "0.30.0"},
	"dashboard":            {"0.55.0"},
	"chains":               {"0.27.1"},
	"results":              {"0.18.0"},
	"operator":             {"0.77.0"},
	"pruner":               {"0.0.0"},
	"manual-approval-gate": {"0.0.0"},
}

// publishedAtGHCR reports whether a release was published under ghcr.io/tektoncd from the
// beginning, so with the names of today.
func (p program) publishedAtGHCR(version string) bool {
	v, err := semver.NewVersion(version)
	if err != nil {
		return true
	}
	firsts := firstAtGHCR[p.component()]
	for i, text := range firsts {
		first := semver.MustParse(text)
		later := i == len(firsts)-1
		if !v.LessThan(first) && (later || v.Major() == first.Major() && v.Minor() == first.Minor()) {
			return true
		}
	}
	return false
}
