package expressions

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/cel-go/cel"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	triggerscel "github.com/tektoncd/triggers/pkg/interceptors/cel"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var invalidCELRule = &rule.Rule{
	ID:       "invalid-cel",
	Severity: rule.Error,
	Kinds:    rule.WithTriggers,
	Doc: `Finds filters and overlays of the ` + "`cel`" + ` ClusterInterceptor that can never work: those
that do not compile, filters whose result is not a boolean, overlays whose key or
result Triggers cannot put into the extensions, and expressions with a part that fails for
every event:

- numbers of an event are doubles in Triggers, so ` + "`body.number + 1`, `body.number % 2` and `body.after.truncate(body.n)`" + `
  are "no such overload" for each of them; write ` + "`int(body.number) + 1`" + `, or ` + "`body.number + 1.0`" + `. Comparisons
  such as ` + "`body.number > 1`" + ` work;
- ` + "`header['X-GitHub-Event']`, `header.accept`" + ` and ` + "`'x-event' in header`" + `: events have their headers in the form of
  Go, X-Github-Event, and CEL compares names letter by letter; write ` + "`header.canonical('X-GitHub-Event')`" + ` or
  ` + "`header.match('X-GitHub-Event', 'push')`" + `;
- ` + "`header['X-Gitlab-Event'] == 'Push Hook'`, `header['X-Gitlab-Event'] in ['Push Hook']`" + ` and functions of texts such
  as ` + "`.contains('Push')`" + `: CEL has every header as a list of texts; write ` + "`header.match('X-Gitlab-Event', 'Push Hook')`" + `;
- the headers Host, Trailer and Transfer-Encoding, which no event has.

Such a part is an error only if it decides: ` + "`||`, `&&`, `exists()`, `all()` and `?:`" + ` pass over errors of one part, so a filter
that may still be true, and an overlay that may still have a value, is the matter of event-dependent. Of many
faults in one expression the first five are reported.

Tekton checks none of it when the object is created. It answers 202 to every event and
drops it, and only the log of the interceptors' Pod tells why.

Expressions are compiled in the environment of Triggers v0.37.0
(pkg/interceptors/cel): body, header, extensions and requestURL, with Triggers' own
functions. A result whose type only an event decides passes, and what works for some events is
the matter of event-dependent.`,
	Check: checkInvalidCEL,
}

func checkInvalidCEL(_ context.Context, p *rule.Pass) {
	for _, in := range celInterceptorsIn(p) {
		for _, text := range celTextsOf(in) {
			checkCEL(p, in, text)
		}
	}
}

func checkCEL(p *rule.Pass, in walk.Interceptor, text celText) {
	what, path := "the filter", text.Path
	if !text.Filter {
		what, path = "the expression of the overlay", text.Path+".expression"
		problem := overlayKeyProblem(text.Key)
		switch problem {
		case "":
		case lostKey:
			p.Report(text.Path+".key",
				"Triggers loses what the overlay with the key %q sets: %s: name a field of the extensions, such as short_sha",
				text.Key, problem)
		default:
			p.Report(text.Path+".key",
				"Triggers cannot set an overlay's key %q (%s), so no event passes %s: name a field of the extensions, such as short_sha",
				text.Key, problem, in.Unit)
		}
	}
	compiled, problem := compileCEL(p, text.Value)
	switch {
	case problem != "":
		p.Report(path, "%s does not compile, so no event passes %s: %s", what, in.Unit, problem)
	case compiled == nil:
		return
	case text.Filter && !hasCELType(compiled.OutputType(), cel.BoolType, cel.DynType):
		p.Report(path,
			"the filter is of type %s, and only true lets an event pass %s: compare it with something",
			compiled.OutputType(), in.Unit)
	case !text.Filter && hasCELType(compiled.OutputType(), notJSON...):
		p.Report(path,
			"the overlay is of type %s, which Triggers cannot write as JSON, so no event passes %s: make a string of it",
			compiled.OutputType(), in.Unit)
	}
	if problem == "" {
		checkEvaluation(p, compiled, text, path, what)
	}
}

// notJSON are the types of which Triggers makes no JSON.
var notJSON = []*cel.Type{cel.UintType, cel.TimestampType, cel.DurationType, cel.NullType}

// checkEvaluation reports the parts because of which an expression works for no event.
func checkEvaluation(p *rule.Pass, compiled *cel.Ast, text celText, path, what string) {
	for _, problem := range few(verdictOf(p, compiled.NativeRep(), text).decisive) {
		p.Report(path, "%s %s", what, problem)
	}
}

// mostFaults is how many faults of one expression are reported.
const mostFaults = 5

// few returns the first of many sentences, the last of which says how many more there are.
func few(sentences []string) []string {
	if len(sentences) <= mostFaults {
		return sentences
	}
	shown := slices.Clone(sentences[:mostFaults])
	shown[mostFaults-1] += fmt.Sprintf(" (and %d more of the kind)", len(sentences)-mostFaults)
	return shown
}

func hasCELType(have *cel.Type, types ...*cel.Type) bool {
	for _, t := range types {
		if have.IsExactType(t) {
			return true
		}
	}
	return false
}

// plainKey matches keys that need no asking.
var plainKey = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_-]*(?:\.[A-Za-z_][A-Za-z0-9_-]*)*$`)

// lostKey is the problem of keys that Triggers takes for a query of the extensions, and sets nothing.
const lostKey = "sjson reads *, ?, #, | and @ in a key as a query, and a backslash before one as the character"

// overlayKeyProblem asks Triggers' own interceptor to set a key.
func overlayKeyProblem(key string) (problem string) {
	if plainKey.MatchString(key) {
		return ""
	}
	defer func() {
		if recover() != nil {
			problem = "it panics"
		}
	}()
	response := triggerscel.NewInterceptor(nil).Process(context.Background(), &v1beta1.InterceptorRequest{
		Body:              "{}",
		Context:           &v1beta1.TriggerContext{TriggerID: "namespaces/default/triggers/any"},
		InterceptorParams: map[string]any{"overlays": []any{map[string]any{"key": key, "expression": "'x'"}}},
	})
	switch {
	case response.Continue && len(response.Extensions) == 0:
		return lostKey
	case response.Continue:
		return ""
	}
	return keyProblem.ReplaceAllString(response.Status.Message, "")
}

// keyProblem is what Triggers puts before a problem of a key.
var keyProblem = lazyregexp.New(`(?s)^failed to sjson for key .*': `)
