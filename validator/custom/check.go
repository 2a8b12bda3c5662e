package custom

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/interpreter"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// longestProblem bounds what is said of an expression that failed, in characters.
const longestProblem = 120

// check judges an object. What becomes of an expression that cannot be evaluated to its end:
//
//   - It fails, such as for a field that the object lacks: the object passes. In files that is a
//     finding, so that the rule is mended before it is used; elsewhere it is told, see
//     rule.Pass.Failed.
//   - A look-up fails: it is told, and nothing is found, as by all rules.
//   - It costs too much, or the time is over: as for all rules, see rule.ErrBudget. Who writes
//     objects could otherwise make any that is large enough pass.
//
// Objects of TriggerTemplates are judged when they are created, with their values.
func (c programs) check(ctx context.Context, p *rule.Pass) {
	if p.Template != nil {
		return
	}
	p.Step(rule.Look) // as much as a compilation
	there := &set{ctx: ctx, pass: p}
	input := map[string]any{"object": withNamespace(p.Object, p.Namespace), "set": there}
	out, _, err := c.verdict.ContextEval(ctx, input)
	at := c.definition.Path
	if at == "" {
		at = "spec"
	}
	switch verdict, is := out.(types.Bool); {
	case isExhausted(ctx, err):
		p.GiveUp()
	case there.err != nil && err != nil:
		p.Unknown(at, "looking up another object", there.err)
	case err != nil:
		c.fail(p, at, err.Error())
	case !is:
		p.Failed(at, fmt.Sprintf("the expression of validator.custom has to be true or false, and for this object it is of "+
			"the type %s, so the object passes: compare the value, as in object.spec.x == 1", out.Type().TypeName()))
	case !bool(verdict):
		p.Report(at, "%s", c.messageOf(ctx, input))
	}
}

// isExhausted reports whether an evaluation took too much time or work.
func isExhausted(ctx context.Context, err error) bool {
	if err == nil {
		return false
	}
	var cancelled interpreter.EvalCancelledError
	return ctx.Err() != nil || errors.As(err, &cancelled)
}

// fail reports that the expression could not be evaluated.
func (c programs) fail(p *rule.Pass, at, problem string) {
	if runes := []rune(problem); len(runes) > longestProblem {
		problem = string(runes[:longestProblem]) + "…"
	}
	p.Failed(at, fmt.Sprintf(
		"the expression of validator.custom could not be evaluated for this object, so it passes: %s; test fields that may be absent with has(), such as !has(object.spec.x) || object.spec.x == 1",
		problem,
	))
}

// messageOf returns the message about an object.
func (c programs) messageOf(ctx context.Context, input map[string]any) string {
	if c.message == nil {
		return c.definition.Message
	}
	out, _, err := c.message.ContextEval(ctx, map[string]any{"object": input["object"], "set": input["set"]})
	text, is := out.(types.String)
	if err != nil || !is || strings.TrimSpace(string(text)) == "" || len(text) > longestText {
		return c.definition.Message
	}
	return string(text)
}

// withNamespace returns an object as the API server has it: an object in a file may leave out the
// namespace that it will be in.
func withNamespace(fields map[string]any, namespace string) map[string]any {
	var r object.Reader
	metadata := r.Fields(fields, "metadata")
	if namespace == "" || r.Text(metadata, "namespace") != "" {
		return fields
	}
	whole, meta := maps.Clone(fields), map[string]any{"namespace": namespace}
	maps.Copy(meta, metadata)
	meta["namespace"] = namespace
	whole["metadata"] = meta
	return whole
}
