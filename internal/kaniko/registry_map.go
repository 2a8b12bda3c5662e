package kaniko

import (
	"fmt"
	"slices"
	"strings"
)

// DockerHub is the name under which Kaniko looks Docker Hub up in its registry map
// (name.DefaultRegistry of go-containerregistry).
const DockerHub = "index.docker.io"

// otherHubs are names of Docker Hub that no image resolves to.
var otherHubs = []string{"docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"}

// IsDockerHub reports whether a registry is Docker Hub under another name than Kaniko's.
func IsDockerHub(registry string) bool { return slices.Contains(otherHubs, registry) }

// MapProblems returns what is wrong with a registry map, the value of --registry-map or
// KANIKO_REGISTRY_MAP: original=mirror, several joined by ";". Parts with a variable are
// passed over.
//
// Observed with chainguard-dev/kaniko v1.25.5 and osscontainertools/kaniko v1.28.3, and read
// in pkg/config/args.go of the former.
func MapProblems(value string) []string {
	if value == "" {
		return nil
	}
	var problems []string
	for part := range strings.SplitSeq(value, ";") {
		if strings.ContainsAny(part, "$`") {
			continue
		}
		if problem := mapProblem(part); problem != "" && !slices.Contains(problems, problem) {
			problems = append(problems, problem)
		}
	}
	return problems
}

func mapProblem(part string) string {
	const ends = "at which Kaniko v1.28.3 ends before it builds anything, and older releases ignore what follows"
	from, _, is := strings.Cut(part, "=")
	switch {
	case strings.TrimSpace(part) == "":
		return "it has an empty part, " + ends + ": write one ; between two entries and none at the end"
	case !is:
		return fmt.Sprintf("%.100q is no entry, %s: write original=mirror", part, ends)
	case from == "":
		return fmt.Sprintf("%.100q names no registry, so Kaniko never applies it: write original=mirror", part)
	case strings.ContainsAny(from, "/ "):
		return fmt.Sprintf("Kaniko never applies the entry for %.100q: write the host alone, such as %s", from, DockerHub)
	case IsDockerHub(from):
		return fmt.Sprintf("Kaniko never applies the entry for %s to images of Docker Hub: write %s", from, DockerHub)
	}
	return ""
}
