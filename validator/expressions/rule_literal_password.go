package expressions

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var literalPasswordRule = &rule.Rule{
	ID:       "literal-password",
	Severity: rule.Warning,
	Kinds:    slices.Concat(rule.TriggerTemplates, rule.Bindings, rule.WithTriggers),
	Doc: `Finds what seems to be a password in the objects of Triggers: a param, an environment
variable or a field whose name ends with password, token, secret, api-key and the like and
whose value is written out; a Secret that a TriggerTemplate writes out; and a CEL filter
that compares a token with a text, where ` + "`compareSecret`" + ` would ask a Secret.

Everybody who may read the object may use it. The value is never shown.

Values that look like the name of something, that are short, or that hold an expression
pass. What shows by its form what it is, is found by literal-token.`,
	Check: checkLiteralPassword,
}

func checkLiteralPassword(_ context.Context, p *rule.Pass) {
	findPasswords(p, p.Object["spec"], "spec")
	for _, in := range celInterceptorsIn(p) {
		for _, text := range celTextsOf(in) {
			if comparesSecret(text.Value) {
				p.Report(text.Path,
					"the expression compares a secret with a text, which everybody who may read the object knows: use compareSecret with a Secret")
			}
		}
	}
}

func comparesSecret(expression string) bool {
	return slices.ContainsFunc(comparedSecret.FindAllStringSubmatch(expression, -1), func(match []string) bool {
		return looksSecret(match[1] + match[2])
	})
}

func findPasswords(p *rule.Pass, value any, path string) {
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			findPasswords(p, item, path+"["+strconv.Itoa(i)+"]")
		}
	case map[string]any:
		if isWrittenSecret(p, v, path) {
			return
		}
		var r object.Reader
		for _, key := range slices.Sorted(maps.Keys(v)) {
			name := key
			if key == "secretKey" { // of a secretRef: the name of a key in a Secret
				continue
			}
			if key == "value" || key == "default" {
				name = r.Text(v, "name")
			}
			if text, is := v[key].(string); is && secretKey.MatchString(name) && looksSecret(text) &&
				tokenIn(text) == "" {
				p.Report(rule.Join(path, key),
					"%s seems to be written out here, and everybody who may read the object may use it: put it into a Secret, and refer to that",
					name)
			}
			findPasswords(p, v[key], rule.Join(path, key))
		}
	}
}

// isWrittenSecret reports a Secret that a template is to create with values of its
// own.
func isWrittenSecret(p *rule.Pass, fields map[string]any, path string) bool {
	var r object.Reader
	if r.Text(fields, "kind") != "Secret" || r.Text(fields, "apiVersion") != "v1" {
		return false
	}
	for _, part := range []string{"data", "stringData"} {
		for _, text := range rule.TextsIn(fields[part], rule.Join(path, part)) {
			if text.Value != "" && !strings.Contains(text.Value, "$(") && tokenIn(text.Value) == "" {
				p.Report(text.Path,
					"the Secret is written out here, and everybody who may read the object may use it: create it apart, and refer to it")
			}
		}
	}
	return true
}
