package validator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
)

// exceptionPrefix is what the keys of annotations begin with that except an object
// from a rule: except.tekgate.dev/RULE, with a value like
// "2027-03-31 the scanner is moved in spring, OPS-1412".
//
// Both are wanted, a last day and a reason: an exception without an end is a rule
// that nobody knows to be off, and one without a reason nobody dares to remove.
const exceptionPrefix = "except.tekgate.dev/"

// Exception is what one such annotation says.
type Exception struct {
	Until  time.Time // the last day on which it holds, in UTC
	Reason string
	Err    error // what is wrong with it, if anything; then it does not hold
}

// Excepted is a finding that an exception keeps from having any effect.
type Excepted struct {
	rule.Finding
	Exception Exception
}

// exceptionsOf returns the exceptions of an object by the ids of the rules, the
// broken ones too.
func exceptionsOf(fields map[string]any) map[string]Exception {
	var r object.Reader
	annotations := r.Fields(r.Fields(fields, "metadata"), "annotations")
	exceptions := map[string]Exception{}
	for key, value := range annotations {
		if id, ours := strings.CutPrefix(key, exceptionPrefix); ours {
			text, _ := value.(string)
			exceptions[id] = parseException(text)
		}
	}
	return exceptions
}

func parseException(text string) Exception {
	date, reason, _ := strings.Cut(strings.TrimSpace(text), " ")
	until, err := time.Parse(time.DateOnly, strings.TrimSuffix(date, ":"))
	reason = strings.TrimSpace(reason)
	switch {
	case err != nil:
		err = fmt.Errorf("it does not begin with a date: write its last day and a reason, such as %q",
			"2027-03-31 moved in spring")
	case reason == "":
		err = fmt.Errorf("it gives no reason: write one after the date, such as %q", date+" moved in spring")
	}
	return Exception{Until: until, Reason: reason, Err: err}
}

// ends is the moment after which the exception no longer holds.
func (e Exception) ends() time.Time { return e.Until.AddDate(0, 0, 1) }

// accepts tells whether an exception holds today.
func (v *Validator) accepts(e Exception) bool {
	now := v.now()
	if v.Config.Exceptions.Disabled || e.Err != nil || !now.Before(e.ends()) {
		return false
	}
	most := v.Config.Exceptions.MaxDays
	return most == 0 || !e.Until.After(now.AddDate(0, 0, most))
}

// The ways in which a rule takes exceptions.
const (
	exceptionsOfAll        = "annotation" // whoever may write the object may except it
	exceptionsOfAuthorized = "authorized" // who may also do the virtual verb except on the rule
	exceptionsOfNobody     = "none"
)

// exceptVerb, exceptGroup and exceptResource are what a role allows who may except objects
// from a rule; the name is the rule's.
const (
	exceptVerb     = "except"
	exceptGroup    = "validator.tekgate.dev"
	exceptResource = "rules"
)

// mayExcept tells whether an exception from a rule counts for this object. For an object
// that nobody asks about now, it counted when somebody did.
func (j *judgement) mayExcept(ctx context.Context, r *rule.Rule) bool {
	if j.request != nil && j.request.Resolved {
		return false
	}
	from := j.validator.Config.exceptionsFrom(r)
	switch {
	case from == exceptionsOfNobody:
		return false
	case j.subject.Kind == podKind:
		return j.exceptedByRun(ctx, r)
	case j.isAtUse():
		var reader object.Reader
		return j.inherits(ctx, r, reader.Fields(j.subject.Fields, "metadata"), false)
	case from == exceptionsOfAuthorized:
		return j.request == nil || j.isAuthorized(ctx, r)
	}
	return true
}

func (j *judgement) isAuthorized(ctx context.Context, r *rule.Rule) bool {
	if j.validator.Authorize == nil {
		return false
	}
	if may, known := j.authorized[r.ID]; known {
		return may
	}
	may, err := j.validator.Authorize(ctx, j.request.User, rule.Access{
		Verb: exceptVerb, Group: exceptGroup, Resource: exceptResource, Name: r.ID, Namespace: j.namespace,
	})
	if j.authorized == nil {
		j.authorized = map[string]bool{}
	}
	j.authorized[r.ID] = may && err == nil
	if err != nil {
		j.out.Unknown = append(j.out.Unknown, fmt.Sprintf(
			"the exception does not count: asking whether you may %s failed: %v (rule %s)", exceptVerb, err, r.ID))
	}
	if err == nil && !may {
		j.out.Unknown = append(j.out.Unknown, fmt.Sprintf(
			"the exception does not count, since you may not %s %s.%s %q in %q: ask for a role that allows it (rule %s)",
			exceptVerb, exceptResource, exceptGroup, r.ID, j.namespace, r.ID))
	}
	return may && err == nil
}

// withExceptionRule appends the rule about exceptions from some rules, and from itself.
func withExceptionRule(rules []*rule.Rule) []*rule.Rule {
	exception := exceptionRule
	ids := append(identifiers(rules), exception.ID, rule.CannotBeJudged)
	exception.Check = func(_ context.Context, p *rule.Pass) { checkException(p, ids) }
	return append(slices.Clip(rules), &exception, cannotBeJudgedRule)
}

var exceptionRule = rule.Rule{
	ID:       "exception",
	Severity: rule.Warning,
	Kinds:    rule.Everything,
	Doc: `Finds annotations ` + "`except.tekgate.dev/RULE`" + ` that do not hold: without a date, without a
reason, of a day that has passed, or of a rule that does not exist.

An exception that its author believes in and that does not hold shows only when the
rule refuses the object.`,
}

func checkException(p *rule.Pass, rules []string) {
	if p.Template != nil {
		return // the exceptions of the TriggerTemplate hold for it
	}
	exceptions := exceptionsOf(p.Object)
	if len(exceptions) == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(exceptions)) {
		exception, path := exceptions[id], "metadata.annotations["+exceptionPrefix+id+"]"
		switch {
		case !slices.Contains(rules, id):
			p.Report(path, "the exception is from a rule %q, which does not exist: %s",
				id, suggest.DidYouMean(id, rules, "remove it"))
		case exception.Err != nil:
			p.Report(path, "the exception does not hold, since %v", exception.Err)
		case !p.Now().Before(exception.ends()):
			p.Report(path, "the exception has not held since %s was over: mend the object, or give it another date",
				exception.Until.Format(time.DateOnly))
		}
	}
}
