package upgrade

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
)

// state is what the steps of an upgrade depend on, and change.
type state struct {
	server *semver.Version // nil if it is unknown
	// stored has, by the name of a definition, the versions in which objects may be stored. The
	// first one is the version in which they are written.
	stored map[string][]string
}

func stateOf(facts Facts) state {
	s := state{stored: map[string][]string{}}
	if v, err := semver.NewVersion(facts.Server); err == nil {
		// A provider's suffix such as -gke.1 is no pre-release.
		s.server = semver.New(v.Major(), v.Minor(), v.Patch(), "", "")
	}
	for _, crd := range facts.Definitions {
		stored := []string{manifest.StorageKind(crd).Version}
		had, _, _ := unstructured.NestedStringSlice(crd.Object, "status", "storedVersions")
		for _, version := range had {
			if version != stored[0] {
				stored = append(stored, version)
			}
		}
		s.stored[crd.GetName()] = stored
	}
	return s
}

// step returns the state after an install, or what prevents the install.
func (s state) step(to Stop) (next state, problems []string) {
	minimum, err := semver.NewVersion(kubernetesMinimum(to))
	if err == nil && s.server != nil && s.server.LessThan(minimum) {
		problems = append(problems, fmt.Sprintf("Tekton Pipelines %s does not start below Kubernetes %s, and the server "+
			"runs %s: upgrade the cluster first", to.Line.Pipeline, minimum, s.server))
	}
	next = state{server: s.server, stored: maps.Clone(s.stored)}
	for _, crd := range to.Objects {
		if !manifest.IsDefinition(crd) {
			continue
		}
		defined, storage := manifest.DefinedVersions(crd), manifest.StorageKind(crd).Version
		was := s.stored[crd.GetName()]
		dropped := slices.ContainsFunc(was, func(v string) bool { return !slices.Contains(defined, v) })
		if dropped && !slices.Contains(defined, was[0]) {
			problems = append(problems, fmt.Sprintf("%s stores its objects as %s, which %s (%s) does not have",
				crd.GetName(), was[0], to.Line.Pipeline, strings.Join(defined, ", ")))
			continue
		}
		if dropped {
			was = was[:1] // the install writes all objects in this version
		}
		next.stored[crd.GetName()] = append([]string{storage},
			slices.DeleteFunc(slices.Clone(was), func(v string) bool { return v == storage })...)
	}
	return next, problems
}

// suffices says why one install is enough to get to a line.
func (s state) suffices(to Stop) []string {
	compared := 0
	for _, obj := range to.Objects {
		if manifest.IsDefinition(obj) && s.stored[obj.GetName()] != nil {
			compared++
		}
	}
	reasons := []string{fmt.Sprintf("%s has every version in which the cluster stores objects (%d definitions compared)",
		to.Line.Pipeline, compared)}
	if minimum := kubernetesMinimum(to); minimum != "" && s.server != nil {
		reasons = append(reasons, fmt.Sprintf("it starts on Kubernetes %s and newer, and the server runs %s", minimum, s.server))
	}
	return reasons
}

func kubernetesMinimum(s Stop) string {
	return installer.KubernetesMinimum(installer.Release{
		Objects: s.Objects, Versions: installer.Versions{Pipeline: s.Line.Pipeline, Triggers: s.Line.Triggers},
	})
}
