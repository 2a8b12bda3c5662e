package expressions

import (
	"context"
	"fmt"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/validator/rule"
)

var unsetExtensionRule = &rule.Rule{
	ID:       "unset-extension",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds bindings of a trigger that take ` + "`$(extensions.NAME)`" + ` where none of its interceptors sets it:
a misspelt name below ` + "`extensions.git`" + ` of Tekgate's interceptor, a name that no overlay has, and overlays
whose key begins with ` + "`extensions.`" + `, which Triggers puts below extensions once more. Triggers drops such
an event after it has answered 202, or takes the TriggerTemplate's default for every event.

The rule knows what ` + "`cel`, `github`, `gitlab`, `bitbucket`, `slack` and `tekgate`" + ` set (v0.37.0). A trigger with
any other interceptor passes. A Trigger passes unless EventListeners are in the same set: their trigger
groups may have interceptors of their own, whose extensions count.`,
	Check: checkUnsetExtension,
}

func checkUnsetExtension(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		set := extensionsOf(ctx, p, t.Trigger)
		p.Step(1 + len(t.Bound))
		for _, bound := range t.Bound {
			value, _ := bound.Value.(string)
			for _, e := range expression.Bound(value) {
				reportUnset(p, t, bound, set, e)
			}
		}
	}
}

func reportUnset(p *rule.Pass, t boundTrigger, bound boundParam, set *extension, e expression.Expression) {
	nodes, problem := bindingPath(e)
	if root, is := fieldOf(nodes, 0); !is || !strings.EqualFold(root, "extensions") || !e.Closed || problem != "" {
		return
	}
	_, missing, beside := set.lookUp(nodes[1:])
	if len(missing) == 0 {
		return
	}
	name := strings.Join(missing, ".")
	// nodes begin with extensions: looked up below extensions, they are below it twice.
	if doubled, _, _ := set.lookUp(nodes); doubled != nil && doubled.path != "" {
		key := strings.TrimPrefix(doubled.key, "extensions.")
		finding := p.Report(doubled.path+".key",
			"the key of an overlay is below extensions already, so this one sets $(extensions.extensions.%s), and %s finds nothing: write key: %s",
			key, e.Text, key)
		p.Mend(finding, rule.Edit{Op: "replace", Path: doubled.path + ".key", Value: key})
		return
	}
	prefix := strings.Join(missing[:len(missing)-1], ".")
	what := fmt.Sprintf("no interceptor of %s sets extensions.%s", t.Unit, name)
	if prefix == "git" && set.fields["git"].path == "" {
		what = "interceptor tekgate has no extension " + name
	}
	p.Report(bound.valuePath(), "param %q%s has %s, and %s: %s", bound.Name, bound.from(), e.Text, what,
		remedyOfUnset(p, set, beside, missing))
}

// remedyOfUnset names what was most likely meant.
func remedyOfUnset(p *rule.Pass, set, beside *extension, missing []string) string {
	last := len(missing) - 1
	prefix, name := strings.Join(missing[:last], "."), missing[last]
	if git := set.fields["git"]; git != nil && last == 0 && git.fields[name] != nil {
		return fmt.Sprintf("did you mean git.%s?", name)
	}
	if best := p.Closest(name, beside.names); best != "" {
		return fmt.Sprintf("did you mean %s?", strings.TrimPrefix(prefix+"."+best, "."))
	}
	if last == 0 && name == "changed_files" {
		return "give the github interceptor the param addChangedFiles with enabled: true"
	}
	return "add an overlay that does, or correct the name"
}

// valuePath is where the value stands, or the reference to the binding that has it.
func (b boundParam) valuePath() string {
	if b.From == "" {
		return b.Path + ".value"
	}
	return b.Path
}
