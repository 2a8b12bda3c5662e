package object_test

import "math/rand/v2"

// kinds are the names of random parameters; each has one type wherever it is.
var kinds = map[string]string{"a": "string", "b": "string", "c.d": "string", "arr": "array", "brr": "array", "obj": "object"}

var paramNames = []string{"a", "b", "c.d", "arr", "brr", "obj"}

// randomRun is a TaskRun or PipelineRun whose texts name parameters.
func randomRun(r *rand.Rand) string {
	if r.IntN(3) == 0 {
		return runOf("TaskRun", map[string]any{"params": randomGiven(r, false), "taskSpec": randomTask(r)})
	}
	var tasks []any
	for range 1 + r.IntN(3) {
		task := map[string]any{"name": "t", "taskSpec": randomTask(r)}
		if r.IntN(3) > 0 {
			task["params"] = randomGiven(r, true)
		}
		if r.IntN(3) == 0 {
			task["matrix"] = randomMatrix(r)
		}
		tasks = append(tasks, task)
	}
	return runOf("PipelineRun", map[string]any{"params": randomGiven(r, false),
		"pipelineSpec": map[string]any{"params": randomDeclared(r), "tasks": tasks[:1], "finally": tasks[1:]}})
}

func randomGiven(r *rand.Rand, expressions bool) []any {
	given := []any{}
	for _, name := range paramNames {
		if r.IntN(2) == 0 {
			given = append(given, map[string]any{"name": name, "value": randomValue(r, name, expressions)})
		}
	}
	return given
}

func randomDeclared(r *rand.Rand) []any {
	declared := []any{}
	for _, name := range paramNames {
		if r.IntN(3) == 0 {
			continue
		}
		param := map[string]any{"name": name, "type": kinds[name]}
		if r.IntN(2) == 0 {
			param["default"] = randomDefault(r, name)
		}
		declared = append(declared, param)
	}
	return declared
}

// randomDefault may name texts in a text.
func randomDefault(r *rand.Rand, name string) any {
	if kinds[name] == "string" && r.IntN(2) == 0 {
		return "d$(params." + pick(r, "a", "b", "c.d") + ")" + pick(r, "", "-$(params.a)", "-$(params.b)", "-end")
	}
	return randomValue(r, name, false)
}

func randomValue(r *rand.Rand, name string, expressions bool) any {
	text := func() string {
		if expressions && r.IntN(2) == 0 {
			return randomText(r)
		}
		return pick(r, "one", "two", "three", "", "$(tasks.t.results.r)", "$(context.taskRun.name)")
	}
	switch kinds[name] {
	case "array":
		if expressions && r.IntN(4) == 0 {
			return "$(params." + pick(r, "arr", "brr") + "[*])"
		}
		list := []any{}
		for range 1 + r.IntN(3) {
			list = append(list, text())
		}
		return list
	case "object":
		if expressions && r.IntN(4) == 0 {
			return "$(params.obj[*])"
		}
		return map[string]any{"k": text(), "l": text()}
	}
	return text()
}

func randomMatrix(r *rand.Rand) map[string]any {
	matrix := map[string]any{}
	params := []any{}
	for _, name := range []string{"a", "m"} {
		if r.IntN(2) == 0 {
			params = append(params, map[string]any{"name": name, "value": []any{pick(r, "x", "y"), "$(params.b)", "z"}})
		}
	}
	if len(params) == 0 || r.IntN(2) == 0 {
		matrix["include"] = []any{map[string]any{"params": []any{
			map[string]any{"name": "a", "value": pick(r, "x", "w")},
			map[string]any{"name": "n", "value": "$(params.arr[0])"}}}}
	}
	if len(params) > 0 {
		matrix["params"] = params
	}
	return matrix
}

func randomTask(r *rand.Rand) map[string]any {
	step := map[string]any{"name": "s", "image": randomText(r), "script": randomText(r), "workingDir": randomText(r),
		"args": []any{
			randomText(r), "$(params." + pick(r, "arr", "brr", "a") + pick(r, "[*]", "") + ")", randomText(r)},
		"env": []any{map[string]any{"name": "E", "value": randomText(r)}}}
	return map[string]any{"params": randomDeclared(r), "steps": []any{step},
		"sidecars":     []any{map[string]any{"name": "c", "image": randomText(r)}},
		"stepTemplate": map[string]any{"image": randomText(r)},
		"volumes":      []any{map[string]any{"name": "v", "secret": map[string]any{"secretName": randomText(r)}}}}
}

func randomText(r *rand.Rand) string {
	text := pick(r, "", "t", "host/")
	for range 1 + r.IntN(2) {
		text += pick(r, "$(params.a)", "$(params.b)", `$(params["c.d"])`, "$(params.c.d)", "$(params['a'])", "$(inputs.params.b)",
			"$(params.arr[0])", "$(params.brr[2])", "$(params.obj.k)", "$(params.obj.l)", `$(params["arr"][1])`, "$(params.m)",
			"$(params.n)", "$(params.none)", "$(tasks.t.results.r)", "$(params.a", "$$(params.a)", "plain") + pick(r, "", ":", "-")
	}
	return text
}

func pick(r *rand.Rand, texts ...string) string { return texts[r.IntN(len(texts))] }
