package validator_test

import (
	"cmp"
	"flag"
	"fmt"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// explain fills in an explanation for all lines of a rule that have none, together
// with -update: -explain 'rule: why'.
var explain = flag.String("explain", "",
	"`rule: why` for all findings of a rule in Tekton's examples that are not explained yet")

const examplesFile = "testdata/examples.txt"

const examplesHead = `# What the rules that are on by default find in the examples of Tekton Pipelines and
# Triggers: FILE OBJECT RULE PATH, and behind the # why the finding is right. Tekton's own
# people wrote the examples and run most of them, so a finding here is a false alarm until
# somebody has looked: an explanation of an error begins with "broken:" and says what does
# not work, or what is dangerous.
#
# go test ./validator -run TestExamples -update writes it anew and keeps the explanations;
# with -explain 'RULE: why' it explains all lines of a rule that have no explanation.
`

// exampleModules are the modules whose examples are linted, with what must be among
// them at least, so that the test cannot pass by having read nothing.
var exampleModules = []struct {
	name, path string
	least      map[string]int
}{
	{"pipeline", "github.com/tektoncd/pipeline",
		map[string]int{"TaskRun": 60, "PipelineRun": 60, "Task": 20, "Pipeline": 5}},
	{"triggers", "github.com/tektoncd/triggers",
		map[string]int{"EventListener": 30, "TriggerTemplate": 15, "TriggerBinding": 15, "Trigger": 5, "ClusterRole": 5}},
}

// finding is a line of the file: a finding and what stands behind it.
type finding struct {
	key string // the line without its explanation
	validator.Finding
}

// TestExamples wants each finding in Tekton's examples in the file, with an
// explanation, and nothing else.
func TestExamples(t *testing.T) {
	var found []finding
	for _, module := range exampleModules {
		seen := map[string]int{}
		found = append(found, lintExamples(t, module.name, golden.Examples(t, module.path), seen)...)
		for kind, least := range module.least {
			if seen[kind] < least {
				t.Errorf("%s: only %d examples of the kind %s", module.name, seen[kind], kind)
			}
		}
		t.Logf("%s: judged by kind %v", module.name, seen)
	}
	why := explanations(string(golden.ReadOptional(t, examplesFile)))
	if rule, text, ok := strings.Cut(*explain, ":"); ok && golden.Updating() {
		for _, f := range found {
			if f.Rule == strings.TrimSpace(rule) {
				why[f.key] = cmp.Or(why[f.key], strings.TrimSpace(text))
			}
		}
	}
	summarise(t, found, why)
	if golden.Updating() {
		golden.Write(t, examplesFile, []byte(examplesText(found, why)))
		return
	}
	compareExamples(t, found, why)
}

// lintExamples judges all documents of a module that a rule is for. An example may
// refer to what stands in its file, in its folder, or in another folder of the same
// version, in this order: many are called alike.
func lintExamples(t *testing.T, module string, examples []golden.Example, seen map[string]int) []finding {
	t.Helper()
	var subjects []validator.Subject
	var files []string
	for _, example := range examples {
		if example.Err != nil {
			t.Logf("%s/%s, document %d was not judged: %v", module, example.File, example.Index, example.Err)
			continue
		}
		s := subject(t, example.JSON)
		var r object.Reader
		s.Namespace = r.Text(r.Fields(s.Fields, "metadata"), "namespace")
		subjects, files = append(subjects, s), append(files, example.File)
	}
	var found []finding
	count := map[string]int{}
	for i, s := range subjects {
		if !slices.ContainsFunc(validator.Rules, func(r *validator.Rule) bool { return r.Handles(s.Kind) }) {
			continue // such as a Secret, which others refer to
		}
		seen[s.Kind.Kind]++
		set := validator.NewSet(nearest(files[i], files, subjects))
		v := &validator.Validator{Config: validator.Default(), Cluster: set, Files: set}
		for _, f := range v.Judge(t.Context(), s).Findings {
			key := fmt.Sprintf("%s/%s %s/%s %s %s", module, files[i], s.Kind.Kind, s.Name(), f.Rule, f.Path)
			if count[key]++; count[key] > 1 {
				key = fmt.Sprintf("%s (%d)", key, count[key])
			}
			found = append(found, finding{key, f})
		}
	}
	return found
}

// nearest returns the objects of the same version, or of none, those of the file first
// and those of its folder next.
func nearest(file string, files []string, subjects []validator.Subject) []validator.Subject {
	version, _, _ := strings.Cut(file, "/")
	ranks := make([][]validator.Subject, 3)
	for i, s := range subjects {
		other, _, nested := strings.Cut(files[i], "/")
		switch {
		case files[i] == file:
			ranks[0] = append(ranks[0], s)
		case path.Dir(files[i]) == path.Dir(file):
			ranks[1] = append(ranks[1], s)
		case other == version || !nested:
			ranks[2] = append(ranks[2], s)
		}
	}
	return slices.Concat(ranks...)
}

// explanations reads the file: what stands behind each line.
func explanations(text string) map[string]string {
	why := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, explanation, _ := strings.Cut(line, "  #")
		why[strings.TrimSpace(key)] = strings.TrimSpace(explanation)
	}
	return why
}

// examplesText writes the file, rule by rule.
func examplesText(found []finding, why map[string]string) string {
	text := strings.Builder{}
	text.WriteString(examplesHead)
	for _, group := range byRule(found) {
		fmt.Fprintf(&text, "\n## %s, %s: %d\n\n", group[0].Rule, group[0].Severity, len(group))
		for _, f := range group {
			fmt.Fprintf(&text, "%s\n", strings.TrimSpace(f.key+"  # "+why[f.key]))
		}
	}
	return text.String()
}

// byRule groups findings: errors first, then by the rule's name.
func byRule(found []finding) [][]finding {
	order := []validator.Severity{validator.Error, validator.Warning, validator.Info}
	sorted := slices.Clone(found)
	slices.SortStableFunc(sorted, func(a, b finding) int {
		return cmp.Or(slices.Index(order, a.Severity)-slices.Index(order, b.Severity), strings.Compare(a.Rule, b.Rule),
			strings.Compare(a.key, b.key))
	})
	var groups [][]finding
	for _, f := range sorted {
		if last := len(groups) - 1; last >= 0 && groups[last][0].Rule == f.Rule {
			groups[last] = append(groups[last], f)
			continue
		}
		groups = append(groups, []finding{f})
	}
	return groups
}

// summarise tells how many findings each rule has, and the words of those that are not
// explained.
func summarise(t *testing.T, found []finding, why map[string]string) {
	t.Helper()
	for _, group := range byRule(found) {
		var text strings.Builder
		open := 0
		for _, f := range group {
			if why[f.key] == "" {
				open++
				fmt.Fprintf(&text, "\n    %s\n        %s", f.key, f.Message)
			}
		}
		t.Logf("%s (%s): %d findings, %d to be explained%s",
			group[0].Rule, group[0].Severity, len(group), open, text.String())
	}
}

// compareExamples reports what is new, gone or badly explained.
func compareExamples(t testing.TB, found []finding, why map[string]string) {
	t.Helper()
	for _, f := range found {
		explanation, listed := why[f.key]
		delete(why, f.key)
		switch {
		case !listed:
			t.Errorf("new finding in an example: %s\n    %s: %s", f.key, f.Severity, f.Message)
		case explanation == "":
			t.Errorf("no explanation of %s\n    %s: %s", f.key, f.Severity, f.Message)
		case f.Severity == validator.Error && !strings.HasPrefix(explanation, "broken:"):
			t.Errorf("an error in an example that is not said to be broken: %s\n    %s", f.key, f.Message)
		}
	}
	for key := range why {
		t.Errorf("listed, and no longer found: %s", key)
	}
}

// TestExamplesFile holds what the comparison above is made of.
func TestExamplesFile(t *testing.T) {
	f := func(key, rule string, severity validator.Severity) finding {
		return finding{key, validator.Finding{Rule: rule, Severity: severity}}
	}
	found := []finding{f("a.yaml Task/x w spec", "w", validator.Warning),
		f("b.yaml Task/y e spec.params[a b]", "e", validator.Error), f("a.yaml Task/y e spec", "e", validator.Error)}
	why := map[string]string{"a.yaml Task/x w spec": "because # of it", "gone": "x"}
	text := examplesText(found, why)
	want := "\n## e, error: 2\n\na.yaml Task/y e spec  #\nb.yaml Task/y e spec.params[a b]  #\n\n## w, warning: 1\n\na.yaml Task/x w spec  # because # of it\n"
	if strings.TrimPrefix(text, examplesHead) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
	again := explanations(text)
	if len(again) != 3 || again["a.yaml Task/x w spec"] != "because # of it" ||
		again["b.yaml Task/y e spec.params[a b]"] != "" {
		t.Errorf("read again: %v", again)
	}
	var r recorder
	compareExamples(&r, append(found, f("new", "e", validator.Error)), map[string]string{
		"a.yaml Task/x w spec": "", "a.yaml Task/y e spec": "it is right",
		"b.yaml Task/y e spec.params[a b]": "broken: so it is", "gone": "x",
	})
	wanted := []string{"no explanation of a.yaml Task/x w spec", "not said to be broken: a.yaml Task/y e spec",
		"new finding in an example: new", "no longer found: gone"}
	if len(r.told) != len(wanted) {
		t.Errorf("told %q", r.told)
	}
	for _, want := range wanted {
		if !slices.ContainsFunc(r.told, func(told string) bool { return strings.Contains(told, want) }) {
			t.Errorf("nothing told of %q: %q", want, r.told)
		}
	}
}

// recorder takes the place of the test that compares, to see what it is told.
type recorder struct {
	testing.TB
	told []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}
