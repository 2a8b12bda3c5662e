package findings

import "github.com/tekgate/tekgate/validator"

// LintRules are the rules of lint itself. They have no Check, since they are about files.
var LintRules = []*validator.Rule{
	SyntaxRule, SuppressionRule, DuplicateRule, UnresolvedRule, RemoteRule, FluxRule,
}

// SyntaxRule reports documents that cannot be parsed.
var SyntaxRule = &validator.Rule{
	ID:       "syntax",
	Severity: validator.Error,
	Doc: `Finds documents that are not well-formed YAML or JSON, or no Kubernetes objects,
in files that hold tekton.dev.

Nothing of such a document can be judged. A template of Helm is none: judge what it
comes to, with ` + "`helm template CHART | tekgate lint -`" + `.`,
}

// SuppressionRule reports suppressions without effect.
var SuppressionRule = &validator.Rule{
	ID:       "suppression",
	Severity: validator.Warning,
	Doc: `Finds suppressions in .tekgatelint and comments ` + "`# tekgate: ignore`" + ` that suppress
nothing: since they match nothing, are over, give no reason or name no rule.

One that is left behind hides the next finding of its rule.`,
}

// DuplicateRule reports definitions of one name.
var DuplicateRule = &validator.Rule{
	ID:       "duplicate-definition",
	Severity: validator.Info,
	Doc: `Finds several Tasks, Pipelines or other objects of Tekton's with the same kind, namespace and name.

In a cluster the last one that is applied replaces the others. In one file that is an error. In several
files it is a hint, since folders often hold several versions of a Task, of which one is applied: a
reference is then judged by the nearest one, that is the one with which it has most folders in common,
and passed over where several are as near. What a kustomization.yaml names as a patch is no definition.`,
}

// UnresolvedRule reports remote references that lead nowhere.
var UnresolvedRule = &validator.Rule{
	ID:       "unresolved-reference",
	Severity: validator.Error,
	Doc: `Finds references with a resolver (bundles, git, http, hub) whose definition ` + "`tekgate lint --resolve`" + `
cannot get: it is not there, is of another kind, is not well-formed or too large, its server refuses or does not
answer, or it differs from what the lock recorded. A definition that leads to itself is one, too.

A run would fail in the same way, or run something else than what was judged. References whose params have no
value here, of the cluster resolver and of resolvers of your own, are passed over.`,
}

// RemoteRule reports what is wrong within remote definitions.
var RemoteRule = &validator.Rule{
	ID:       "remote-definition",
	Severity: validator.Info,
	Doc: `Finds errors within Tasks, Pipelines and StepActions that ` + "`tekgate lint --resolve`" + ` has fetched: what the
rules call an error in the definition itself, at the reference that leads to it.

It is a hint, since only the definition's author can correct it. Errors of the use, such as a missing param, are
reported by their own rules. Warnings and hints within definitions are passed over.`,
}

// FluxRule reports what Flux makes of variables in texts.
var FluxRule = &validator.Rule{
	ID:       "flux-substitution",
	Severity: validator.Warning,
	Doc: `Finds ${VAR} in Tekton's objects that a Kustomization of Flux among the files applies with postBuild, and
does not define.

Flux substitutes in the whole text of an object, scripts of steps among it: what it does not define becomes
empty, and what it cannot read, such as ${list[@]} or ${!x}, keeps it from applying anything.`,
}
