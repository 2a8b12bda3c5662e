package mutator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

var serviceAccountRule = Rule{
	ID:    "service-account",
	Kinds: runs,
	Doc: `Gives a run that names no ServiceAccount the one of the configuration, so that
its steps find the registry credentials that this ServiceAccount holds.

Configured by ` + "`mutator.serviceAccount.name`" + `. It has no default: without a
name the rule does nothing. A Namespace may name its own, see
[Namespaces](../docs/mutation.md#namespaces).

A PipelineRun's tasks get what the PipelineRun has, so it is set there. A run is
left alone if

- it names a ServiceAccount, be it ` + "`default`" + `. Names in
  ` + "`mutator.serviceAccount.treatAsUnset`" + ` count as none; with ` + "`[default]`" + ` the rule
  works wherever Tekton's own webhook is called first, too, and overrides authors
  who wrote ` + "`default`" + `;
- a PipelineRun owns it, since the PipelineRun has decided for it;
- its namespace has no ServiceAccount of that name. Tekton would fail the run for
  good, and no namespace gains a ServiceAccount that nobody created there;
- the look-up fails. The answer then has a warning.

What a PipelineRun says about single tasks (` + "`taskRunSpecs`" + `) stays.

A ServiceAccount is a privilege: every step of the run is given its credentials.
To set one for all runs without Tekgate, use Tekton's own
` + "`default-service-account`" + ` in the ConfigMap config-defaults.`,
	scope: func(s *settings) *scope { return &s.scopes.account },
	apply: applyServiceAccount,
}

func applyServiceAccount(ctx context.Context, p *pass) {
	place, ok := object.SettingsOf(p.object)
	if !ok {
		p.not("", "it is not of the shape that Tekton takes")
		return
	}
	if why := p.hasServiceAccount(place); why != "" {
		p.not("", why)
		return
	}
	name := p.settings.ServiceAccount.Name
	account, err := p.serviceAccount(ctx, name)
	if err != nil {
		p.warn("the %s got no ServiceAccount: looking up %q in namespace %q failed: %q", p.kind.Kind, name, p.space,
			err)
		return
	}
	if account == nil {
		p.not("", fmt.Sprintf("namespace %q has no ServiceAccount %q", p.space, name))
		return
	}
	place.Set("serviceAccountName", name)
	p.written = nil // for tasks know it now
	p.reread()
	p.did(place.Path, "set serviceAccountName to "+name)
}

// hasServiceAccount says why a run takes its ServiceAccount from elsewhere, or "".
//
// After Tekton's own webhook no run is without: it has filled in "default", and
// this rule, called again, respects that like a name that the author chose.
func (p *pass) hasServiceAccount(place object.Settings) string {
	var r object.Reader
	given := r.Text(place.Fields, "serviceAccountName")
	owners := r.FieldsList(r.Fields(p.object, "metadata"), "ownerReferences")
	switch {
	case r.Odd:
		return "it is not of the shape that Tekton takes"
	case given != "" && !slices.Contains(p.settings.ServiceAccount.TreatAsUnset, given):
		return fmt.Sprintf("it names the ServiceAccount %q", given)
	case slices.ContainsFunc(owners, isPipelineRun):
		return "a PipelineRun owns it, and has decided"
	}
	return ""
}

// isPipelineRun takes every kind of ownership, not that of a controller alone.
// Anybody can write an owner into a TaskRun, yet gains nothing: it takes a
// privilege away.
func isPipelineRun(owner map[string]any) bool {
	kind, _ := owner["kind"].(string)
	version, _ := owner["apiVersion"].(string)
	return kind == "PipelineRun" && strings.HasPrefix(version, "tekton.dev/")
}
