package policy

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
)

// names writes that an expression matches one of the patterns of names. It reports
// false for a pattern with classes or escapes.
func names(expression string, patterns []string) (string, bool) {
	if len(patterns) == 0 {
		return "true", true
	}
	parts := make([]string, 0, len(patterns))
	for _, pattern := range patterns {
		if strings.ContainsAny(pattern, `[]\`) {
			return "", false
		}
		part := strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `[^/]*`)
		parts = append(parts, strings.ReplaceAll(part, `\?`, `[^/]`))
	}
	return expression + ".matches(" + quote("^(?:"+strings.Join(parts, "|")+")$") + ")", true
}

// images writes that the image of the view matches one of the patterns, which the
// configuration has been checked for.
func images(view string, patterns []string) string {
	parts := make([]string, 0, len(patterns))
	for _, text := range patterns {
		if pattern, err := image.CompilePattern(text); err == nil {
			parts = append(parts, pattern.String())
		}
	}
	return matchesAny(view, parts)
}

// matchesAny takes regular expressions.
func matchesAny(view string, expressions []string) string {
	if len(expressions) == 0 {
		return "false"
	}
	expression := quote(strings.Join(expressions, "|"))
	return fmt.Sprintf(`(%[1]s.repository != "" && (%[1]s.repository.matches(%[2]s) || %[1]s.living.matches(%[2]s)))`,
		view, expression)
}

// labelled writes that the object's own labels match.
func labelled(selector *metav1.LabelSelector) string {
	if selector == nil {
		return "true"
	}
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(selector.MatchLabels)) {
		parts = append(parts, oneOf(key, []string{selector.MatchLabels[key]}))
	}
	for _, r := range selector.MatchExpressions {
		switch r.Operator {
		case metav1.LabelSelectorOpIn:
			parts = append(parts, oneOf(r.Key, r.Values))
		case metav1.LabelSelectorOpNotIn:
			parts = append(parts, not(oneOf(r.Key, r.Values)))
		case metav1.LabelSelectorOpExists:
			parts = append(parts, "("+quote(r.Key)+" in variables.labels)")
		case metav1.LabelSelectorOpDoesNotExist:
			parts = append(parts, not(quote(r.Key)+" in variables.labels"))
		}
	}
	return all(parts...)
}

func oneOf(key string, values []string) string {
	return fmt.Sprintf("(%[1]s in variables.labels && variables.labels[%[1]s] in %[2]s)", quote(key), quotes(values))
}

// scope is what a rule's scope says: of the object, and of a view v.
type scope struct {
	object, view string
	images       bool // whether it asks for images
}

// inScope reports false where patterns cannot be written.
func inScope(s mutator.Scope) (scope, bool) {
	out := scope{object: "true", view: "true"}
	if s.Only != nil {
		spaces, ok := names("request.namespace", s.Only.Namespaces)
		if !ok {
			return out, false
		}
		out.object = all(spaces, labelled(s.Only.Labels))
		if len(s.Only.Images) > 0 {
			out.view, out.images = images("v", s.Only.Images), true
		}
	}
	if s.Except == nil {
		return out, true
	}
	spaces, ok := names("request.namespace", s.Except.Namespaces)
	if !ok {
		return out, false
	}
	excepted := all(spaces, labelled(s.Except.Labels))
	if len(s.Except.Images) == 0 {
		out.object = all(out.object, not(excepted))
		return out, true
	}
	out.view, out.images = all(out.view, not(all(excepted, images("v", s.Except.Images)))), true
	return out, true
}

// selects writes that the view v is among the steps that are selected.
func selects(s mutator.Steps) (condition string, byImage, ok bool) {
	named, ok := names("v.s.name", s.Names)
	if len(s.Images) == 0 {
		return named, false, ok
	}
	return all(images("v", s.Images), named), true, ok
}

// skips writes that the object opts out of a rule.
func skips(rule string) string {
	return fmt.Sprintf(`(%[1]s in variables.notes && variables.notes[%[1]s].split(",").exists(r, r.trim() == %[2]s))`,
		quote(wellknown.SkipRulesKey), quote(rule))
}
