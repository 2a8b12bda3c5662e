package validator

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator/rule"
)

// webhooks are the kinds that each webhook of the validating configuration asks
// about (manifests/tekgate/500-webhooks.yaml).
var webhooks = []struct {
	name  string
	kinds []string
}{
	{wellknown.ValidateTriggers, []string{
		"EventListener", "Trigger", "TriggerTemplate", "TriggerBinding", "Interceptor", "ClusterTriggerBinding",
		"ClusterInterceptor",
	}},
	{wellknown.ValidatePipelines,
		[]string{"Task", "Pipeline", "StepAction", "ClusterTask", "PipelineResource", "Condition"}},
	{wellknown.ValidateRuns, []string{"TaskRun", "PipelineRun", "CustomRun", "Run"}},
	{wellknown.ValidatePods, []string{podKind.Kind}},
}

// mostModes bounds how many different lists of namespaces a condition holds.
const mostModes = 40

// Conditions returns, for each webhook of the validating configuration, an expression
// in CEL that is true of every object that a rule may find fault with: it is of a
// kind that some rule is for, and in a namespace where that rule is not off.
//
// It asks for nothing but the request's kind and namespace, so that no object can
// make it fail or cost much. What is in an object whose author wants to be judged by
// nobody must not decide whether anybody is asked.
func Conditions(config Config) map[string]string {
	conditions := map[string]string{}
	for _, w := range webhooks {
		conditions[w.name] = config.wanted(w.kinds)
	}
	return conditions
}

// wanted writes that some rule judges a request about one of the kinds.
func (c Config) wanted(kinds []string) string {
	byCondition := map[string][]string{} // kinds, by where they are judged
	var order []string
	for _, kind := range kinds {
		where := c.judged(kind)
		if _, known := byCondition[where]; !known {
			order = append(order, where)
		}
		byCondition[where] = append(byCondition[where], kind)
	}
	var parts []string
	for _, where := range order {
		of := "request.kind.kind in " + quotes(byCondition[where])
		switch {
		case where == wellknown.Always && len(order) == 1:
			return wellknown.Always
		case where == wellknown.Always:
			parts = append(parts, of)
		case where != never:
			parts = append(parts, "("+of+" && ("+where+"))")
		}
	}
	if len(parts) == 0 {
		return never
	}
	return strings.Join(parts, " ||\n")
}

const never = "false"

// judged writes in which namespaces a kind is judged. An object that holds templates
// of others is judged by the rules for those, too, in namespaces of their own.
func (c Config) judged(kind string) string {
	templates := hasTemplates(kind)
	var parts []string
	for _, r := range c.described() {
		if !c.handles(r, kind) {
			continue
		}
		where := c.where(r, kind)
		if templates && where != never {
			where = wellknown.Always
		}
		if where == wellknown.Always {
			return wellknown.Always
		}
		if where != never && !slices.Contains(parts, where) {
			parts = append(parts, where)
		}
	}
	switch {
	case len(parts) == 0:
		return never
	case len(parts) > mostModes:
		return wellknown.Always
	}
	return strings.Join(parts, " || ")
}

// handles reports whether a rule may judge a kind, or what objects of it create.
func (c Config) handles(r *rule.Rule, kind string) bool {
	if kind == podKind.Kind {
		return c.Pods && r.AtUse && !r.NotInPods
	}
	return !r.Online && !r.Files && (hasTemplates(kind) || slices.ContainsFunc(r.Kinds, isKind(kind)))
}

func hasTemplates(kind string) bool { return slices.ContainsFunc(rule.WithTemplates, isKind(kind)) }

// where writes in which namespaces a rule is not off, see Config.mode, and where it may
// refuse Pods.
func (c Config) where(r *rule.Rule, kind string) string {
	constant := notOff
	if kind == podKind.Kind {
		constant = enforced
	}
	own := c.Rules[r.ID]
	mode := own.Mode
	if mode == "" {
		mode = r.DefaultMode()
	}
	expression := constant(mode)
	for _, n := range slices.Backward(own.Namespaces) {
		on := constant(n.Mode)
		if on == expression {
			continue // what comes later says the same
		}
		pattern, ok := NamesPattern(n.Match)
		if !ok {
			return wellknown.Always
		}
		expression = fmt.Sprintf("((has(request.namespace) ? request.namespace : \"\").matches(%s) ? %s : %s)",
			strconv.QuoteToASCII(pattern), on, expression)
	}
	return expression
}

func notOff(mode rule.Mode) string {
	if mode == rule.Off {
		return never
	}
	return wellknown.Always
}

func enforced(mode rule.Mode) string {
	if mode == rule.Enforce {
		return wellknown.Always
	}
	return never
}

// NamesPattern returns a regular expression of the names that rule.MatchesAny takes. It
// reports false for patterns with classes or escapes.
func NamesPattern(patterns []string) (string, bool) {
	parts := make([]string, 0, len(patterns))
	for _, pattern := range patterns {
		if strings.ContainsAny(pattern, `[]\`) {
			return "", false
		}
		part := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[^/]*`)
		parts = append(parts, strings.ReplaceAll(part, `\?`, `[^/]`))
	}
	return "^(?:" + strings.Join(parts, "|") + ")$", true
}

func isKind(kind string) func(schema.GroupVersionKind) bool {
	return func(k schema.GroupVersionKind) bool { return k.Kind == kind }
}

func quotes(texts []string) string {
	quoted := make([]string, 0, len(texts))
	for _, text := range texts {
		quoted = append(quoted, strconv.QuoteToASCII(text))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
