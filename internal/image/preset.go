package image

// Preset is a mirror that is known by name.
type Preset struct {
	Name string
	// Doc says in a sentence what it is and what it lacks.
	Doc   string
	Rules []Rule
	Keep  []string
}

// Presets are the mirrors that `--mirror` and `mirror.preset` know by name.
var Presets = []Preset{
	{
		Name: "daocloud",
		Doc: "m.daocloud.io in front of the whole reference. It keeps digests. It does not carry cgr.dev, " +
			"so Tekton's shell image is Docker Hub's busybox there.",
		Rules: []Rule{
			{Match: "cgr.dev/chainguard/busybox", To: "m.daocloud.io/docker.io/library/busybox:1.36.1"},
			{Match: "**", To: "m.daocloud.io/{host}/{path}"},
		},
	},
	{
		Name: "upstream",
		Doc:  "the registries that Tekton publishes to, for a cluster that reaches them.",
		Keep: []string{"**"},
	},
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
	for _, p := range Presets {
		if p.Name == arg {
			return Mirror{Preset: arg}
		}
	}
	return Mirror{Registry: arg}
}
