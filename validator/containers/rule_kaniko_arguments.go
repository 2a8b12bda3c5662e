package containers

import (
	"context"
	"slices"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var kanikoArgumentsRule = &rule.Rule{
	ID:       "kaniko-arguments",
	Severity: rule.Warning,
	Kinds:    rule.WithSteps,
	Doc: `Finds arguments with which Kaniko ends before it builds anything
(cmd/executor/cmd/root.go):

- neither --destination nor --no-push;
- --cache and --no-push without --cache-repo, since the cache's place is taken from
  the destination;
- a destination that is no image reference;
- a flag that is a misspelt one. Flags that look like none that Tekgate knows pass,
  since newer releases have more.

What is missing is found only where all arguments are known: no script, and no
parameter that may bring others.`,
	Check: checkKanikoArguments,
}

func checkKanikoArguments(_ context.Context, p *rule.Pass) {
	for _, step := range executorSteps(p) {
		for _, setting := range step.Settings {
			judgeFlag(p, setting)
		}
		if !step.Whole || step.asksForHelp() || step.pushesByEnv(p) {
			continue
		}
		switch noPush := step.on("no-push"); {
		case !noPush && len(step.all("destination")) == 0:
			p.Report(step.Path,
				"%s gives Kaniko neither --destination nor --no-push, so it ends with an error: add --destination=IMAGE",
				step.Unit)
		case noPush && step.on("cache") && len(step.all("cache-repo")) == 0:
			p.Report(step.Path,
				"%s gives Kaniko --cache and --no-push without --cache-repo, so it ends with an error: add --cache-repo=REPOSITORY",
				step.Unit)
		}
	}
}

func judgeFlag(p *rule.Pass, setting placedSetting) {
	switch {
	case setting.Flag == nil:
		if near := p.Closest(setting.Name, kaniko.Names); len(setting.Name) > 2 && near != "" &&
			alike(setting.Name, near) {
			p.Report(setting.Path,
				"Kaniko has no flag --%s and would end with \"unknown flag\": did you mean --%s?",
				setting.Name, near)
		}
	case setting.Flag.Name == "destination" && setting.Value != "" && !expression.Any(setting.Value) &&
		!isShellText(setting.Value):
		if _, err := image.Parse(setting.Value); err != nil {
			p.Report(setting.Path,
				"destination %.200q is no image reference, so Kaniko ends with an error: write host/path:tag, in lower case",
				setting.Value)
		}
	}
}

// alike is stricter than suggest.Closest, since Kaniko has many flags that resemble one
// another, and forks have more: no more than two letters may differ in length.
func alike(a, b string) bool { return len(a)-len(b) <= 2 && len(b)-len(a) <= 2 && a[0] == b[0] }

// isShellText tells whether a shell has yet to fill a text in.
func isShellText(text string) bool {
	return slices.ContainsFunc([]byte(text), func(c byte) bool { return c == '$' || c == '`' })
}

func (s executorStep) asksForHelp() bool {
	return slices.ContainsFunc(s.Settings, func(setting placedSetting) bool {
		return slices.Contains([]string{"help", "h", "version"}, setting.Name)
	})
}

// pushesByEnv tells whether variables may say what is pushed (KANIKO_NO_PUSH).
func (s executorStep) pushesByEnv(p *rule.Pass) bool {
	var r object.Reader
	for _, holder := range append([]map[string]any{s.Fields, s.Template}, s.Task.Run.PodTemplates...) {
		p.Step(1 + len(r.List(holder, "env")))
		if len(r.List(holder, "envFrom")) > 0 ||
			slices.ContainsFunc(r.FieldsList(holder, "env"), func(env map[string]any) bool {
				return r.Text(env, "name") == "KANIKO_NO_PUSH"
			}) {
			return true
		}
	}
	return false
}
