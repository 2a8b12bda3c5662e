package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tekgate/tekgate/validator"
)

// lintRules are what lint itself reports. They have no Check: they are about files.
var lintRules = []*validator.Rule{syntaxRule, suppressionRule}

var syntaxRule = &validator.Rule{
	ID:       "syntax",
	Severity: validator.Error,
	Doc: `Finds documents that are not well-formed YAML or JSON, or no Kubernetes objects,
in files that hold tekton.dev.

Nothing of such a document can be judged. A template of Helm is none: judge what it
comes to, with ` + "`helm template CHART | tekgate lint -`" + `.`,
}

var suppressionRule = &validator.Rule{
	ID:       "suppression",
	Severity: validator.Warning,
	Doc: `Finds suppressions in .tekgatelint and comments ` + "`# tekgate: ignore`" + ` that suppress
nothing: since they match nothing, are over, give no reason or name no rule.

One that is left behind hides the next finding of its rule.`,
}

// reference is where the rule is documented.
func reference(rule *validator.Rule) string {
	const repository = "https://github.com/tekgate/tekgate/blob/main/"
	if slices.Contains(lintRules, rule) {
		return repository + "docs/lint.md#" + rule.ID
	}
	return repository + "validator/RULES.md#" + rule.ID
}

// document prints what --rules and --explain ask for.
func (l *lint) document(out io.Writer) error {
	rules := slices.Concat(l.judging.all, lintRules)
	if l.explain == "" {
		return listRules(out, rules)
	}
	if err := known(l.explain, l.judging.all); err != nil {
		return err
	}
	rule := rules[slices.IndexFunc(rules, func(r *validator.Rule) bool { return r.ID == l.explain })]
	_, err := fmt.Fprintf(out, "%s: %s, at admission %s\n\n%s\n", rule.ID, rule.Severity, admissionMode(rule), rule.Doc)
	return err
}

func listRules(out io.Writer, rules []*validator.Rule) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "RULE\tSEVERITY\tAT ADMISSION\tFINDS")
	for _, rule := range rules {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", rule.ID, rule.Severity, admissionMode(rule), strings.TrimPrefix(brief(rule), "Finds "))
	}
	return w.Flush()
}

// admissionMode is what becomes of a finding where nothing is configured.
func admissionMode(rule *validator.Rule) string {
	switch {
	case rule.Check == nil:
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
