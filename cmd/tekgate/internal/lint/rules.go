package lint

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/validator"
)

// reference is where the rule is documented.
func reference(rule *validator.Rule) string {
	const repository = "https://github.com/tekgate/tekgate/blob/main/"
	if slices.Contains(findings.LintRules, rule) {
		return repository + "docs/lint.md#" + rule.ID
	}
	if rule.Own {
		return repository + "docs/policy.md#rules-of-your-own"
	}
	return repository + "validator/RULES.md#" + rule.ID
}

// document prints what --rules and --explain ask for.
func (l *lint) document(out io.Writer) error {
	if err := l.judging.load(); err != nil {
		return err
	}
	rules := slices.Concat(l.judging.all, findings.LintRules)
	if l.explain == "" {
		return l.output.Print(out, described(rules), func(out io.Writer) error { return listRules(out, rules) })
	}
	if err := findings.Known(l.explain, l.judging.all); err != nil {
		return err
	}
	rule := rules[slices.IndexFunc(rules, func(r *validator.Rule) bool { return r.ID == l.explain })]
	return l.output.Print(out, described([]*validator.Rule{rule}), func(out io.Writer) error {
		_, err := fmt.Fprintf(out, "%s: %s, at admission %s\n\n%s\n", rule.ID, rule.Severity, admissionMode(rule),
			rule.Doc)
		return err
	})
}

// ruleList are rules as programs read them.
type ruleList struct {
	Rules []ruleJSON `json:"rules"`
}

type ruleJSON struct {
	ID        string             `json:"id"`
	Severity  validator.Severity `json:"severity"`
	Admission string             `json:"admission"` // what becomes of a finding where nothing is configured
	Doc       string             `json:"doc"`
	Reference string             `json:"reference"` // the address of its documentation
}

// Names returns the ids of the rules.
func (l ruleList) Names() []string {
	names := make([]string, 0, len(l.Rules))
	for _, rule := range l.Rules {
		names = append(names, rule.ID)
	}
	return names
}

func described(rules []*validator.Rule) ruleList {
	list := ruleList{Rules: make([]ruleJSON, 0, len(rules))}
	for _, rule := range rules {
		list.Rules = append(list.Rules,
			ruleJSON{rule.ID, rule.Severity, admissionMode(rule), strings.TrimSpace(rule.Doc), reference(rule)})
	}
	return list
}

func listRules(out io.Writer, rules []*validator.Rule) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSEVERITY\tAT ADMISSION\tFINDS")
	for _, rule := range rules {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", rule.ID, rule.Severity, admissionMode(rule),
			strings.TrimPrefix(brief(rule), "Finds "))
	}
	return w.Flush()
}

// admissionMode is what becomes of a finding where nothing is configured.
func admissionMode(rule *validator.Rule) string {
	switch {
	case rule.Check == nil || rule.Files:
		return "no, only lint"
	case rule.Online:
		return "no, only with --online"
	}
	return string(rule.DefaultMode())
}

// brief is the first sentence of a rule's doc, in one line.
func brief(rule *validator.Rule) string {
	paragraph, _, _ := strings.Cut(strings.TrimSpace(rule.Doc), "\n\n")
	text := strings.Join(strings.Fields(paragraph), " ")
	sentence, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(sentence, ".")
}
