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
	Kinds: taskRuns,
	Doc: `Gives a TaskRun that names no ServiceAccount the one of the configuration, so
that its steps find the registry credentials that this ServiceAccount holds.

Configured by ` + "`mutator.serviceAccount.name`" + `. It has no default: without a
name the rule does nothing.

A TaskRun is left alone if

- it names a ServiceAccount, be it ` + "`default`" + `;
- a PipelineRun owns it, since the PipelineRun has decided for it;
- its namespace has no ServiceAccount of that name. Tekton would fail the run for
  good, and no namespace gains a ServiceAccount that nobody created there;
- the look-up fails. The answer then has a warning.

A ServiceAccount is a privilege: every step of the TaskRun is given its
credentials. To set one for all runs without Tekgate, use Tekton's own
` + "`default-service-account`" + ` in the ConfigMap config-defaults.`,
	Apply: applyServiceAccount,
}

func applyServiceAccount(ctx context.Context, in Input) Effect {
	name := in.Config.ServiceAccount.Name
	if name == "" || in.ServiceAccounts == nil {
		return Effect{}
	}
	spec := gapForServiceAccount(in.Object)
	if spec == nil {
		return Effect{}
	}
	exists, err := in.ServiceAccounts.Exists(ctx, in.Namespace, name)
	if err != nil {
		return Effect{Warnings: []string{fmt.Sprintf(
			"the TaskRun got no ServiceAccount: looking up %q in namespace %q failed: %q", name, in.Namespace, err)}}
	}
	if !exists {
		return Effect{}
	}
	spec["serviceAccountName"] = name
	return Effect{Did: fmt.Sprintf("set serviceAccountName to %s", name)}
}

// gapForServiceAccount returns the spec of a TaskRun that takes its
// ServiceAccount from nobody, nil otherwise.
//
// After Tekton's own webhook no TaskRun is without: it has filled in "default",
// and this rule, called again, respects that like a name that the author chose.
func gapForServiceAccount(taskRun map[string]any) map[string]any {
	var r object.Reader
	spec := r.Fields(taskRun, "spec")
	given := r.Text(spec, "serviceAccountName")
	owners := r.FieldsList(r.Fields(taskRun, "metadata"), "ownerReferences")
	if r.Odd || given != "" || slices.ContainsFunc(owners, isPipelineRun) {
		return nil
	}
	return spec
}

// isPipelineRun takes every kind of ownership, not that of a controller alone.
// Anybody can write an owner into a TaskRun, yet gains nothing: it takes a
// privilege away.
func isPipelineRun(owner map[string]any) bool {
	kind, _ := owner["kind"].(string)
	version, _ := owner["apiVersion"].(string)
	return kind == "PipelineRun" && strings.HasPrefix(version, "tekton.dev/")
}
