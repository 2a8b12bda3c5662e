package containers

import (
	"context"
	"path"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var dockerInDockerRule = &rule.Rule{
	ID:       "docker-in-docker",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds sidecars and steps that run a Docker daemon: an image called docker whose tag
says dind or that runs privileged, or the command dockerd.

It works only privileged, which gives the node away to what is built; each run starts
without any layer; and the registries' mirrors and certificates of the node do not
hold in it. Images with dind-rootless pass.`,
	Check: checkDockerInDocker,
}

func checkDockerInDocker(_ context.Context, p *rule.Pass) {
	for _, c := range containersIn(p) {
		if runsDockerd(p, c) {
			p.Report(c.Path,
				"%s runs a Docker daemon, which needs a privileged container and so gives the node away: build with Kaniko or rootless BuildKit",
				c.Unit)
		}
	}
}

func runsDockerd(p *rule.Pass, c container) bool {
	var r object.Reader
	words := append(r.TextList(c.Fields, "command"), r.TextList(c.Fields, "args")...)
	if len(words) > 0 && path.Base(words[0]) == "dockerd" {
		return true
	}
	name := fill(p, c.Task, r.Text(c.Fields, "image"))
	if !strings.Contains(name, "docker") {
		return false
	}
	ref, err := image.Parse(name)
	if err != nil || path.Base(ref.Path) != "docker" || strings.Contains(ref.Tag, "rootless") {
		return false
	}
	return strings.Contains(ref.Tag, "dind") || c.security("privileged", false) == true
}
