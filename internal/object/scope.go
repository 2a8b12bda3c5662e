package object

import (
	"slices"
	"strings"
)

// mostCombinations is how many runs a matrix may make for its values to be looked at: as
// many as Tekton makes where nobody configures another number.
const mostCombinations = 256

// scope is where a task has its values from. What it does is what Tekton v1.15.0 does:
// first ApplyParameters of a PipelineRun, which propagates params into the specification of
// a task, then FanOut of the matrix, then ApplyParameters of each TaskRun.
type scope struct {
	pipeline *pipelineScope // nil for a task that is not in a pipeline
	fields   map[string]any // the pipeline's task
	run      []map[string]any
	declared []map[string]any

	made       bool
	propagated layers
	runs       []layers // of each TaskRun that a matrix makes; one without a matrix
	common     layers   // what all of those have
}

// pipelineScope is where a pipeline has its values from.
type pipelineScope struct {
	outer    *pipelineScope // of the pipeline that has this one as a task
	fields   map[string]any // that task
	run      []map[string]any
	declared []map[string]any

	values Values
}

func (s *scope) make() {
	if s.made {
		return
	}
	s.made = true
	var own layers
	if s.pipeline == nil {
		own = layers{given(s.run, nil), defaultsOfTask(s.declared)}
		s.runs, s.common = []layers{own}, own
		return
	}
	var r Reader
	around := layers{s.pipeline.all()}
	params := given(r.FieldsList(s.fields, "params"), around)
	s.propagated = append(layers{shadowed(r.FieldsList(s.fields, "params"), params, around)}, around...)
	defaults := defaultsOfTask(s.declared)
	matrix, _ := s.fields["matrix"].(map[string]any)
	if matrix == nil {
		own = layers{params, defaults}
		s.runs, s.common = []layers{own}, own
		return
	}
	names, combinations := fanOut(matrix, around)
	s.common = layers{params, names, defaults}
	for _, c := range combinations {
		s.runs = append(s.runs, layers{params, c, defaults})
	}
	if len(combinations) == 0 {
		s.runs = []layers{s.common}
	}
}

// all returns the values of the pipeline's parameters.
func (s *pipelineScope) all() Values {
	if s.values != nil {
		return s.values
	}
	var around layers
	run := s.run
	if s.outer != nil {
		var r Reader
		around = layers{s.outer.all()}
		run = r.FieldsList(s.fields, "params")
	}
	s.values = defaultsOfPipeline(given(run, around), s.declared)
	return s.values
}

// shadowed returns what a pipeline's task gives in place of the pipeline's own values. An
// element of an array that the pipeline has stays (propagateParams).
func shadowed(params []map[string]any, values Values, around layers) Values {
	over := Values{}
	for _, param := range params {
		name, _ := param["name"].(string)
		outer, is := around.get(name)
		if !is {
			continue
		}
		value := values[name]
		switch outer.(type) {
		case string:
			text, _ := value.(string)
			over[name] = text
		case []string:
			list, _ := value.([]string)
			over[name] = list
		case map[string]string:
			over.set(name, value)
		default:
			over[name] = nil
		}
		if value == nil {
			over[name] = nil
		}
	}
	return over
}

// defaultsOfTask returns the defaults of a task. One that names others gets their defaults,
// in which Tekton fills in the last name alone (replacementsFromDefaultParams).
func defaultsOfTask(declared []map[string]any) Values {
	values := Values{}
	refers := func(param map[string]any) (string, string, bool) {
		name, _ := param["name"].(string)
		text, _ := param["default"].(string)
		return name, text, strings.Contains(text, "$(params.")
	}
	for _, param := range declared {
		if name, _, later := refers(param); name != "" && !later && param["default"] != nil {
			values.set(name, valueOf(param["default"]))
		}
	}
	for _, param := range declared {
		name, text, later := refers(param)
		if !later || name == "" {
			continue
		}
		for at := 0; at >= 0; {
			rest := text[at:]
			if key, length := keyAt(rest, -1, false); length > 0 && strings.HasPrefix(rest, "$(params.") {
				if value, is := values[key].(string); is && len(value) <= maxGrown {
					values[name] = replaceAll(text, rest[:length], value)
				}
			}
			if next := strings.Index(rest[1:], "$("); next >= 0 {
				at += 1 + next
			} else {
				at = -1
			}
		}
	}
	return values
}

func replaceAll(text, expression, value string) any {
	if strings.Count(text, expression)*len(value) > maxGrown {
		return nil
	}
	return strings.ReplaceAll(text, expression, value)
}

// defaultsOfPipeline adds the defaults of a pipeline to what its run gives. Each may name
// others, whatever their order.
func defaultsOfPipeline(values Values, declared []map[string]any) Values {
	texts := map[string]string{}
	for _, param := range declared {
		name, _ := param["name"].(string)
		text, is := param["default"].(string)
		if _, known := values[name]; is && !known {
			texts[name] = text
		}
	}
	for _, param := range declared {
		name, _ := param["name"].(string)
		if _, is := texts[name]; is {
			values.settle(name, texts, 0)
		}
	}
	for _, param := range declared {
		name, _ := param["name"].(string)
		if _, known := values[name]; name == "" || known || param["default"] == nil {
			continue
		}
		switch value := valueOf(param["default"]).(type) {
		case []string: // of which each is filled by itself: an array in an array stays
			filled := make([]string, len(value))
			for i, text := range value {
				filled[i] = layers{values}.fill(text, false)
			}
			values.set(name, filled)
		default:
			values.set(name, layers{values}.value(value))
		}
	}
	return values
}

// deepest is how many defaults may follow from one another (maxParamReferenceDepth).
const deepest = 10

// settle fills the default of a parameter, after those that it names. What names itself, or
// nothing that there is, stays unknown: Tekton fails such a run.
func (v Values) settle(name string, texts map[string]string, depth int) {
	if _, done := v[name]; done {
		return
	}
	text := texts[name]
	v[name] = nil // for those that name this one
	if depth > deepest {
		return
	}
	for rest := text; ; {
		next := strings.Index(rest, "$(params.")
		if next < 0 {
			break
		}
		rest = rest[next:]
		if key, length := keyAt(rest, -1, false); length > 0 {
			if _, is := texts[key]; is {
				v.settle(key, texts, depth+1)
			}
			if value, is := v[key]; !is || value == nil {
				return
			}
		}
		rest = rest[2:]
	}
	v[name] = layers{v}.fill(text, false)
}

// fanOut returns the values of each run that a matrix makes, in any order, none if they are
// not known or too many; and the names of all, without values.
func fanOut(matrix map[string]any, around layers) (names Values, combinations []Values) {
	var r Reader
	params, include := r.FieldsList(matrix, "params"), r.FieldsList(matrix, "include")
	names = Values{}
	total, known := 1, true
	lists := map[string][]string{}
	for _, param := range params {
		name, _ := param["name"].(string)
		list, is := around.value(valueOf(param["value"])).([]string)
		names[name], lists[name] = nil, list
		known = known && is && len(list) > 0
		total = min(total*max(len(list), 1), mostCombinations+1)
	}
	var included []Values
	for _, item := range include {
		values := given(r.FieldsList(item, "params"), around)
		for name := range values {
			names[name] = nil
		}
		included = append(included, values)
	}
	if !known || total > mostCombinations || len(included) > mostCombinations || r.Odd {
		return names, nil
	}
	if len(params) == 0 {
		return names, included
	}
	for _, param := range params {
		name, _ := param["name"].(string)
		combinations = distribute(combinations, name, lists[name])
	}
	return names, withIncluded(combinations, included)
}

func distribute(combinations []Values, name string, list []string) []Values {
	if len(combinations) == 0 {
		combinations = []Values{{}}
	}
	var all []Values
	for _, text := range list {
		for _, c := range combinations {
			one := Values{name: text}
			for key, value := range c {
				if key != name {
					one[key] = value
				}
			}
			all = append(all, one)
		}
	}
	return all
}

// withIncluded adds what a matrix includes to the combinations that it fits, and as ones of
// their own what fits none.
func withIncluded(combinations, included []Values) []Values {
	for _, c := range combinations {
		for _, values := range included {
			fits := true
			for name, value := range values {
				has, is := c[name]
				fits = fits && (!is || has == value)
			}
			for name, value := range values {
				if fits {
					c[name] = value
				}
			}
		}
	}
	for _, values := range included {
		shared := slices.ContainsFunc(combinations, func(c Values) bool {
			for name, value := range values {
				if has, is := c[name]; is && has == value {
					return true
				}
			}
			return false
		})
		if !shared && len(values) > 0 {
			combinations = append(combinations, values)
		}
	}
	return combinations
}

// Remembering returns the task with its values put together once, as Tasks returns it.
func (t Task) Remembering() Task {
	t.scope = t.values()
	return t
}

func (t Task) values() *scope {
	if t.scope != nil {
		return t.scope
	}
	var r Reader
	return &scope{run: t.Run.Params, declared: r.FieldsList(t.Spec, "params")}
}

// Fill puts the parameters into a text: what the run gives, or else defaults, of the task
// and of the pipelines around it. What is not known stays as it is written, and so does
// what runs of a matrix have different values of. Only texts count, no arrays.
func (t Task) Fill(text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	s := t.values()
	s.make()
	values := s.common
	if len(s.runs) == 1 {
		values = s.runs[0]
	}
	return values.fill(s.propagated.fill(text, false), true)
}

// Fills is Fill for each run of a matrix, without those that are the same.
func (t Task) Fills(text string) []string {
	if !strings.Contains(text, "$(") {
		return []string{text}
	}
	s := t.values()
	s.make()
	text = s.propagated.fill(text, false)
	if !strings.Contains(text, "$(") {
		return []string{text}
	}
	filled := make([]string, 0, len(s.runs))
	seen := make(map[string]bool, len(s.runs))
	for _, values := range s.runs {
		if one := values.fill(text, true); !seen[one] {
			seen[one] = true
			filled = append(filled, one)
		}
	}
	return filled
}

// Words is Fill for a word of a command or of arguments, which an array makes any number.
func (t Task) Words(text string) []string {
	if !strings.Contains(text, "$(") {
		return []string{text}
	}
	s := t.values()
	s.make()
	values := s.common
	if len(s.runs) == 1 {
		values = s.runs[0]
	}
	var words []string
	for _, word := range s.propagated.words(text, false) {
		words = append(words, values.words(word, true)...)
	}
	return words
}
