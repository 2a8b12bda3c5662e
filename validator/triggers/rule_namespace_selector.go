package triggers

import (
	"context"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var namespaceSelectorRule = &rule.Rule{
	ID:       "namespace-selector",
	Severity: rule.Warning,
	Kinds:    rule.EventListeners,
	Doc: `Finds EventListeners and trigger groups that pick Triggers of all namespaces, or of others
than their own without a labelSelector.

Whoever may create a Trigger in one of them starts work with each of the EventListener's
events, reads its payload, and needs no leave of those who run it. With a labelSelector at
least those Triggers alone are picked that ask for it; for * nothing will do.

A * among other names is no pattern: it is the name of no namespace.`,
	Check: checkNamespaceSelector,
}

func checkNamespaceSelector(_ context.Context, p *rule.Pass) {
	for _, s := range selectorsIn(p) {
		path := s.Path + ".namespaceSelector.matchNames"
		others := slices.DeleteFunc(slices.Clone(s.Namespaces), func(n string) bool {
			return n == "" || n == "*" || n == p.Namespace
		})
		switch star := slices.Contains(s.Namespaces, "*"); {
		case star && len(s.Namespaces) == 1:
			p.Report(path,
				"* picks Triggers of every namespace, so whoever may create one anywhere gets these events: name the namespaces, and add a labelSelector")
		case star:
			p.Report(path,
				"* stands for all namespaces only where it is alone, and picks nothing beside other names: remove it")
		case len(others) > 0 && s.Labels == nil:
			p.Report(path,
				"every Trigger in %s gets these events, whoever creates it: add a labelSelector that such Triggers have to carry",
				strings.Join(others, ", "))
		}
	}
}
