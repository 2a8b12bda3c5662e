package containers

import (
	"context"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var unconfinedRule = &rule.Rule{
	ID:       "unconfined",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	AtUse:    true,
	Doc: `Finds containers and podTemplates that switch a protection of the container runtime
off: seccompProfile or appArmorProfile of type Unconfined, procMount Unmasked,
windowsOptions.hostProcess true.

Pod Security's level baseline refuses each of them.`,
	Check: checkUnconfined,
}

func checkUnconfined(_ context.Context, p *rule.Pass) {
	places := podTemplatesIn(p)
	for _, c := range containersIn(p) {
		places = append(places, c.place)
	}
	var r object.Reader
	for _, at := range places {
		context := r.Fields(at.Fields, "securityContext")
		for _, key := range []string{"seccompProfile", "appArmorProfile"} {
			if r.Text(r.Fields(context, key), "type") == "Unconfined" {
				p.Report(at.Path+".securityContext."+key,
					"%s switches the %s off, so the whole kernel is open to it: write RuntimeDefault, or a profile of your own",
					at.Unit, key)
			}
		}
		if r.Text(context, "procMount") == "Unmasked" {
			p.Report(at.Path+".securityContext.procMount",
				"%s has all of /proc, by which it can change the node's kernel: remove procMount",
				at.Unit)
		}
		if r.Flag(r.Fields(context, "windowsOptions"), "hostProcess") {
			p.Report(at.Path+".securityContext.windowsOptions.hostProcess",
				"%s runs as a process of the node: remove hostProcess", at.Unit)
		}
	}
}
