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

// busybox is the shell image where a mirror lacks cgr.dev: a small image that
// can run as root, which is what Tekton asks of it.
const busybox = "library/busybox:1.36.1"

// Presets are the mirrors that `--mirror` and `mirror.preset` know by name.
// What DaoCloud carries, and how it names it, is from its own list
// (github.com/DaoCloud/public-image-mirror).
var Presets = []Preset{
	{
		Name: "daocloud",
		Doc: "m.daocloud.io in front of the whole reference. It keeps digests. It does not carry cgr.dev, " +
			"so Tekton's shell image is Docker Hub's busybox there.",
		Rules: []Rule{
			{Match: "cgr.dev/chainguard/busybox", To: Targets{"m.daocloud.io/docker.io/" + busybox}},
			{Match: "**", To: Targets{"m.daocloud.io/{host}/{path}"}},
		},
	},
	{
		Name: "daocloud-hosts",
		Doc: "the same mirror by host: ghcr.m.daocloud.io for ghcr.io and so on. It keeps digests. " +
			"Hosts that it does not carry have no rule; the shell image is Docker Hub's busybox.",
		Rules: []Rule{
			{Match: "cgr.dev/chainguard/busybox", To: Targets{"docker.m.daocloud.io/" + busybox}},
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
			"digests differ and are dropped, not every version is there, and most are for amd64 alone. Docker Hub's own images stay.",
		Rules: []Rule{
			{Match: "cgr.dev/chainguard/busybox", To: Targets{"docker.io/" + busybox}, Digest: DigestDrop},
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
