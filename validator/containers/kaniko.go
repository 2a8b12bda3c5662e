package containers

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

// executorStep is a step that runs Kaniko's executor.
type executorStep struct {
	container
	Settings []placedSetting
	// Whole tells whether these are all of its flags: no script, no parameter that
	// may bring others, no other program in between.
	Whole bool
}

// placedSetting is a flag and where it stands.
type placedSetting struct {
	kaniko.Setting
	Path string
}

// executorSteps returns the steps of an object that run Kaniko.
func executorSteps(p *rule.Pass) []executorStep {
	return rule.Once(p, "executorSteps", func() []executorStep { return walkExecutorSteps(p) })
}

func walkExecutorSteps(p *rule.Pass) []executorStep {
	var found []executorStep
	for _, c := range stepsIn(p) {
		words, whole := executorWords(p, c)
		if words == nil {
			continue
		}
		step := executorStep{container: c, Whole: whole}
		texts := make([]string, len(words))
		for i, word := range words {
			texts[i] = word.Value
		}
		for _, setting := range kaniko.Parse(texts) {
			step.Settings = append(step.Settings, placedSetting{setting, words[setting.At].Path})
		}
		found = append(found, step)
	}
	return found
}

const executorPath = kaniko.Executor

// executorWords returns the arguments that a step gives to Kaniko, nil for a step that
// runs something else.
func executorWords(p *rule.Pass, c container) (words []rule.Text, whole bool) {
	var r object.Reader
	if script := r.Text(c.Fields, "script"); script != "" {
		if !strings.Contains(script, executorPath) {
			return nil, false
		}
		return scriptWords(fill(p, c.Task, script), c.Path+".script"), false
	}
	command, args := wordsAt(c, "command"), wordsAt(c, "args")
	if len(command) == 0 {
		if !startsExecutor(p, c) {
			return nil, false
		}
		return expand(p, c.Task, args)
	}
	if path.Clean(command[0].Value) == executorPath {
		return expand(p, c.Task, slices.Concat(command[1:], args))
	}
	for _, word := range slices.Concat(command, args) { // sh -c "/kaniko/executor …"
		if found := scriptWords(fill(p, c.Task, word.Value), word.Path); found != nil {
			return found, false
		}
	}
	return nil, false
}

// wordsAt returns the command or the arguments of a step, or else those of its
// stepTemplate.
func wordsAt(c container, list string) []rule.Text {
	var r object.Reader
	at := c.Path
	words := r.TextList(c.Fields, list)
	if len(words) == 0 {
		words, at = r.TextList(c.Template, list), c.Task.Path+".stepTemplate"
	}
	found := make([]rule.Text, len(words))
	for i, word := range words {
		found[i] = rule.Text{Path: at + "." + list + "[" + strconv.Itoa(i) + "]", Value: word}
	}
	return found
}

// startsExecutor tells whether the image of a step starts Kaniko's executor.
func startsExecutor(p *rule.Pass, c container) bool {
	ref, known := referenceOf(stepImage(p, c))
	return known && kaniko.Program(ref) == executorPath && slices.ContainsFunc(kaniko.Upstream, func(end string) bool {
		return strings.HasSuffix("/"+ref.Repository(), "/"+end)
	})
}

// stepImage is the image of a step or its stepTemplate, with what is known filled in.
func stepImage(p *rule.Pass, c container) string {
	var r object.Reader
	name := r.Text(c.Fields, "image")
	if name == "" {
		name = r.Text(c.Template, "image")
	}
	return fill(p, c.Task, name)
}

// repositoryOf is host and path of an image of which the tag may be unknown, "" where
// more is.
func repositoryOf(name string) string {
	ref, known := referenceOf(name)
	if !known {
		return ""
	}
	return ref.Repository()
}

// referenceOf returns an image, without tag and digest if these hold a parameter. It reports false
// if more does.
func referenceOf(name string) (ref image.Reference, known bool) {
	if found := expression.Find(name); len(found) > 0 {
		name = name[:found[0].Start]
		colon := strings.LastIndexAny(name, ":@")
		if colon <= strings.LastIndex(name, "/") || colon < 0 {
			return image.Reference{}, false
		}
		name = name[:colon]
	}
	ref, err := image.Parse(name)
	return ref, err == nil
}

// expand fills parameters in, arrays too. It reports false where one remains
// that may be a flag.
func expand(p *rule.Pass, task object.Task, words []rule.Text) ([]rule.Text, bool) {
	found, whole := []rule.Text{}, true
	for _, word := range words {
		values := task.Words(word.Value)
		if len(values) != 1 || strings.HasSuffix(word.Value, "[*])") && values[0] != word.Value { // an array
			whole = whole && isRun(p)
			p.Grow(16 * len(values)) // as many more words
		}
		for _, value := range values {
			p.Grow(len(value) - len(word.Value))
			whole = whole && !mayBeFlag(value)
			found = append(found, rule.Text{Path: word.Path, Value: value})
		}
	}
	return found, whole
}

// mayBeFlag tells whether a word may become a flag: what Tekton itself fills in, such as
// the path of a result, does not.
func mayBeFlag(word string) bool {
	found := expression.Find(word)
	return len(found) > 0 && found[0].Start == 0 &&
		!slices.Contains([]string{"results", "workspaces", "context", "step", "credentials"}, found[0].Root())
}

// scriptWords returns what stands behind Kaniko in the first line of a script that
// starts it, nil where none does.
func scriptWords(script, at string) []rule.Text {
	if !strings.Contains(script, executorPath) {
		return nil
	}
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		before, after, found := strings.Cut(line, executorPath)
		if !found || strings.HasPrefix(strings.TrimSpace(before), "#") {
			continue
		}
		words := []rule.Text{}
		for _, word := range strings.Fields(after) {
			if slices.Contains([]string{"&&", "||", ";", "|", "&", ">", "#"}, word) {
				break
			}
			words = append(words, rule.Text{Path: at, Value: strings.NewReplacer(`"`, "", `'`, "").Replace(word)})
		}
		return words
	}
	return nil
}

// all returns the settings of some flags.
func (s executorStep) all(names ...string) []placedSetting {
	var found []placedSetting
	for _, setting := range s.Settings {
		if setting.Flag != nil && slices.Contains(names, setting.Flag.Name) {
			found = append(found, setting)
		}
	}
	return found
}

// on tells whether a switch is on: of several the last counts.
func (s executorStep) on(name string) bool {
	found := s.all(name)
	return len(found) > 0 && found[len(found)-1].On()
}
