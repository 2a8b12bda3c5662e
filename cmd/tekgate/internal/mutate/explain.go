package mutate

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/mutator"
)

// explainResults tells people, object by object and rule by rule, what happened
// and what did not. A + stands before what was done.
func explainResults(errOut io.Writer, results []*result) {
	for _, r := range results {
		if r.outcome.Object == nil { // of a kind that no rule is for
			if r.within != "" {
				fmt.Fprintf(errOut, "%s: no rule is for this kind\n", r.name())
			}
			continue
		}
		fmt.Fprintf(errOut, "%s (%s)\n", r.name(), r.object.Where())
		if r.within != "" {
			fmt.Fprintln(errOut, "  as an event would create it; what a parameter $(tt.params…) hides is decided then")
		}
		explainRules(errOut, r.outcome.Decisions)
	}
}

func explainRules(errOut io.Writer, decisions []mutator.Decision) {
	var reasons []string
	same := map[string][]string{} // rules that did nothing at all, by the reason
	for i := range mutator.Rules {
		id := mutator.Rules[i].ID
		own := of(decisions, id)
		if why, whole := wholly(own); whole {
			if same[why] == nil {
				reasons = append(reasons, why)
			}
			same[why] = append(same[why], id)
			continue
		}
		fmt.Fprintf(errOut, "  %s\n", id)
		for _, d := range own {
			fmt.Fprintf(errOut, "    %s\n", line(d))
		}
	}
	for _, why := range reasons {
		fmt.Fprintf(errOut, "  %s\n    - %s\n", strings.Join(same[why], ", "), why)
	}
}

// of returns the decisions of a rule.
func of(decisions []mutator.Decision, id string) []mutator.Decision {
	return slices.DeleteFunc(slices.Clone(decisions), func(d mutator.Decision) bool { return d.Rule != id })
}

// wholly returns the one reason why a rule left the object as a whole alone.
func wholly(own []mutator.Decision) (why string, whole bool) {
	switch {
	case len(own) == 0:
		return "there is nothing in it for the rule", true
	case len(own) == 1 && own[0].Where == "" && own[0].Did == "":
		return own[0].Why, true
	}
	return "", false
}

func line(d mutator.Decision) string {
	sign, text := "+", d.Did
	if text == "" {
		sign, text = "-", d.Why
	}
	if d.Where == "" {
		return sign + " " + text
	}
	return fmt.Sprintf("%s %s: %s", sign, d.Where, text)
}
