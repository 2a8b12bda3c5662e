package triggers

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator/rule"
)

var missingServiceAccountRule = &rule.Rule{
	ID:       "missing-service-account",
	Severity: rule.Error,
	Others:   true,
	Discreet: true,
	Kinds:    slices.Concat(rule.WithTriggers, rule.Runs),
	Doc: `Finds ServiceAccounts that an EventListener, a Trigger or a run names and that do not exist in
its namespace.

Without that of an EventListener its Pod is never created, and no event is ever
answered; without that of a trigger Tekton answers 202 and may create nothing. Without
that of a run Tekton cannot create its Pod, and fails the run for good (createPod in
pkg/reconciler/taskrun/taskrun.go of v1.15.0).

Of a run, its own ServiceAccount and those of taskRunSpecs are looked for. A run that names
none has the default-service-account of Tekton's config-defaults: Tekton's webhook writes it
into the run. Not looked for are

- default, which Kubernetes creates in every namespace;
- names with a $(…) in them, and those of runs in templates for another namespace;
- those of runs that have ended, and of TaskRuns that a PipelineRun has created.`,
	Check: checkMissingServiceAccount,
}

func checkMissingServiceAccount(ctx context.Context, p *rule.Pass) {
	if p.Namespace == "" {
		return
	}
	if rule.Runs[0].Group == p.Kind.Group {
		checkAccountsOfRun(ctx, p)
		return
	}
	for _, account := range triggerAccounts(p) {
		found, err := lookForAccount(ctx, p, account.Name)
		switch {
		case err != nil:
			p.Unknown(account.Path, "looking for ServiceAccount "+strconv.Quote(account.Name), err)
		case !found:
			p.Report(account.Path,
				"ServiceAccount %q does not exist in namespace %q, so nothing can be created for %s: %s",
				account.Name, p.Namespace, account.Unit, similarAccount(ctx, p, account.Name))
		}
	}
}

// lookForAccount also finds names that cannot be looked for.
func lookForAccount(ctx context.Context, p *rule.Pass, name string) (bool, error) {
	if name == "" || expression.Any(name) {
		return true, nil
	}
	found, err := p.Cluster.Get(ctx, serviceAccounts, p.Namespace, name)
	return found != nil, err
}

func similarAccount(ctx context.Context, p *rule.Pass, name string) string {
	existing := p.Similar(ctx, serviceAccounts, p.Namespace)
	return suggest.DidYouMean(name, existing, "create it first, or correct the name")
}

// checkAccountsOfRun says nothing about a look-up that fails: runs are created by the thousand.
func checkAccountsOfRun(ctx context.Context, p *rule.Pass) {
	if hasEnded(p) || p.OfPipelineRun() || isForAnotherNamespace(p) {
		return
	}
	for _, account := range object.AccountsOf(p.Object) {
		if account.Name == "" && p.Offline && account.Task == "" {
			account.Name = defaultAccount(ctx, p)
		}
		found, err := lookForAccount(ctx, p, account.Name)
		if found || err != nil || account.Name == "default" {
			continue
		}
		unit, whose := "this "+p.Kind.Kind, ""
		if account.Task != "" {
			unit = fmt.Sprintf("task %q", account.Task)
		} else if defaultAccount(ctx, p) == account.Name {
			whose = ", the default-service-account of Tekton,"
		}
		p.Report(account.Path, "ServiceAccount %q%s does not exist in namespace %q, so Tekton fails %s for good: %s",
			account.Name, whose, p.Namespace, unit, similarAccount(ctx, p, account.Name))
	}
}

func hasEnded(p *rule.Pass) bool {
	var r object.Reader
	return r.Text(r.Fields(p.Object, "status"), "completionTime") != ""
}

// isForAnotherNamespace reports whether a template creates the run in another namespace than
// its own: whoever may write the template need not know what is there.
func isForAnotherNamespace(p *rule.Pass) bool {
	if p.Template == nil {
		return false
	}
	var r object.Reader
	own := r.Text(r.Fields(p.Object, "metadata"), "namespace")
	return own != "" && own != r.Text(r.Fields(p.Template, "metadata"), "namespace")
}

// defaultAccount returns the ServiceAccount that Tekton gives to runs that name none, "" where
// that cannot be known.
func defaultAccount(ctx context.Context, p *rule.Pass) string {
	if p.Outside.Of(wellknown.PipelinesNamespace) {
		return ""
	}
	configMap := schema.GroupKind{Kind: "ConfigMap"}
	found, err := p.Cluster.Get(ctx, configMap, wellknown.PipelinesNamespace, "config-defaults")
	if err != nil {
		return ""
	}
	var r object.Reader
	return r.Text(r.Fields(found, "data"), "default-service-account")
}
