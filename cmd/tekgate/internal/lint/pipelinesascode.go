package lint

import (
	"fmt"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator"
)

// Pipelines-as-Code fills its variables {{ … }} in a PipelineRun, writes the Tasks out that the run names, and
// creates what comes of that. So a run is judged with samples for its variables, and a Task that is written
// out is not judged as if it stood alone.

// ofPipelinesAsCode begins the annotations of runs that Pipelines-as-Code creates.
const ofPipelinesAsCode = "pipelinesascode.tekton.dev/"

// prepareRuns prepares the runs of Pipelines-as-Code and the Tasks that it writes out in them.
func prepareRuns(files []*lintFile) {
	var brought []string
	folders := map[string]bool{}
	for _, f := range files {
		for _, o := range f.objects {
			if o.subject.Kind.Kind != "PipelineRun" {
				continue
			}
			fields := o.fields()
			annotations, _ := objects.Metadata(fields)["annotations"].(map[string]any)
			if !hasPrefix(annotations, ofPipelinesAsCode) {
				continue
			}
			o.variables = variablesIn(fields)
			o.subject.Fields, _ = o.variables.sampled(fields).(map[string]any)
			brought = append(brought, broughtBy(annotations)...)
			if at := strings.Index(f.place(), "/.tekton/"); at >= 0 {
				folders[f.place()[:at]] = true
			}
		}
	}
	for _, f := range files {
		name := f.place()
		at := strings.Index(name, "/.tekton/")
		inlined := at >= 0 && folders[name[:at]] || slices.ContainsFunc(brought, func(file string) bool {
			return strings.HasSuffix(name, "/"+file)
		})
		for _, o := range f.objects {
			o.subject.Inlined = inlined && o.subject.Kind.Kind == "Task"
		}
	}
}

// place is the file's absolute name, with slashes.
func (f *lintFile) place() string {
	name, err := filepath.Abs(f.name)
	if err != nil {
		name = f.name
	}
	return filepath.ToSlash(name)
}

func hasPrefix(fields map[string]any, prefix string) bool {
	for key := range fields {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// broughtBy returns the files of the repository that annotations name as Tasks.
func broughtBy(annotations map[string]any) []string {
	var names []string
	for key, value := range annotations {
		list, _ := value.(string)
		if !strings.HasPrefix(key, ofPipelinesAsCode+"task") {
			continue
		}
		for name := range strings.SplitSeq(strings.Trim(strings.TrimSpace(list), "[]"), ",") {
			name = strings.Trim(strings.TrimSpace(name), `"'`)
			extension := path.Ext(name)
			if (extension == ".yaml" || extension == ".yml") && !strings.Contains(name, "://") {
				names = append(names, strings.TrimPrefix(path.Clean(name), "/"))
			}
		}
	}
	return names
}

// variables are those in an object, with their samples.
type variables map[string]string

// variable is what Pipelines-as-Code replaces.
var variable = lazyregexp.New(`\{\{[^{}]{2,}\}\}`)

// variablesIn returns the variables in the texts of a value. Each has a sample of its own, which is short,
// in lower case and accepted in names, images and URLs.
func variablesIn(value any) variables {
	found := variables{}
	var walk func(value any)
	walk = func(value any) {
		switch v := value.(type) {
		case string:
			for _, text := range variable.FindAllString(v, -1) {
				if _, known := found[text]; !known {
					found[text] = fmt.Sprintf("pac%dvar", len(found))
					if strings.Contains(text, "url") {
						found[text] = "https://forge.example.com/" + found[text]
					}
				}
			}
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			for _, key := range slices.Sorted(maps.Keys(v)) {
				walk(v[key])
			}
		}
	}
	walk(value)
	return found
}

// sampled returns a copy of a value with samples in place of the variables.
func (v variables) sampled(value any) any {
	if len(v) == 0 {
		return value
	}
	return replaced(value, func(text string) string {
		return variable.ReplaceAllStringFunc(text, func(name string) string { return v[name] })
	})
}

// restored returns a finding with the variables in place of their samples.
func (v variables) restored(finding validator.Finding) validator.Finding {
	if len(v) == 0 {
		return finding
	}
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(v)) {
		pairs = append(pairs, v[name], name)
	}
	written := strings.NewReplacer(pairs...)
	finding.Message = written.Replace(finding.Message)
	fix := slices.Clone(finding.Fix)
	for i := range fix {
		fix[i].Value = replaced(fix[i].Value, written.Replace)
	}
	finding.Fix = fix
	return finding
}

// replaced returns a copy of a value with all its texts replaced.
func replaced(value any, replace func(string) string) any {
	switch v := value.(type) {
	case string:
		return replace(v)
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = replaced(item, replace)
		}
		return items
	case map[string]any:
		fields := make(map[string]any, len(v))
		for key, item := range v {
			fields[key] = replaced(item, replace)
		}
		return fields
	}
	return value
}
