package manifest

import (
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/tekgate/tekgate/internal/image"
)

// program is a program of Tekton that its releases hold an image of.
type program struct{ component, binary string } // such as pipeline and git-init

func (p program) importPath() string {
	return "github.com/tektoncd/" + p.component + "/cmd/" + p.binary
}

// behind returns the upstream image that a reference is a copy of, if its name says that
// it holds the program in a version of a release. If the version is unknown, "", any will
// do.
func (p program) behind(ref image.Reference, version string) (image.Reference, bool) {
	repository, ok := p.repository(ref, version)
	switch {
	case !ok:
		return image.Reference{}, false
	case ref.Tag == "" && ref.Digest == "", ref.Tag != "" && !releaseVersion.MatchString(ref.Tag):
		return image.Reference{}, false
	case ref.Tag != "" && version != "" && ref.Tag != version:
		return image.Reference{}, false
	}
	origin, err := image.Parse(repository)
	if err != nil {
		return image.Reference{}, false
	}
	origin.Tag, origin.Digest = ref.Tag, ref.Digest
	if isPushedAgain(ref) && (ref.Tag != "" || version != "") {
		origin.Digest = ""
		if origin.Tag == "" {
			origin.Tag = version
		}
	}
	return origin, true
}

// isPushedAgain reports whether an image is where users copy images to by pull and push,
// which changes their digests. Copies in other registries may have kept them.
func isPushedAgain(ref image.Reference) bool { return ref.Host == "docker.io" }

// words are what the names of copies have before that of the program, beside the component.
var words = []string{
	"asia", "cmd", "com", "core", "eu", "gcr", "ghcr", "github", "io", "releases", "remote", "tekton", "tektoncd", "us",
}

var (
	separators = regexp.MustCompile(`[./_-]+`)
	md5Suffix  = regexp.MustCompile(`^(.+)-([0-9a-f]{32})$`)
)

// repository returns the upstream repository that one is a copy of, by its name.
func (p program) repository(ref image.Reference, version string) (string, bool) {
	published := image.PublishedName(p.importPath())
	path := "/" + ref.Path
	last := path[strings.LastIndex(path, "/")+1:]
	sum := md5Suffix.FindStringSubmatch(last)
	if sum != nil {
		last = sum[1]
	}
	before, ok := strings.CutSuffix(last, p.binary)
	if !ok || !p.allows(before) {
		return "", false
	}
	if i := strings.Index(path, "/github.com/tektoncd/"); i >= 0 && path[i+1:] != p.importPath() {
		return "", false
	}
	flat := separators.ReplaceAllString(path, "/")
	importPath := separators.ReplaceAllString("/tektoncd/"+p.component+"/cmd/"+p.binary, "/")
	switch {
	case sum != nil:
		return published, strings.HasSuffix(published, "-"+sum[2])
	case strings.HasSuffix(flat, "/tektoncd/github/com"+importPath):
		return "ghcr.io/tektoncd/" + p.importPath(), true
	case strings.HasSuffix(flat, importPath) || !p.publishedAtGHCR(version, ref.Tag):
		return image.PreservedName(p.importPath()), true
	}
	return published, true
}

// allows reports whether what a name has before the program's consists of known words.
func (p program) allows(before string) bool {
	if before == "" {
		return true
	}
	if !strings.ContainsAny(before[len(before)-1:], ".-_") {
		return false
	}
	own := []string{p.component, p.component + "s", strings.TrimSuffix(p.component, "s")}
	for _, word := range separators.Split(before, -1) {
		if word != "" && !slices.Contains(words, word) && !slices.Contains(own, word) {
			return false
		}
	}
	return true
}

// firstAtGHCR has the first release of each line that was published under ghcr.io, for the
// lines that began under gcr.io. All later lines are there.
var firstAtGHCR = map[string][]string{
	"pipeline": {"0.53.9", "0.56.8", "0.59.4", "0.62.4", "0.65.0"},
	"triggers": {"0.29.2", "0.30.0"},
}

// publishedAtGHCR reports whether a release was published under ghcr.io/tektoncd from the
// beginning, so with the names of today.
func (p program) publishedAtGHCR(version, tag string) bool {
	if version == "" {
		version = tag
	}
	v, err := semver.NewVersion(version)
	if err != nil {
		return true
	}
	firsts := firstAtGHCR[p.component]
	for i, text := range firsts {
		first := semver.MustParse(text)
		later := i == len(firsts)-1
		if !v.LessThan(first) && (later || v.Major() == first.Major() && v.Minor() == first.Minor()) {
			return true
		}
	}
	return false
}
