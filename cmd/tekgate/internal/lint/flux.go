package lint

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
	"github.com/tekgate/tekgate/validator/rule"
)

// What follows knows what Flux makes of ${VAR} in the objects that it applies: it reads a resource as text and
// substitutes there, whatever the text is for (github.com/fluxcd/pkg/kustomize v1.41.0, not strict).

const (
	fluxGroup     = "kustomize.toolkit.fluxcd.io"
	notSubstitute = fluxGroup + "/substitute"
)

// flux is a Kustomization of Flux that substitutes.
type flux struct {
	name  string
	known map[string]bool // variables that it defines
	// values are those of variables, without those of Secrets
	values  map[string]string
	samples *fluxSamples
	all     bool            // whether there are no others
	files   map[string]bool // absolute paths of what it applies
}

// fluxSamples are the samples of all Kustomizations. They share them, since an object of one may refer to an object
// of another by the same variable.
type fluxSamples struct {
	numbers map[string]int    // by ${…}
	written map[string]string // ${…} by its sample
}

// fluxIn returns those among the objects whose path is a folder of the repository.
func fluxIn(all []*linted) []*flux {
	var found []*flux
	samples := &fluxSamples{numbers: map[string]int{}, written: map[string]string{}}
	for _, o := range all {
		if o.subject.Kind.Group != fluxGroup || o.subject.Kind.Kind != "Kustomization" {
			continue
		}
		var r object.Reader
		spec := r.Fields(o.subject.Object(), "spec")
		post := r.Fields(spec, "postBuild")
		own, from := r.Fields(post, "substitute"), r.FieldsList(post, "substituteFrom")
		root := repositoryOf(o.file.name)
		if root == "" || len(own)+len(from) == 0 {
			continue
		}
		f := &flux{name: o.subject.Name(), known: map[string]bool{}, values: map[string]string{},
			samples: samples, all: true, files: map[string]bool{}}
		for _, source := range from {
			f.addSource(all, r.Text(source, "kind"), r.Text(source, "name"))
		}
		for name, value := range own { // they win over those of sources
			f.known[name] = true
			f.values[name] = fmt.Sprint(value)
		}
		f.addFolder(filepath.Join(root, filepath.FromSlash(r.Text(spec, "path"))), map[string]bool{})
		found = append(found, f)
	}
	return found
}

// addSource adds the variables of a ConfigMap or Secret, if it is among the objects.
func (f *flux) addSource(all []*linted, kind, name string) {
	for _, o := range all {
		if o.subject.Kind.GroupKind() != (schema.GroupKind{Kind: kind}) || o.subject.Name() != name {
			continue
		}
		values, names := valuesIn(o)
		for _, key := range names {
			f.known[key] = true
			delete(f.values, key) // a later source wins
		}
		maps.Copy(f.values, values)
		return
	}
	f.all = false
}

// repositoryOf returns the absolute path of the repository's folder that a file is in, "" for none.
func repositoryOf(file string) string {
	path, err := filepath.Abs(file)
	if err != nil || file == document.StandardInput {
		return ""
	}
	for folder := filepath.Dir(path); ; folder = filepath.Dir(folder) {
		if exists(filepath.Join(folder, ".git")) {
			return folder
		}
		if folder == filepath.Dir(folder) {
			return ""
		}
	}
}

// addFolder adds what a folder comes to: what its kustomization names, or all files if it has none.
func (f *flux) addFolder(folder string, seen map[string]bool) {
	if seen[folder] {
		return
	}
	seen[folder] = true
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		if text, err := os.ReadFile(filepath.Join(folder, name)); err == nil {
			f.addResources(folder, text, seen)
			return
		}
	}
	// The walk has no error: what cannot be read is left out.
	_ = filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil: // a folder that is not in this repository applies nothing of it
			return fs.SkipDir
		case entry.IsDir() && path != folder && hasKustomization(path):
			f.addFolder(path, seen)
			return fs.SkipDir
		}
		f.files[path] = true
		return nil
	})
}

func hasKustomization(folder string) bool {
	return slices.ContainsFunc([]string{"kustomization.yaml", "kustomization.yml", "Kustomization"},
		func(name string) bool { return exists(filepath.Join(folder, name)) })
}

func (f *flux) addResources(folder string, kustomization []byte, seen map[string]bool) {
	var fields struct {
		Resources, Bases, Components []string
	}
	if yaml.Unmarshal(kustomization, &fields) != nil {
		return // kustomize will say so
	}
	for _, name := range slices.Concat(fields.Resources, fields.Bases, fields.Components) {
		path := filepath.Join(folder, filepath.FromSlash(name))
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			f.addFolder(path, seen)
			continue
		}
		f.files[path] = true
	}
}

// substituted returns a finding for each text of Tekton's objects that Flux would change or refuse.
func (j *judgement) substituted(all []*linted) []*problem {
	fluxes := fluxIn(all)
	if len(fluxes) == 0 {
		return nil
	}
	var found []*problem
	for _, o := range all {
		path, err := filepath.Abs(o.file.name)
		if err != nil || !validator.Matches(o.subject.Kind) || isExempt(o) {
			continue
		}
		for _, f := range fluxes {
			if f.files[path] {
				found = append(found, j.substitutedBy(f, o)...)
				break
			}
		}
	}
	return found
}

// isExempt reports whether Flux leaves an object as it is.
func isExempt(o *linted) bool {
	var r object.Reader
	meta := r.Fields(o.fields(), "metadata")
	return r.Text(r.Fields(meta, "annotations"), notSubstitute) == "disabled" ||
		r.Text(r.Fields(meta, "labels"), notSubstitute) == "disabled"
}

func (j *judgement) substitutedBy(f *flux, o *linted) []*problem {
	var found []*problem
	for _, text := range rule.TextsIn(o.fields(), "") {
		effects := map[validator.Severity][]string{}
		for _, e := range fluxExpressions(text.Value) {
			if severity, effect := f.effectOf(e); effect != "" {
				effects[severity] = append(effects[severity], effect)
			}
		}
		for _, severity := range slices.Sorted(maps.Keys(effects)) {
			message := effects[severity][0]
			if more := len(effects[severity]) - 1; more > 0 {
				message += fmt.Sprintf(" (and %d more here)", more)
			}
			found = append(found, j.problem(o, validator.Finding{Rule: findings.FluxRule.ID, Severity: severity,
				Path: text.Path, Message: message}))
		}
	}
	return found
}

var (
	fluxName     = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*`)
	fluxOperator = lazyregexp.New(`^(%|/|#|\^|,|:[0-9 ])`)
)

// effectOf says what Flux makes of ${expression}, "" for what is meant so.
func (f *flux) effectOf(expression string) (validator.Severity, string) {
	const escape = "write $${…} for a variable of the script"
	inner, counts := strings.CutPrefix(expression, "#")
	name := fluxName.FindString(inner)
	rest := inner[len(name):]
	digits := name == "" && strings.Trim(inner, "0123456789") == "" && inner != ""
	switch {
	case digits && !counts:
		return validator.Warning, fmt.Sprintf("Flux (Kustomization %q) makes nothing of ${%s}: %s", f.name, expression,
			escape)
	case name == "" || strings.HasPrefix(rest, "[") || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "@"):
		return validator.Error, fmt.Sprintf("Flux (Kustomization %q) fails at ${%s} and applies nothing of its folder: %s",
			f.name, expression, escape)
	case f.known[name] || !f.all:
		return "", ""
	case counts && rest == "":
		return validator.Warning, fmt.Sprintf("Flux (Kustomization %q) does not define %s, and makes 0 of ${%s}: %s",
			f.name, name, expression, escape)
	case rest == "" || fluxOperator.MatchString(rest):
		return validator.Warning, fmt.Sprintf(
			"Flux (Kustomization %q) does not define %s, and makes nothing of ${%s}: define it, or %s",
			f.name, name, expression, escape)
	}
	return "", "" // it has a default
}

// fluxExpressions returns what stands between ${ and } in a text, without what a second dollar escapes.
func fluxExpressions(text string) []string {
	var found []string
	for i := 0; i+1 < len(text); i++ {
		if text[i] != '$' {
			continue
		}
		if text[i+1] == '$' {
			i++ // an escaped dollar
			continue
		}
		if text[i+1] != '{' {
			continue
		}
		if end := closing(text[i+2:]); end >= 0 {
			found = append(found, text[i+2:i+2+end])
			i += 2 + end
		}
	}
	return found
}

// closing returns where the brace ends that has been opened before a text, -1 for nowhere.
func closing(text string) int {
	depth := 0
	for i, c := range text {
		switch c {
		case '{':
			depth++
		case '}':
			if depth == 0 {
				return i
			}
			depth--
		}
	}
	return -1
}
