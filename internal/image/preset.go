package image

import "slices"

// Preset is a mirror that is known by name.
type Preset struct {
	Name string
	// Doc says in a sentence what it is and what it lacks.
	Doc   string
	Rules []Rule
	Keep  []string
}

// Shell images for mirrors that lack cgr.dev. With Tekton's feature flag set-security-context the
// container place-scripts must not run as root, and gets no user, so the image must name a user by
// number. docs/mirrors.md has the reasons for the choice.
const (
	// distroless is below gcr.io. Its user is 65532, and its PATH has /busybox with sh, touch, chmod
	// and cat (github.com/GoogleContainerTools/distroless, base/base.bzl and README.md). Releases of
	// Pipelines before v0.35 used an image of the same series as shell image.
	distroless = "distroless/static-debian12:debug-nonroot"
	// chainguard is Tekton's own shell image as its maker publishes it on Docker Hub, where only the
	// tag latest is free. Its user is 65532 (github.com/chainguard-images/images,
	// images/busybox/locked_config.json).
	chainguard = "chainguard/busybox:latest"
	// busybox runs as root: it serves only while set-security-context is off.
	busybox = "library/busybox:1.36.1"
)

// Presets are the mirrors that `--mirror` and `mirror.preset` know by name.
// What DaoCloud carries, and how it names it, is from its own list
// (github.com/DaoCloud/public-image-mirror, allows.txt): gcr.io/** and
// docker.io/library/busybox are in it, cgr.dev and docker.io/chainguard are not.
var Presets = []Preset{
	{
		Name: "daocloud",
		Doc: "m.daocloud.io in front of the whole reference. It keeps digests. It does not carry cgr.dev, " +
			"so Tekton's shell image is distroless static:debug-nonroot there, or else Docker Hub's busybox.",
		Rules: []Rule{
			{Match: "cgr.dev/chainguard/busybox", To: Targets{
				"m.daocloud.io/gcr.io/" + distroless, "m.daocloud.io/docker.io/" + busybox,
			}},
			{Match: "**", To: Targets{"m.daocloud.io/{host}/{path}"}},
		},
	},
	{
		Name: "daocloud-hosts",
		Doc: "the same mirror by host: ghcr.m.daocloud.io for ghcr.io and so on. It keeps digests. " +
			"Hosts that it does not carry have no rule; the shell image is as in daocloud.",
		Rules: []Rule{
			{Match: "cgr.dev/chainguard/busybox", To: Targets{
				"gcr.m.daocloud.io/" + distroless, "docker.m.daocloud.io/" + busybox,
			}},
			{Match: "docker.io/**", To: Targets{"docker.m.daocloud.io/{path}"}},
			{Match: "gcr.io/**", To: Targets{"gcr.m.daocloud.io/{path}"}},
			{Match: "ghcr.io/**", To: Targets{"ghcr.m.daocloud.io/{path}"}},
			{Match: "k8s.gcr.io/**", To: Targets{"k8s-gcr.m.daocloud.io/{path}"}},
			{Match: "mcr.microsoft.com/**", To: Targets{"mcr.m.daocloud.io/{path}"}},
			{Match: "quay.io/**", To: Targets{"quay.m.daocloud.io/{path}"}},
			{Match: "registry.k8s.io/**", To: Targets{"k8s.m.daocloud.io/{path}"}},
		},
	},
	{
		Name: "tektondev",
		Doc: "copies on Docker Hub, docker.io/tektondev/pipeline-controller and so on, which users made by pull and push: " +
			"digests differ and are dropped, not every version is there, and most are for amd64 alone. Docker Hub's own images stay. " +
			"The shell image is Chainguard's busybox on Docker Hub, or else Docker Hub's own.",
		Rules: []Rule{
			{
				Match:  "cgr.dev/chainguard/busybox",
				To:     Targets{"docker.io/" + chainguard, "docker.io/" + busybox},
				Digest: DigestDrop,
			},
			{Match: "**", To: Targets{"docker.io/tektondev/{component}-{binary}"}, Digest: DigestDrop},
			{Match: "**", To: Targets{"docker.io/tektondev/{name}"}, Digest: DigestDrop},
		},
		Keep: []string{"docker.io/**"},
	},
	{
		Name: "upstream",
		Doc:  "the registries that Tekton publishes to, for a cluster that reaches them.",
		Keep: []string{"**"},
	},
}

// Layout is a way to arrange images below a registry.
type Layout struct {
	Name string
	// Doc says what it is good for.
	Doc string
	// Templates stand below the registry; the first that applies wins.
	Templates []string
}

// Layouts are what `mirror.layout` knows; the first is the default.
var Layouts = []Layout{
	{"component-binary", "names for people: Tekton's images by what they hold, others by their last element",
		[]string{"{component}-{binary}", "{name}"}},
	{"keep-path", "the path as it is, as a Harbor project that replicates has it", []string{"{path}"}},
	{
		"host-path",
		"host and path as they are, as a proxy cache of many registries has them; two hosts never collide",
		[]string{"{host}/{path}"},
	},
	{
		"dotted",
		"host and path in one element, with dots for slashes, for registries that allow two elements only",
		[]string{"{dotted}"},
	},
	{"last-segment", "the last element of the path, MD5 suffix included", []string{"{name}"}},
}

func layoutOf(name string) (templates []string, ok bool) {
	if name == "" {
		return Layouts[0].Templates, true
	}
	i := slices.IndexFunc(Layouts, func(l Layout) bool { return l.Name == name })
	if i < 0 {
		return nil, false
	}
	return Layouts[i].Templates, true
}

func layoutNames() []string {
	names := make([]string, 0, len(Layouts))
	for _, l := range Layouts {
		names = append(names, l.Name)
	}
	return names
}

func presetNames() []string {
	names := make([]string, 0, len(Presets))
	for _, p := range Presets {
		names = append(names, p.Name)
	}
	return names
}

// Shorthand returns the Mirror that `--mirror` stands for: a preset's name, or
// a registry and path.
func Shorthand(arg string) Mirror {
	if slices.Contains(presetNames(), arg) {
		return Mirror{Preset: arg}
	}
	return Mirror{Registry: arg}
}
