package pipelines

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/admission"
	"github.com/tekgate/tekgate/validator/rule"
)

// movedTo says where v1 has a field of v1beta1 (docs/migrating-v1beta1-to-v1.md of Tekton Pipelines).
var movedTo = []struct {
	kind     string // "" for every kind
	from, to string // from is a regular expression
}{
	{"PipelineRun", `^spec\.serviceAccountName$`, "spec.taskRunTemplate.serviceAccountName"},
	{"PipelineRun", `^spec\.podTemplate$`, "spec.taskRunTemplate.podTemplate"},
	{"PipelineRun", `^spec\.timeout$`, "spec.timeouts.pipeline"},
	{"PipelineRun", `^(spec\.taskRunSpecs\[\d+\])\.taskServiceAccountName$`, "$1.serviceAccountName"},
	{"PipelineRun", `^(spec\.taskRunSpecs\[\d+\])\.taskPodTemplate$`, "$1.podTemplate"},
	{"PipelineRun", `^(spec\.taskRunSpecs\[\d+\])\.stepOverrides$`, "$1.stepSpecs"},
	{"PipelineRun", `^(spec\.taskRunSpecs\[\d+\])\.sidecarOverrides$`, "$1.sidecarSpecs"},
	{"TaskRun", `^spec\.stepOverrides$`, "spec.stepSpecs"},
	{"TaskRun", `^spec\.sidecarOverrides$`, "spec.sidecarSpecs"},
	{"", `^(.*\b(?:steps|sidecars|stepSpecs|sidecarSpecs)\[\d+\]|.*\bstepTemplate)\.resources$`, "$1.computeResources"},
}

var movedPatterns = func() []*lazyregexp.Regexp {
	patterns := make([]*lazyregexp.Regexp, len(movedTo))
	for i, m := range movedTo {
		patterns[i] = lazyregexp.New(m.from)
	}
	return patterns
}()

// movedField is a field that the object's version of the API does not have, and another has.
type movedField struct {
	from, to string // to is "" where this version has nothing in its place
	other    schema.GroupVersion
	fix      []rule.Edit
	// elsewhere says that another rule reports the field with its remedy.
	elsewhere bool
}

// movedFields returns them by path, for those problems that are about one.
func movedFields(p *rule.Pass, problems []admission.Problem) map[string]movedField {
	other := "v1beta1"
	if p.Kind.Version == other {
		other = "v1"
	}
	empty, known := tektonTypes[p.Kind.GroupKind().WithVersion(other)]
	if !known || !slices.ContainsFunc(problems, func(f admission.Problem) bool { return f.Unknown }) {
		return nil
	}
	raw, ok := admission.Raw(p.Object, nil)
	if !ok {
		return nil
	}
	there := map[string]bool{}
	for _, problem := range admission.Decode(raw, empty()) {
		there[problem.Path] = true
	}
	found := map[string]movedField{}
	for _, problem := range problems {
		if !problem.Unknown || there[problem.Path] {
			continue
		}
		field := movedField{from: problem.Path, other: schema.GroupVersion{Group: rule.TektonGroup, Version: other}}
		if p.Kind.Version == "v1" {
			field.to = placeInV1(p.Kind.Kind, problem.Path)
		}
		field.elsewhere = field.to == "" && removedElsewhere.MatchString(problem.Path)
		found[problem.Path] = field
	}
	mendMoved(p.Object, found)
	return found
}

// removedElsewhere matches fields about which the rules removed-api, removed-resources and removed-conditions
// give the remedy.
var removedElsewhere = lazyregexp.New(`(Ref\.bundle|\.conditions|^spec\.resources|[sS]pec\.resources|\]\.resources)$`)

func placeInV1(kind, path string) string {
	for i, m := range movedTo {
		if (m.kind == "" || m.kind == kind) && movedPatterns[i].MatchString(path) {
			return movedPatterns[i].ReplaceAllString(path, m.to)
		}
	}
	return ""
}

// mendMoved gives the fields their fixes. Those that move into the same mapping move together, with the
// first of them: each of their fixes would create the mapping, and overwrite that of the others.
func mendMoved(object map[string]any, fields map[string]movedField) {
	created := map[string]map[string]any{} // by the path of the new mapping
	first := map[string]string{}
	for _, from := range slices.Sorted(maps.Keys(fields)) {
		field := fields[from]
		value, is := valueAt(object, from)
		if _, taken := valueAt(object, field.to); field.to == "" || !is || taken {
			continue
		}
		value = valueInV1(value, field.to)
		remove := rule.Edit{Op: "remove", Path: from}
		dot := strings.LastIndexByte(field.to, '.')
		parent, name := field.to[:dot], field.to[dot+1:]
		if _, exists := valueAt(object, parent); exists {
			field.fix = []rule.Edit{remove, {Op: "add", Path: field.to, Value: value}}
			fields[from] = field
			continue
		}
		if created[parent] == nil {
			created[parent], first[parent] = map[string]any{}, from
		}
		created[parent][name] = value
		leading := fields[first[parent]]
		leading.fix = append(leading.fix, remove)
		fields[first[parent]] = leading
	}
	for parent, value := range created {
		leading := fields[first[parent]]
		leading.fix = append(leading.fix, rule.Edit{Op: "add", Path: parent, Value: value})
		fields[first[parent]] = leading
	}
}

// valueInV1 is a value as v1 has it: what overrides a step or sidecar has computeResources there.
func valueInV1(value any, to string) any {
	items, list := value.([]any)
	if !list || !strings.HasSuffix(to, ".stepSpecs") && !strings.HasSuffix(to, ".sidecarSpecs") {
		return value
	}
	moved := make([]any, 0, len(items))
	for _, item := range items {
		if fields, is := item.(map[string]any); is && fields["resources"] != nil && fields["computeResources"] == nil {
			own := maps.Clone(fields)
			own["computeResources"] = own["resources"]
			delete(own, "resources")
			item = own
		}
		moved = append(moved, item)
	}
	return moved
}

// valueAt returns the value at a path in decoded JSON.
func valueAt(value any, path string) (any, bool) {
	for _, step := range document.ParsePath(path) {
		switch v := value.(type) {
		case map[string]any:
			inner, is := v[step]
			if !is {
				return nil, false
			}
			value = inner
		case []any:
			at := 0
			if _, err := fmt.Sscanf(step, "%d", &at); err != nil || at < 0 || at >= len(v) {
				return nil, false
			}
			value = v[at]
		default:
			return nil, false
		}
	}
	return value, true
}

func (f movedField) report(p *rule.Pass) {
	var finding *rule.Finding
	switch {
	case f.elsewhere:
		return
	case f.to != "":
		finding = p.Report(f.from, "Tekton refuses this %s: unknown field %q: v1 has it at %s",
			p.Kind.Kind, f.from, f.to)
		p.Mend(finding, f.fix...)
	case p.Kind.Version == "v1":
		finding = p.Report(f.from,
			"Tekton refuses this %s: unknown field %q, which %s had: v1 has nothing in its place, so remove it",
			p.Kind.Kind, f.from, f.other)
	default:
		finding = p.Report(f.from, "Tekton refuses this %s: unknown field %q, which %s has: write that apiVersion",
			p.Kind.Kind, f.from, f.other)
	}
	finding.Key = true
}
