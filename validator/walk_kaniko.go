package validator

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
)

// kanikoStep is a step that runs Kaniko's executor.
type kanikoStep struct {
	secContainer
	Settings []kanikoSetting
	// Whole tells whether these are all of its flags: no script, no parameter that
	// may bring others, no other program in between.
	Whole bool
}

// kanikoSetting is a flag and where it stands.
type kanikoSetting struct {
	kaniko.Setting
	Path string
}

// kanikoSteps returns the steps of an object that run Kaniko.
func kanikoSteps(p *Pass) []kanikoStep {
	return once(p, "kanikoSteps", func() []kanikoStep { return walkKanikoSteps(p) })
}

func walkKanikoSteps(p *Pass) []kanikoStep {
	var found []kanikoStep
	for _, c := range secSteps(p) {
		words, whole := kanikoWords(p, c)
		if words == nil {
			continue
		}
		step := kanikoStep{secContainer: c, Whole: whole}
		texts := make([]string, len(words))
		for i, word := range words {
			texts[i] = word.Value
		}
		for _, setting := range kaniko.Parse(texts) {
			step.Settings = append(step.Settings, kanikoSetting{setting, words[setting.At].Path})
		}
		found = append(found, step)
	}
	return found
}

const kanikoExecutor = "/kaniko/executor"

// kanikoWords returns the arguments that a step gives to Kaniko, nil for a step that
// runs something else.
func kanikoWords(p *Pass, c secContainer) (words []text, whole bool) {
	var r object.Reader
	if script := r.Text(c.Fields, "script"); script != "" {
		if !strings.Contains(script, kanikoExecutor) {
			return nil, false
		}
		return kanikoScriptWords(secFill(p, c.Task, script), c.Path+".script"), false
	}
	command, args := kanikoWordsAt(c, "command"), kanikoWordsAt(c, "args")
	if len(command) == 0 {
		if !kanikoImage(p, c) {
			return nil, false
		}
		return kanikoExpand(p, c.Task, args)
	}
	if path.Clean(command[0].Value) == kanikoExecutor {
		return kanikoExpand(p, c.Task, slices.Concat(command[1:], args))
	}
	for _, word := range slices.Concat(command, args) { // sh -c "/kaniko/executor …"
		if found := kanikoScriptWords(secFill(p, c.Task, word.Value), word.Path); found != nil {
			return found, false
		}
	}
	return nil, false
}

// kanikoWordsAt returns the command or the arguments of a step, or else those of its
// stepTemplate.
func kanikoWordsAt(c secContainer, list string) []text {
	var r object.Reader
	at := c.Path
	words := r.TextList(c.Fields, list)
	if len(words) == 0 {
		words, at = r.TextList(c.Template, list), c.Task.Path+".stepTemplate"
	}
	found := make([]text, len(words))
	for i, word := range words {
		found[i] = text{at + "." + list + "[" + strconv.Itoa(i) + "]", word}
	}
	return found
}

// kanikoImage tells whether the image of a step starts Kaniko's executor.
func kanikoImage(p *Pass, c secContainer) bool {
	repository := "/" + imageRepositoryOf(kanikoStepImage(p, c))
	return !strings.HasSuffix(repository, "warmer") && slices.ContainsFunc(kaniko.Upstream, func(end string) bool {
		return strings.HasSuffix(repository, "/"+end)
	})
}

// kanikoStepImage is the image of a step or its stepTemplate, with what is known filled in.
func kanikoStepImage(p *Pass, c secContainer) string {
	var r object.Reader
	name := r.Text(c.Fields, "image")
	if name == "" {
		name = r.Text(c.Template, "image")
	}
	return secFill(p, c.Task, name)
}

// imageRepositoryOf is host and path of an image of which the tag may be unknown, "" where
// more is.
func imageRepositoryOf(name string) string {
	if found := expression.Find(name); len(found) > 0 {
		name = name[:found[0].Start]
		colon := strings.LastIndexAny(name, ":@")
		if colon <= strings.LastIndex(name, "/") || colon < 0 {
			return ""
		}
		name = name[:colon]
	}
	ref, err := image.Parse(name)
	if err != nil {
		return ""
	}
	return ref.Repository()
}

// kanikoExpand fills parameters in, arrays too. It reports false where one remains
// that may be a flag.
func kanikoExpand(p *Pass, task object.Task, words []text) ([]text, bool) {
	found, whole := []text{}, true
	for _, word := range words {
		filled := secFill(p, task, word.Value)
		name, array := kanikoArrayParam(filled)
		if !array {
			whole = whole && !kanikoOpaque(filled)
			found = append(found, text{word.Path, filled})
			continue
		}
		values, known := kanikoArrayOf(p, task, name)
		whole = whole && known && secIsRun(p)
		for _, value := range values {
			whole = whole && !kanikoOpaque(value)
			found = append(found, text{word.Path, value})
		}
	}
	return found, whole
}

// kanikoOpaque tells whether a word may become a flag: what Tekton itself fills in, such as
// the path of a result, does not.
func kanikoOpaque(word string) bool {
	found := expression.Find(word)
	return len(found) > 0 && found[0].Start == 0 &&
		!slices.Contains([]string{"results", "workspaces", "context", "step", "credentials"}, found[0].Root())
}

// kanikoArrayParam returns the name in $(params.name[*]), and in $(params.name), which
// Tekton expands to an array as well.
func kanikoArrayParam(word string) (string, bool) {
	found := expression.Find(word)
	if len(found) != 1 || found[0].Text != word {
		return "", false
	}
	parts, ok := found[0].Path()
	if !ok || len(parts) < 2 || parts[0] != "params" || len(parts) == 3 && parts[2] != "[*]" || len(parts) > 3 {
		return "", false
	}
	return parts[1], true
}

// kanikoArrayOf returns what is known of an array parameter of a task.
func kanikoArrayOf(p *Pass, task object.Task, name string) ([]string, bool) {
	var r object.Reader
	given := task.Run.Params
	if holder, within := strings.CutSuffix(task.Path, ".taskSpec"); within && holder != "spec" {
		given = r.FieldsList(secFieldsAt(p.Object, holder), "params")
	}
	for _, param := range given {
		if r.Text(param, "name") == name {
			_, is := param["value"].([]any)
			return r.TextList(param, "value"), is
		}
	}
	for _, param := range r.FieldsList(task.Spec, "params") {
		if _, is := param["default"].([]any); is && r.Text(param, "name") == name {
			return r.TextList(param, "default"), true
		}
	}
	return nil, false
}

// kanikoScriptWords returns what stands behind Kaniko in the first line of a script that
// starts it, nil where none does.
func kanikoScriptWords(script, at string) []text {
	if !strings.Contains(script, kanikoExecutor) {
		return nil
	}
	for line := range strings.Lines(strings.ReplaceAll(script, "\\\n", " ")) {
		before, after, found := strings.Cut(line, kanikoExecutor)
		if !found || strings.HasPrefix(strings.TrimSpace(before), "#") {
			continue
		}
		words := []text{}
		for _, word := range strings.Fields(after) {
			if slices.Contains([]string{"&&", "||", ";", "|", "&", ">", "#"}, word) {
				break
			}
			words = append(words, text{at, strings.NewReplacer(`"`, "", `'`, "").Replace(word)})
		}
		return words
	}
	return nil
}

// all returns the settings of some flags.
func (s kanikoStep) all(names ...string) []kanikoSetting {
	var found []kanikoSetting
	for _, setting := range s.Settings {
		if setting.Flag != nil && slices.Contains(names, setting.Flag.Name) {
			found = append(found, setting)
		}
	}
	return found
}

// on tells whether a switch is on: of several the last counts.
func (s kanikoStep) on(name string) bool {
	found := s.all(name)
	return len(found) > 0 && found[len(found)-1].On()
}
