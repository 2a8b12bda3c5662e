package pipelines

import (
	"cmp"
	"encoding/json"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
)

// checkByNewer judges an object for a Tekton that is newer than the code which is asked here: what its schema
// has is accepted, what it keeps without knowing is a hint, and what only the older code refuses a warning.
func checkByNewer(p *rule.Pass, newer *rule.Newer, problems []admission.Problem,
	judge func(fields map[string]any, raw []byte) []admission.Problem) {
	var unknown []string
	moved := movedFields(p, problems)
	for _, problem := range problems {
		if !problem.Unknown {
			continue
		}
		unknown = append(unknown, problem.Path)
		switch newer.Field(p.Kind, problem.Path) {
		case rule.FieldDeclared:
			reportUndeclared(p, newer, problem.Path)
		case rule.FieldAbsent:
			if field, is := moved[problem.Path]; is {
				field.report(p)
				continue
			}
			p.Report(problem.Path, "Tekton refuses this %s: %s", p.Kind.Kind, problem.Text).Key = true
		case rule.FieldKept, rule.FieldUnknown:
			finding := p.Report(problem.Path,
				"this tekgate, which knows Tekton %s, does not know the field, and the cluster's %s does not say whether it exists: check its name",
				rule.KnownReleases[p.Kind.Group], newer.Version)
			finding.Key, finding.Severity, finding.Mode = true, rule.Info, rule.Audit
		}
	}
	if len(unknown) > 0 {
		problems = judge(without(p.Object, unknown), nil)
	}
	reportOlder(p, newer, problems)
}

// reportUndeclared reports the fields below one that only the schema has which the schema does not have.
func reportUndeclared(p *rule.Pass, newer *rule.Newer, path string) {
	for _, below := range newer.Absent(p.Kind, path, admission.At(p.Object, document.ParsePath(path))) {
		p.Report(below, "Tekton refuses this %s: the schema of the cluster's %s has no such field: correct its name, or remove it",
			p.Kind.Kind, newer.Version).Key = true
	}
}

// reportOlder reports what the older code refuses besides fields that it does not know.
func reportOlder(p *rule.Pass, newer *rule.Newer, problems []admission.Problem) {
	for i, problem := range problems {
		if problem.Unknown || i >= mostProblems {
			continue
		}
		finding := p.Report(cmp.Or(problem.Path, "spec"),
			"Tekton %s would refuse this %s, and %s, which is installed, may not: %s", rule.KnownReleases[p.Kind.Group],
			p.Kind.Kind, newer.Version, problem.Text)
		finding.Severity = rule.Warning
		if finding.Mode == rule.Enforce {
			finding.Mode = rule.Warn
		}
	}
}

// without returns a copy of an object that lacks some fields.
func without(fields map[string]any, paths []string) map[string]any {
	raw, err := json.Marshal(fields)
	if err != nil {
		return fields
	}
	copied, err := object.Decode(raw)
	if err != nil {
		return fields
	}
	for _, path := range paths {
		steps := document.ParsePath(path)
		if len(steps) == 0 {
			continue
		}
		last := len(steps) - 1
		if holder, is := admission.At(copied, steps[:last]).(map[string]any); is {
			delete(holder, steps[last])
		}
	}
	return copied
}
