package lint

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// Flux replaces ${VAR} before Kubernetes sees an object, so an object in a folder that Flux substitutes is judged
// with the values that the files have, and with samples for the others. Findings show the text as it is written.

// filling has what was put in place of Flux's variables in an object.
type filling struct {
	flux    *flux
	samples map[string]string // ${…} by what is in its place, which is used for nothing else
	values  map[string]string // texts with values that are known, by what is in the file
}

// fillFlux gives the subjects that Flux substitutes the values of its variables.
func fillFlux(files []*lintFile) {
	var all []*linted
	for _, f := range files {
		all = append(all, f.objects...)
	}
	fluxes := fluxIn(all)
	if len(fluxes) == 0 {
		return
	}
	for _, o := range all {
		path, err := filepath.Abs(o.file.name)
		if err != nil || isExempt(o) {
			continue
		}
		at := slices.IndexFunc(fluxes, func(f *flux) bool { return f.files[path] })
		if at < 0 {
			continue
		}
		o.filling = &filling{flux: fluxes[at], samples: map[string]string{}, values: map[string]string{}}
		o.subject.Fields, _ = o.filling.filled(o.subject.Object(), "").(map[string]any)
		metadata := objects.Metadata(o.subject.Fields)
		o.name, _ = metadata["name"].(string)
		o.subject.Namespace = objects.NamespaceOr(metadata, "")
	}
}

// filled returns a copy of a value, which is that of a field, with its variables filled in.
func (f *filling) filled(value any, field string) any {
	switch v := value.(type) {
	case string:
		return f.text(v, field)
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = f.filled(item, field)
		}
		return items
	case map[string]any:
		fields := make(map[string]any, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) { // in order, so that each run has the same samples
			fields[key] = f.filled(v[key], key)
		}
		return fields
	}
	return value
}

// text fills in a text. One that is a variable alone becomes a number or a boolean if its value is one, since
// kustomize writes the variable without quotes.
func (f *filling) text(written, field string) any {
	if !strings.Contains(written, "${") {
		return written
	}
	out, known := f.expanded(written, field)
	if out == written {
		return written
	}
	if known {
		f.values[written] = out
	}
	alone := strings.HasPrefix(written, "${") && closing(written[2:]) == len(written)-3
	switch {
	case alone && !known:
		return sampleOf(field, out)
	case known && (alone || strings.HasPrefix(written, "${") && strings.HasPrefix(out, `"`)):
		return parsed(out)
	}
	return out
}

// parsed returns what YAML makes of a text, which is itself for most.
func parsed(text string) any {
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		return text
	}
	fields, err := object.Decode(fmt.Appendf(nil, `{"value":%s}`, raw))
	if err != nil || fields["value"] == nil {
		return text
	}
	return fields["value"]
}

var (
	numberField = lazyregexp.New(
		`^(retries|runAsUser|runAsGroup|fsGroup|port|containerPort|(default)?[mM]ode|\w+Seconds|\w+Limit|replicas)$`)
	booleanField = lazyregexp.New(
		`^(optional|readOnly\w*|privileged|runAsNonRoot|allowPrivilegeEscalation|automountServiceAccountToken)$`)
)

// sampleOf returns the sample of a field whose whole value is not known.
func sampleOf(field, sample string) any {
	switch {
	case numberField.MatchString(field):
		return int64(1)
	case booleanField.MatchString(field):
		return false
	case field == "timeout", field == "pipeline", field == "tasks", field == "finally":
		return "1h0m0s"
	}
	return sample
}

// expanded fills in what is between ${ and } in a text, and reports whether all of it is known.
func (f *filling) expanded(text, field string) (out string, known bool) {
	var b strings.Builder
	known = true
	for i := 0; i < len(text); i++ {
		if strings.HasPrefix(text[i:], "$${") {
			b.WriteString("${")
			i += 2
			continue
		}
		if !strings.HasPrefix(text[i:], "${") {
			b.WriteByte(text[i])
			continue
		}
		end := closing(text[i+2:])
		if end < 0 {
			b.WriteString(text[i:])
			break
		}
		inner := text[i+2 : i+2+end]
		before := b.String()
		i += 2 + end
		value, is := f.valueOf(inner, field)
		if !is {
			value, known = f.sample("${"+inner+"}", before, text[i+1:], field), false
		}
		b.WriteString(value)
	}
	return b.String(), known
}

// valueOf returns what Flux makes of ${expression}, as far as the files have it.
func (f *filling) valueOf(expression, field string) (value string, known bool) {
	name := fluxName.FindString(expression)
	if name == "" {
		return "", false
	}
	rest := expression[len(name):]
	value, known = f.flux.values[name]
	if rest == "" {
		return value, known
	}
	for _, operator := range []string{":-", ":=", "="} {
		if fallback, is := strings.CutPrefix(rest, operator); is {
			if known && value != "" {
				return value, true
			}
			return f.expanded(fallback, field)
		}
	}
	return "", false
}

// sample returns the sample of an expression whose value is not known, between two texts. It is accepted in
// names, and in images and URLs at its place.
func (f *filling) sample(expression, before, after, field string) string {
	shared := f.flux.samples
	n, known := shared.numbers[expression]
	if !known {
		n = len(shared.numbers)
		shared.numbers[expression] = n
	}
	sample := fmt.Sprintf("flux%dvar", n)
	switch {
	case strings.HasSuffix(before, "@"):
		sample = fmt.Sprintf("sha256:%064x", n+1)
	case before == "" && after == "" && strings.Contains(strings.ToLower(field), "image"):
		sample += fmt.Sprintf(".example.com/image:1@sha256:%064x", n+1)
	case before == "" && after == "" && strings.Contains(strings.ToLower(expression+field), "url"):
		sample = "https://forge.example.com/" + sample
	case before == "" && strings.HasPrefix(after, "/"):
		sample += ".example.com"
	}
	f.samples[sample], shared.written[sample] = expression, expression
	return sample
}

// restored returns a finding with the variables as they are written, those of other objects among them.
func (f *filling) restored(finding validator.Finding) validator.Finding {
	if f == nil {
		return finding
	}
	var samples, values []string
	all := slices.Sorted(maps.Keys(f.flux.samples.written))
	for _, sample := range slices.Backward(all) { // the longer before the shorter
		samples = append(samples, sample, f.flux.samples.written[sample])
	}
	for _, written := range slices.Sorted(maps.Keys(f.values)) {
		values = append(values, fmt.Sprintf("%q", f.values[written]), fmt.Sprintf("%q", written))
	}
	finding.Message = strings.NewReplacer(samples...).Replace(strings.NewReplacer(values...).Replace(finding.Message))
	for _, edit := range finding.Fix {
		if hasVariable(edit.Value, f) {
			finding.Fix = nil // it would write a value in place of the variable
			break
		}
	}
	return finding
}

// unknown returns the variables of which there are only samples, by their samples, those of Pipelines-as-Code
// among them.
func (o *linted) unknown() map[string]string {
	all := map[string]string{}
	if o.filling != nil {
		maps.Copy(all, o.filling.samples)
	}
	for written, sample := range o.variables {
		all[sample] = written
	}
	return all
}

// hasVariable reports whether a value holds something that was filled in.
func hasVariable(value any, f *filling) bool {
	found := false
	replaced(value, func(text string) string {
		for sample := range f.flux.samples.written {
			found = found || strings.Contains(text, sample)
		}
		for _, known := range f.values {
			found = found || known != "" && strings.Contains(text, known)
		}
		return text
	})
	return found
}

// valuesIn returns the variables of a ConfigMap, and the names of those of a Secret, whose values are not used.
func valuesIn(o *linted) (values map[string]string, names []string) {
	var r object.Reader
	values = map[string]string{}
	for _, part := range []string{"data", "stringData"} {
		for key, value := range r.Fields(o.subject.Object(), part) {
			names = append(names, key)
			if text, is := value.(string); is && o.subject.Kind.GroupKind() == (schema.GroupKind{Kind: "ConfigMap"}) {
				values[key] = text
			}
		}
	}
	return values, names
}
