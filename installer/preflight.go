package installer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// Finding is something about the cluster that an install would run into.
type Finding struct {
	// Category is one of kubernetes, permissions, owner, nodes, release, images, certificates,
	// settings, components.
	Category string `json:"category"`
	// Fatal findings stop an install unless it is forced.
	Fatal    bool   `json:"fatal"`
	Sentence string `json:"sentence"`
	Remedy   string `json:"remedy,omitempty"`
}

func (f Finding) String() string {
	if f.Remedy == "" {
		return f.Category + ": " + f.Sentence
	}
	return f.Category + ": " + f.Sentence + ": " + f.Remedy
}

// Facts are what Preflight judges.
type Facts struct {
	// Server is the server's version.
	Server string
	// Inventory is of the installation that is there; nil where there is none.
	Inventory *Inventory
	// Now is the time that ends of support are compared with; the zero time for none.
	Now time.Time
	// Older allows versions that are older than those of the inventory.
	Older bool
	// Live holds the cluster's objects of the same identity as the release's.
	Live map[string]*unstructured.Unstructured
	// Unserved are sentences about objects whose kind the server lacks.
	Unserved []string
	// Denied are permissions that the user lacks, such as "create deployments.apps in tekton-pipelines".
	Denied []string
	// Architectures counts nodes by "os/architecture"; nil where the user may
	// not list nodes.
	Architectures map[string]int
	// Operator names the TektonConfigs of tektoncd/operator.
	Operator []string
	// Stranded are sentences about definitions that would drop the version in
	// which the cluster stores their objects.
	Stranded []string
	// Needed are the objects outside the release that its parts need, by their identity; nil
	// for one that is not there. One that the user may not read is left out.
	Needed map[string]*unstructured.Unstructured
	// Serving are the namespaces and names of Services with an endpoint that is ready.
	Serving map[string]bool
}

// Preflight says what speaks against installing a release.
func Preflight(release Release, facts Facts) []Finding {
	var findings []Finding
	findings = append(findings, CheckKubernetes(release, facts.Server)...)
	findings = append(findings, checkUnserved(facts)...)
	findings = append(findings, checkDenied(facts)...)
	findings = append(findings, checkOwners(release, facts)...)
	findings = append(findings, checkPrevious(release, facts)...)
	findings = append(findings, checkLine(release, facts.Now)...)
	findings = append(findings, checkNodes(facts)...)
	findings = append(findings, checkParts(release, facts)...)
	return findings
}

// minimums are the lowest Kubernetes versions that releases of Pipelines from
// the given one on start on. Releases from v0.69 on say it themselves.
var minimums = []struct{ pipeline, kubernetes string }{
	{"0.61.0", "1.28.0"}, {"0.59.0", "1.27.0"}, {"0.51.0", "1.25.0"}, {"0.45.0", "1.24.0"}, {"0.41.0", "1.23.0"},
	{"0.39.0", "1.22.0"}, {"0.33.0", "1.21.0"}, {"0.30.0", "1.20.0"}, {"0.0.0", "1.19.0"},
}

// minimumOf returns the lowest Kubernetes version that a release starts on, and
// where that is known from.
func minimumOf(release Release) (minimum *semver.Version, source string) {
	for _, obj := range release.Objects {
		for _, text := range envValues(obj, "KUBERNETES_MIN_VERSION") {
			v, err := semver.NewVersion(text)
			if err == nil && (minimum == nil || v.GreaterThan(minimum)) {
				minimum, source = v, kube.Name(obj)
			}
		}
	}
	pipeline, err := semver.NewVersion(release.Versions.Pipeline)
	if minimum != nil || err != nil {
		return minimum, source
	}
	for _, m := range minimums {
		if !pipeline.LessThan(semver.MustParse(m.pipeline)) {
			return semver.MustParse(m.kubernetes), "Tekton Pipelines " + release.Versions.Pipeline
		}
	}
	return nil, ""
}

func envValues(obj *unstructured.Unstructured, variable string) []string {
	var values []string
	for _, container := range live.Containers(obj) {
		for _, entry := range live.Maps(container, "env") {
			if value, ok := entry["value"].(string); ok && entry["name"] == variable {
				values = append(values, value)
			}
		}
	}
	return values
}

// CheckKubernetes returns why a release does not run on a version of Kubernetes, or was not tried
// there.
func CheckKubernetes(release Release, server string) []Finding {
	v, err := semver.NewVersion(server)
	if err != nil {
		return []Finding{
			{
				"kubernetes",
				false,
				fmt.Sprintf("the server calls its version %q, which says nothing", server),
				"compare it with the release's requirements yourself",
			},
		}
	}
	// A provider's suffix such as -gke.1 is no pre-release.
	plain := semver.New(v.Major(), v.Minor(), v.Patch(), "", "")
	var findings []Finding
	if minimum, source := minimumOf(release); minimum != nil && plain.LessThan(minimum) {
		findings = append(
			findings,
			Finding{
				"kubernetes",
				true,
				fmt.Sprintf("the server runs Kubernetes %s, and %s does not start below %s", server, source, minimum),
				"upgrade the cluster, or install an older release with --pipeline-manifest and --triggers-manifest",
			},
		)
	}
	return append(findings, checkMaximum(release, plain, server)...)
}

// checkMaximum knows of releases that newer servers broke. Seen on a real
// cluster: v0.27.3 comes up on 1.22 and later, but its webhook refuses every
// object that has a status, and v0.38.4 works.
func checkMaximum(release Release, server *semver.Version, said string) []Finding {
	pipeline, err := semver.NewVersion(release.Versions.Pipeline)
	if err != nil || server.LessThan(semver.MustParse("1.22.0")) {
		return nil
	}
	const remedy = "install v0.38.4, the newest release with the same API, which works"
	switch {
	case pipeline.LessThan(semver.MustParse("0.28.0")):
		return []Finding{
			{
				"kubernetes",
				true,
				fmt.Sprintf(
					"Tekton Pipelines %s cannot work on Kubernetes %s: its webhook refuses every status update, "+
						"because it does not know the field `subresource` that managedFields have since 1.22, so that no run would ever start",
					release.Versions.Pipeline,
					said,
				),
				remedy,
			},
		}
	case pipeline.LessThan(semver.MustParse("0.38.0")):
		return []Finding{
			{
				"kubernetes",
				false,
				fmt.Sprintf(
					"Tekton Pipelines %s is older than Kubernetes %s and was not tried on it",
					release.Versions.Pipeline,
					said,
				),
				remedy,
			},
		}
	}
	return nil
}

func checkUnserved(facts Facts) []Finding {
	var findings []Finding
	for _, sentence := range facts.Unserved {
		findings = append(
			findings,
			Finding{
				"kubernetes",
				true,
				sentence,
				"install a release that is made for this Kubernetes, or one whose manifests use a version that it serves",
			},
		)
	}
	for _, sentence := range facts.Stranded {
		findings = append(
			findings,
			Finding{"release", true, sentence, "upgrade to a release in between first, which serves both"},
		)
	}
	return findings
}

func checkDenied(facts Facts) []Finding {
	if len(facts.Denied) == 0 {
		return nil
	}
	return []Finding{
		{
			"permissions",
			true,
			"you may not " + strings.Join(facts.Denied, ", "),
			"install " + AsAdministrator,
		},
	}
}

func checkOwners(release Release, facts Facts) []Finding {
	var findings []Finding
	if len(facts.Operator) > 0 {
		findings = append(
			findings,
			Finding{
				"owner",
				true,
				"tektoncd/operator rules this cluster's Tekton (TektonConfig " + strings.Join(
					facts.Operator,
					", ",
				) + ") and would undo what Tekgate does",
				"remove it before Tekgate takes over, or pass --force and let both fight",
			},
		)
	}
	byOwner := map[Owner][]string{}
	for _, rendered := range release.Objects {
		current := facts.Live[kube.Identity(rendered)]
		if owner, owned := OwnerOf(current, rendered); owned {
			byOwner[owner] = append(byOwner[owner], kube.Name(current))
		}
	}
	byName := func(a, b Owner) int { return strings.Compare(a.Name, b.Name) }
	for _, owner := range slices.SortedFunc(maps.Keys(byOwner), byName) {
		owned := byOwner[owner]
		slices.Sort(owned)
		findings = append(
			findings,
			Finding{
				"owner",
				true,
				fmt.Sprintf("%s owns %s", owner.Name, firstOf(owned)),
				owner.Remedy + ", or pass --force and let both fight",
			},
		)
	}
	return findings
}

// firstOf names the first of many.
func firstOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%d objects, %s among them", len(names), names[0])
}

// published are the architectures that Tekton's images are built for.
var published = []string{"linux/amd64", "linux/arm", "linux/arm64", "linux/ppc64le", "linux/s390x"}

func checkNodes(facts Facts) []Finding {
	if facts.Architectures == nil {
		return nil
	}
	if len(facts.Architectures) == 0 {
		return []Finding{
			{
				"nodes",
				false,
				"the cluster has no node, so nothing that is installed will run",
				"add a node; until then only --wait=false does not wait for it",
			},
		}
	}
	usable := 0
	var others []string
	for _, platform := range slices.Sorted(maps.Keys(facts.Architectures)) {
		if slices.Contains(published, platform) {
			usable++
		} else if !strings.HasPrefix(platform, "windows/") {
			others = append(others, platform)
		}
	}
	if usable == 0 {
		return []Finding{
			{
				"nodes",
				true,
				"no node has an architecture that Tekton's images are built for (" + strings.Join(
					published,
					", ",
				) + ")",
				"add such a node",
			},
		}
	}
	if len(others) > 0 {
		return []Finding{
			{
				"nodes",
				false,
				"Tekton's images are not built for nodes of " + strings.Join(others, ", "),
				"keep its Pods away from them by a taint",
			},
		}
	}
	return nil
}
