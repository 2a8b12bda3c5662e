package sources

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var tektonMountRule = &rule.Rule{
	ID:       "tekton-mount",
	Severity: rule.Error,
	Kinds:    rule.WithSteps,
	Doc: `Finds a mountPath of a step or stepTemplate that leads below /tekton when ` + "`..`" + ` and double
slashes are resolved, such as ` + "`/tekton/home/../results`" + `. Tekton keeps results, scripts and
the steps' states there; who mounts a volume over them writes another step's results
(CVE-2026-40923, GHSA-rx35-6rhx-7858; fixed in v1.6.2 and v1.11.1 for steps, while a
stepTemplate is not looked at even in v1.15.0).

/tekton/home passes, as in Tekton, and so does /tekton/creds in a stepTemplate: it is a
folder of each step's own, and credentials are mounted there.`,
	Check: checkTektonMount,
}

func checkTektonMount(_ context.Context, p *rule.Pass) {
	var r object.Reader
	for _, task := range object.Tasks(p.Object) {
		checkTektonMounts(p, task.Template(&r), task.Path+".stepTemplate", "/tekton/home", "/tekton/creds")
		steps, _ := task.Steps()
		for _, step := range steps {
			checkTektonMounts(p, step.Fields, step.Path, "/tekton/home")
		}
	}
}

func checkTektonMounts(p *rule.Pass, fields map[string]any, at string, free ...string) {
	var r object.Reader
	for i, mount := range r.FieldsList(fields, "volumeMounts") {
		text := r.Text(mount, "mountPath")
		clean := path.Clean("/" + text)
		passes := slices.ContainsFunc(free, func(folder string) bool { return strings.HasPrefix(clean, folder) })
		if text != "" && certain(text) && strings.HasPrefix(clean, "/tekton/") && !passes {
			p.Report(fmt.Sprintf("%s.volumeMounts[%d].mountPath", at, i),
				"the volume would be mounted at %.80s, where Tekton keeps results, scripts and states of all steps (CVE-2026-40923): mount it outside /tekton",
				clean)
		}
	}
}
