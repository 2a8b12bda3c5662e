package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/validator"
)

// What follows knows how repositories are laid out: kustomizations whose patches look like objects, Helm
// charts, and folders with several versions of a Task.

// addPatches adds the files that a kustomization names as patches. They are parts of objects.
func addPatches(patches map[string]bool, kustomization string) {
	var fields struct {
		Patches []struct {
			Path string `json:"path"`
		} `json:"patches"`
		PatchesJSON6902 []struct {
			Path string `json:"path"`
		} `json:"patchesJson6902"`
		PatchesStrategicMerge []string `json:"patchesStrategicMerge"`
	}
	text, err := os.ReadFile(kustomization)
	if err != nil || yaml.Unmarshal(text, &fields) != nil {
		return // kustomize will say so
	}
	names := fields.PatchesStrategicMerge
	for _, patch := range append(fields.Patches, fields.PatchesJSON6902...) {
		names = append(names, patch.Path)
	}
	for _, name := range names {
		if name != "" && !strings.Contains(name, "\n") {
			patches[filepath.Join(filepath.Dir(kustomization), name)] = true
		}
	}
}

// charts tells of folders whether they are Helm charts.
type charts map[string]bool

// of returns the folder of the chart whose template a file is, "" if it is none's.
func (c charts) of(f *lintFile) string {
	folder := filepath.Dir(f.name)
	for folder != filepath.Dir(folder) {
		parent := filepath.Dir(folder)
		if filepath.Base(folder) == "templates" && c.has(parent) {
			return parent
		}
		folder = parent
	}
	return ""
}

func (c charts) has(folder string) bool {
	is, known := c[folder]
	if !known {
		is = exists(filepath.Join(folder, "Chart.yaml"))
		c[folder] = is
	}
	return is
}

// broken returns what is not well-formed in files. Templates of one chart are one finding, at the first.
func broken(files []*lintFile) []*problem {
	var found []*problem
	first := map[string]*problem{}
	count := map[string]int{}
	for _, f := range files {
		for _, p := range f.broken {
			if p.chart == "" {
				found = append(found, p)
				continue
			}
			if count[p.chart]++; first[p.chart] == nil {
				once := *p
				first[p.chart] = &once
				found = append(found, &once)
			}
		}
	}
	for chart, p := range first {
		if more := count[chart] - 1; more > 0 {
			p.Message += fmt.Sprintf(" (and %d more in %s)", more, chart)
		}
	}
	return found
}

// definition is what several objects may define.
type definition struct{ kind, namespace, name string }

// duplicates returns a finding for each definition that there is several times: an error where the same file
// has it again, else a hint at the first.
func duplicates(all []*linted) []*problem {
	by := map[definition][]*linted{}
	var order []definition
	for _, o := range all {
		if o.name == "" || !validator.Matches(o.subject.Kind) {
			continue
		}
		key := definition{o.subject.Kind.GroupKind().String(), o.subject.Namespace, o.name}
		if by[key] == nil {
			order = append(order, key)
		}
		by[key] = append(by[key], o)
	}
	var found []*problem
	for _, key := range order {
		if same := by[key]; len(same) > 1 {
			found = append(found, duplicatesOf(same)...)
		}
	}
	return found
}

func duplicatesOf(same []*linted) []*problem {
	var found []*problem
	var files []string
	for _, o := range same {
		if slices.Contains(files, o.file.name) {
			found = append(found, duplicateOf(o, validator.Error,
				"%s is in this file already, and of both only the last one is kept: remove one, or rename it"))
			continue
		}
		files = append(files, o.file.name)
	}
	if len(files) > 1 {
		more := ""
		if len(files) > 2 {
			more = fmt.Sprintf(" and %d more", len(files)-2)
		}
		found = append(found, duplicateOf(same[0], validator.Info,
			"%s is defined in "+strings.ReplaceAll(files[1], "%", "%%")+more+
				" too: each reference is judged by the nearest, and only one of them can be in a namespace"))
	}
	return found
}

func duplicateOf(o *linted, severity validator.Severity, format string) *problem {
	name, _ := objects.Metadata(o.fields())["name"].(string) // as the file has it
	line, column := o.object.Position("metadata.name")
	return &problem{
		File: o.file.name, Line: line, Column: column, Kind: o.subject.Kind.Kind, Name: name,
		Namespace: o.subject.Namespace, Rule: findings.DuplicateRule.ID, Severity: severity, Path: "metadata.name",
		Message: fmt.Sprintf(format, fmt.Sprintf("%s %q", o.subject.Kind.Kind, name)), object: o,
	}
}
