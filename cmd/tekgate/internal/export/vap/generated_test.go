package vap_test

import (
	"math/rand/v2"
	"os"
	"testing"
)

func readFile(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// generator makes objects that rules are about, the same in every run.
type generator struct{ *rand.Rand }

func generated() []map[string]any {
	g := generator{rand.New(rand.NewPCG(1, 2))}
	var all []map[string]any
	for range 250 {
		all = append(all, g.object())
	}
	return all
}

func (g generator) often() bool { return g.IntN(3) > 0 }

func (g generator) rarely() bool { return g.IntN(6) == 0 }

func pick[T any](g generator, of ...T) T { return of[g.IntN(len(of))] }

// maybe adds a field now and then.
func (g generator) maybe(to map[string]any, key string, value func() any) {
	if g.IntN(4) == 0 {
		to[key] = value()
	}
}

func (g generator) object() map[string]any {
	kind := pick(g, "Task", "TaskRun", "Pipeline", "PipelineRun", "StepAction")
	version := pick(g, "v1", "v1beta1")
	if kind == "StepAction" {
		version = "v1beta1"
	}
	metadata := map[string]any{"name": "x"}
	g.maybe(metadata, "labels", func() any { return map[string]any{pick(g, "team", "app"): "a"} })
	g.maybe(metadata, "annotations", func() any {
		return map[string]any{
			"except.tekgate.dev/" + pick(g, "privileged", "team-label"): pick(
				g,
				"2096-01-01 moving",
				"2020-01-01 over",
				"soon",
			),
		}
	})
	return map[string]any{
		"apiVersion": "tekton.dev/" + version,
		"kind":       kind,
		"metadata":   metadata,
		"spec":       g.spec(kind, version),
	}
}

func (g generator) spec(kind, version string) map[string]any {
	switch kind {
	case "Task":
		return g.task()
	case "StepAction":
		step := g.container()
		delete(step, "ports")
		step["image"] = "a"
		return step
	case "Pipeline":
		return g.pipeline(1)
	}
	spec := map[string]any{}
	g.maybe(
		spec,
		"params",
		func() any { return []any{map[string]any{"name": pick(g, "a", "Bad", "muchtoolong"), "value": "x"}} },
	)
	settings := spec
	if kind == "TaskRun" {
		spec["taskSpec"] = g.task()
	} else {
		spec["pipelineSpec"] = g.pipeline(1)
		g.maybe(spec, "taskRunSpecs", func() any { return []any{g.taskRunSpec()} })
		if version == "v1" {
			settings = map[string]any{}
			g.maybe(spec, "taskRunTemplate", func() any { return settings })
		}
	}
	if g.often() {
		settings["serviceAccountName"] = g.account()
	}
	g.maybe(settings, "podTemplate", g.podTemplate)
	return spec
}

func (g generator) account() any {
	return pick(g, "builder", "deploy-x", "default", "other", "$(params.account)", "deploy-")
}

func (g generator) taskRunSpec() any {
	own := map[string]any{"pipelineTaskName": "a"}
	g.maybe(own, "serviceAccountName", g.account)
	g.maybe(own, "podTemplate", g.podTemplate)
	return own
}

func (g generator) podTemplate() any {
	template := map[string]any{}
	g.maybe(template, "hostNetwork", func() any { return pick(g, true, false) })
	g.maybe(template, "securityContext", g.podSecurity)
	return template
}

func (g generator) podSecurity() any {
	security := map[string]any{}
	g.maybe(
		security,
		"seccompProfile",
		func() any { return map[string]any{"type": pick(g, "Unconfined", "RuntimeDefault")} },
	)
	g.maybe(security, "windowsOptions", func() any { return map[string]any{"hostProcess": pick(g, true, false)} })
	return security
}

func (g generator) task() map[string]any {
	task := map[string]any{"steps": []any{}}
	for range 1 + g.IntN(3) {
		step := g.container()
		delete(step, "ports")
		step["image"], step["name"] = "a", pick(g, "a", "b", "c")
		task["steps"] = append(task["steps"].([]any), step)
	}
	g.maybe(task, "sidecars", func() any {
		sidecar := g.container()
		sidecar["image"], sidecar["name"] = "a", "s"
		return []any{sidecar}
	})
	g.maybe(task, "stepTemplate", func() any {
		template := g.container()
		delete(template, "ports")
		return template
	})
	g.maybe(task, "params", func() any { return []any{map[string]any{"name": pick(g, "a", "Bad")}} })
	return task
}

func (g generator) container() map[string]any {
	c := map[string]any{}
	g.maybe(c, "ports", func() any {
		port := map[string]any{"containerPort": int64(80)}
		g.maybe(port, "hostPort", func() any { return pick(g, int64(0), int64(8080)) })
		return []any{port}
	})
	if !g.rarely() && g.IntN(3) > 0 {
		return c
	}
	security := map[string]any{}
	g.maybe(security, "privileged", func() any { return pick(g, true, false) })
	g.maybe(security, "procMount", func() any { return pick(g, "Unmasked", "Default") })
	g.maybe(
		security,
		"appArmorProfile",
		func() any { return map[string]any{"type": pick(g, "Unconfined", "RuntimeDefault")} },
	)
	g.maybe(
		security,
		"seccompProfile",
		func() any { return map[string]any{"type": pick(g, "Unconfined", "RuntimeDefault")} },
	)
	g.maybe(security, "capabilities", func() any {
		return map[string]any{
			"add": []any{
				pick(g, "CHOWN", "CAP_CHOWN", "cap_sys_admin", "SYS_ADMIN", "setuid", "ALL", "CAP_CAP_CHOWN"),
			},
		}
	})
	c["securityContext"] = security
	return c
}

// pipeline has tasks that are written out, custom tasks among them, and pipelines to the second level.
func (g generator) pipeline(level int) map[string]any {
	tasks := func() []any {
		task := map[string]any{"name": pick(g, "a", "b")}
		switch {
		case level < 3 && g.rarely():
			task["pipelineSpec"] = g.pipeline(level + 1)
		case g.rarely():
			task["taskSpec"] = map[string]any{
				"apiVersion": "example.com/v1",
				"kind":       "Own",
				"spec":       map[string]any{},
				"steps":      g.task()["steps"],
			}
		default:
			task["taskSpec"] = g.task()
		}
		return []any{task}
	}
	spec := map[string]any{"tasks": tasks()}
	g.maybe(spec, "finally", func() any { return tasks() })
	return spec
}
