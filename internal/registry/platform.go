package registry

import (
	"errors"
	"fmt"
	"strings"

	"github.com/containerd/platforms"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/suggest"
)

// ParsePlatform returns a platform that a user wrote as platformName writes it: in lower case,
// with Go's names for architectures, and without the variant that is the default of arm64.
// The error is one sentence for the user.
func ParsePlatform(written string) (string, error) {
	const form = "write an operating system and an architecture such as linux/amd64, or also a variant such as linux/arm/v7"
	parts := strings.Split(written, "/")
	switch {
	case strings.ContainsAny(written, "()+"):
		return "", errors.New("leave out the version and the features of the operating system: they are not compared")
	case len(parts) < 2 || len(parts) > 3:
		return "", errors.New(form)
	}
	p, err := platforms.Parse(written)
	if err != nil || parts[0] == "" {
		return "", errors.New(form)
	}
	if p.Architecture == "arm64" && p.Variant == "v8" {
		p.Variant = ""
	}
	switch {
	case !isKnownPart(p.OS, func(known platforms.Platform) string { return known.OS }):
		return "", fmt.Errorf("the operating system %s is not known: %s", p.OS,
			suggest.DidYouMean(p.OS, nodeSystems, "nodes have "+strings.Join(nodeSystems, " or ")))
	case !isKnownPart(p.Architecture, func(known platforms.Platform) string { return known.Architecture }):
		return "", fmt.Errorf("the architecture %s is not known: %s", p.Architecture,
			suggest.DidYouMean(p.Architecture, nodeArchitectures, "known are "+strings.Join(nodeArchitectures, ", ")))
	case p.Variant != "" && !isVariant(p.Architecture, p.Variant):
		return "", fmt.Errorf("%s has no variant %s: leave it out, or write %s", p.Architecture, p.Variant,
			variants[p.Architecture].example)
	}
	return platformName(p), nil
}

// What is suggested in place of a name that is not known: what Kubernetes' nodes have. Others that
// containerd knows are accepted.
var (
	nodeSystems       = []string{"linux", "windows"}
	nodeArchitectures = []string{"amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64", "loong64"}
)

// isKnownPart reports whether containerd knows an operating system or an architecture: it accepts
// only those in place of a whole platform.
func isKnownPart(name string, part func(platforms.Platform) string) bool {
	p, err := platforms.Parse(name)
	return err == nil && part(p) == name
}

// variants are those that images are published for, by architecture. Of other architectures any
// variant is accepted.
var variants = map[string]struct {
	expr    *lazyregexp.Regexp
	example string
}{
	"amd64": {lazyregexp.New(`^v[1-4]$`), "v2, v3 or v4"},
	"arm":   {lazyregexp.New(`^v[5-8]$`), "v5, v6, v7 or v8"},
	"arm64": {lazyregexp.New(`^v[89](\.[0-9])?$`), "v8 or v9"},
}

func isVariant(architecture, variant string) bool {
	known, ok := variants[architecture]
	return !ok || known.expr.MatchString(variant)
}
