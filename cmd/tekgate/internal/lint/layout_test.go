package lint

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// layout writes files, and makes their folder the current one.
func layout(t *testing.T, files map[string]string) {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
}

// task is a Task with a parameter that must be given.
func task(name, param string) string {
	return "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: " + name + "}\nspec:\n  params: [{name: " + param +
		"}]\n  steps: [{name: a, image: 'registry.example.com/a:1', env: [{name: A, value: $(params." + param +
		")}], command: [a]}]\n"
}

// pipeline gives a parameter to a Task.
func pipeline(name, ref, param string) string {
	return "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: " + name + "}\nspec:\n  tasks:\n  - name: a\n    taskRef: {name: " +
		ref + "}\n    params: [{name: " + param + ", value: b}]\n"
}

// found is what lint says of the current folder: the rules and places of its errors and warnings.
func found(t *testing.T, args ...string) string {
	t.Helper()
	out, _, _ := program.Run(t, "", append([]string{"lint", "."}, args...)...)
	var lines []string
	for line := range strings.Lines(out) {
		place, rest, _ := strings.Cut(strings.TrimSpace(line), ": ")
		severity, _, _ := strings.Cut(rest, ":")
		rule := rest[strings.LastIndex(rest, "(")+1:]
		lines = append(lines, place+" "+severity+" "+strings.TrimSuffix(rule, ")"))
	}
	return strings.Join(lines, "\n")
}

// TestLintLayouts holds which of several definitions counts in the layouts of repositories, and what is said
// of the others.
func TestLintLayouts(t *testing.T) {
	const chart = "apiVersion: v2\nname: c\nversion: 1.0.0\n"
	const helm = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: \"{{ .Values.name }}\"}\nspec: {steps: [{name: a, image: \"{{ .Values.image }}\"}]}\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"versions in folders, each with its test": {map[string]string{
			"task/b/0.1/b.yaml": task("b", "old"), "task/b/0.1/tests/p.yaml": pipeline("p1", "b", "old"),
			"task/b/0.2/b.yaml": task("b", "new"), "task/b/0.2/tests/p.yaml": pipeline("p2", "b", "new"),
		}, "task/b/0.1/b.yaml:3:18 info duplicate-definition"},
		"a test that is wrong for the nearest": {map[string]string{
			"task/b/0.1/b.yaml": task("b", "old"),
			"task/b/0.2/b.yaml": task("b", "new"), "task/b/0.2/tests/p.yaml": pipeline("p2", "b", "old"),
		}, "task/b/0.1/b.yaml:3:18 info duplicate-definition\ntask/b/0.2/tests/p.yaml:6:5 error missing-param\ntask/b/0.2/tests/p.yaml:8:14 warning extra-param"},
		"versions that are as near": {map[string]string{
			"task/b/0.1/b.yaml": task("b", "old"), "task/b/0.2/b.yaml": task("b", "new"), "task/b/0.3/b.yaml": task("b", "newer"),
			"pipelines/p.yaml": pipeline("p", "b", "any"),
		}, "task/b/0.1/b.yaml:3:18 info duplicate-definition"},
		"a definition in a folder below": {map[string]string{
			"a/p.yaml": pipeline("p", "b", "new"), "a/tasks/b.yaml": task("b", "new"), "b/b.yaml": task("b", "old"),
		}, "a/tasks/b.yaml:3:18 info duplicate-definition"},
		"two in one file": {map[string]string{
			"a.yaml": task("b", "x") + "---\n" + task("b", "w"), "p.yaml": pipeline("p", "b", "z"),
		}, "a.yaml:10:18 error duplicate-definition"},
		"two in one file and one in another": {map[string]string{
			"a.yaml": task("b", "x") + "---\n" + task("b", "x"), "b.yaml": task("b", "x"),
		}, "a.yaml:3:18 info duplicate-definition\na.yaml:10:18 error duplicate-definition"},
		"one name in two namespaces": {map[string]string{
			"a.yaml": strings.Replace(task("b", "x"), "name: b", "name: b, namespace: one", 1) + "---\n" +
				strings.Replace(task("b", "x"), "name: b", "name: b, namespace: two", 1),
		}, ""},
		"runs with generated names": {map[string]string{
			"a.yaml": strings.Repeat("---\napiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {generateName: a-}\nspec: {serviceAccountName: s, taskRef: {name: b}}\n", 2),
			"b.yaml": strings.Replace(task("b", "x"), "{name: x}", "{name: x, default: y}", 1),
		}, ""},
		"a base, an overlay and its patches": {map[string]string{
			"base/kustomization.yaml":         "resources: [b.yaml, p.yaml]\n",
			"base/b.yaml":                     task("b", "new"),
			"base/p.yaml":                     pipeline("p", "b", "new"),
			"overlays/one/kustomization.yaml": "resources: [../../base]\npatches:\n- path: p.yaml\n- patch: |\n    - op: remove\n      path: /spec\n  target: {kind: Task}\n",
			"overlays/one/p.yaml":             "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec: {tasks: [{name: c}]}\n",
			"overlays/two/kustomization.yml":  "patchesStrategicMerge: [b.yaml]\npatchesJson6902: [{path: more/c.yaml}]\n",
			"overlays/two/b.yaml":             "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: b}\nspec: {stepTemplate: {}}\n",
			"overlays/two/more/c.yaml":        "apiVersion: tekton.dev/v1\nkind: Task\n",
		}, ""},
		"a chart": {map[string]string{
			"chart/Chart.yaml": chart, "chart/templates/a.yaml": helm, "chart/templates/sub/b.yaml": "{{ if .x }}\n" + helm + "{{ end }}\n",
			"chart/templates/c.yaml": strings.ReplaceAll(helm, "\"", ""), "chart/templates/d.yaml": task("d", "x"),
			"other/Chart.yaml": chart, "other/templates/a.yaml": helm,
		}, "chart/templates/a.yaml:3:1 error syntax\nother/templates/a.yaml:3:1 error syntax"},
		"templates without a chart": {map[string]string{
			"a/x.yaml": strings.ReplaceAll(helm, "\"", ""), "a/y.yaml": strings.ReplaceAll(helm, "\"", ""),
		}, "a/x.yaml:3:1 error syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			layout(t, c.files)
			if got := found(t, "--except", "kaniko-archived"); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

// TestLintCharts holds that a chart's templates are one finding, with how many there are.
func TestLintCharts(t *testing.T) {
	files := map[string]string{"Chart.yaml": "name: c\n"}
	for _, name := range []string{"a", "b", "c"} {
		files["templates/"+name+".yaml"] = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata:\n  name: {{ .Values.name }}\n"
	}
	layout(t, files)
	out, _, err := program.Run(t, "", "lint", ".")
	if err == nil || strings.Count(out, "\n") != 1 || !strings.Contains(out, "(and 2 more in .)") ||
		!strings.Contains(out, "`helm template CHART | tekgate lint -`") {
		t.Errorf("got %v and\n%s", err, out)
	}
}

// pullRequest is a run of Pipelines-as-Code.
func pullRequest(annotations, spec string) string {
	return "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  generateName: pr-{{ revision }}-\n  annotations:\n    pipelinesascode.tekton.dev/on-event: '[push]'\n" +
		annotations + "spec:\n  taskRunTemplate: {serviceAccountName: s}\n" + spec
}

// TestLintPipelinesAsCode holds that what Pipelines-as-Code puts in is there, and that all else is still found.
func TestLintPipelinesAsCode(t *testing.T) {
	const inlined = "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: check}\nspec:\n  workspaces: [{name: cache}]\n  params: [{name: url}]\n  steps:\n  - {name: a, image: 'registry.example.com/a:1', workingDir: $(workspaces.source.path), env: [{name: A, value: $(params.url) $(params.from-the-run)}], command: [a]}\n"
	const named = "    pipelinesascode.tekton.dev/task: '[ci/check.yaml, git-clone, https://example.com/x.yaml]'\n"
	const spec = "  params: [{name: url, value: '{{ repo_url }}'}]\n  workspaces: [{name: cache, emptyDir: {}}, {name: source, emptyDir: {}}]\n  pipelineSpec:\n    params: [{name: url}]\n    workspaces: [{name: cache}, {name: source}]\n    tasks:\n    - name: c\n      taskRef: {name: check}\n"
	const values = "  workspaces: [{name: a, secret: {secretName: '{{ git_auth_secret }}'}}]\n  pipelineSpec:\n    workspaces: [{name: a}]\n    tasks:\n    - name: b\n      taskSpec:\n        workspaces: [{name: a}]\n        steps: [{name: s, image: 'registry.example.com/{{ repo_name }}:{{ revision }}', workingDir: $(workspaces.a.path), script: 'git checkout {{revision}}'}]\n      workspaces: [{name: a}]\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a Task in .tekton": {map[string]string{
			".tekton/pr.yaml": pullRequest("", spec), ".tekton/tasks/check.yaml": inlined,
		}, ""},
		"a Task that is named": {map[string]string{
			"pr.yaml": pullRequest(named, spec), "ci/check.yaml": inlined,
		}, ""},
		"a numbered annotation":        {map[string]string{"pr.yaml": pullRequest(strings.Replace(named, "/task:", "/task-1:", 1), spec), "ci/check.yaml": inlined}, ""},
		"a Task that stands elsewhere": {map[string]string{"pr.yaml": pullRequest(named, spec), "di/check.yaml": inlined}, "di/check.yaml:8:62 error undeclared-workspace\ndi/check.yaml:8:89 error tekton-rejects\ndi/check.yaml:8:112 error undefined-param"},
		"what nothing binds": {map[string]string{
			".tekton/pr.yaml": pullRequest("",
				strings.NewReplacer("{name: cache, emptyDir: {}}, ", "", "{name: cache}, ", "").Replace(spec)),
			".tekton/check.yaml": inlined,
		}, ".tekton/pr.yaml:15:7 warning unbound-workspace"},
		"variables in values": {map[string]string{"pr.yaml": pullRequest("", values)}, ""},
		"a wrong image": {map[string]string{"pr.yaml": pullRequest("", strings.Replace(values, "registry.example.com/{{", "registry.example.com//{{", 1))},
			"pr.yaml:16:34 error image-malformed"},
		"variables without annotations": {map[string]string{"pr.yaml": strings.Replace(pullRequest("", values), "pipelinesascode.tekton.dev", "example.com", 1)},
			"pr.yaml:3:1 error tekton-rejects\npr.yaml:16:34 error image-malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			layout(t, c.files)
			if got := found(t); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
	layout(t, map[string]string{"pr.yaml": pullRequest("", strings.Replace(values, "registry.example.com/{{", "registry.example.com//{{", 1))})
	out, _, _ := program.Run(t, "", "lint", ".")
	if !strings.Contains(out, `"registry.example.com//{{ repo_name }}:{{ revision }}" is no image reference`) {
		t.Errorf("the variables are not shown as they are written: %s", out)
	}
}

// TestLintRenamed holds that kustomize is named where it may have renamed something.
func TestLintRenamed(t *testing.T) {
	const task = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: shop-a}\nspec: {serviceAccountName: pusher, " +
		"taskRef: {name: t}}\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: shop-pusher}\n---\n" +
		"apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: shop-t}\nspec: {steps: [{name: a, image: a}]}\n"
	const only = "--only=renamed-reference,missing-definition"
	layout(t, map[string]string{"plain/a.yaml": task, "built/a.yaml": task, "built/kustomization.yaml": "namePrefix: shop-\n"})
	for _, c := range []struct {
		in, path, severity string
		kustomize          bool
	}{{"", "plain", "info", false}, {"", "built", "warning", true}, {task, "-", "warning", true}} {
		out, _, _ := lintWith(t, validator.Rules, c.in, c.path, only, "--fail-on=never")
		if !strings.Contains(out, c.severity+`: no file has the ServiceAccount "pusher"`) ||
			!strings.Contains(out, `did you mean "shop-t"?`) || strings.Contains(out, "namePrefix") != c.kustomize {
			t.Errorf("%s: got\n%s", c.path, out)
		}
	}
}

// TestLintUnquoted holds what is said of variables of Pipelines-as-Code that are not in quotes.
func TestLintUnquoted(t *testing.T) {
	const run = "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata:\n  generateName: a-\n  annotations:\n" +
		"    pipelinesascode.tekton.dev/on-event: \"[push]\"\nspec:\n  pipelineRef: {name: p}\n  params:\n" +
		"  - name: url\n    value: \"{{ repo_url }}\"\n  - name: revision\n    value: "
	layout(t, map[string]string{".tekton/a.yaml": run + "{{ revision }}\n", ".tekton/b.yaml": run + "\"{{ revision }}\"\n",
		".tekton/c.yaml": run + "a\n- b\n", "d.yaml": "kind: Task\napiVersion: tekton.dev/v1\nspec: {{ .Values.x }}\n"})
	for path, want := range map[string]string{
		".tekton/a.yaml": ".tekton/a.yaml:13:1: error: {{ … }} without quotes", ".tekton/b.yaml": "",
		".tekton/c.yaml": "not well-formed", "d.yaml": "`helm template CHART",
	} {
		out, errOut, _ := lintWith(t, validator.Rules, "", path, "--only=syntax")
		if !strings.Contains(out, want) || (want == "") != strings.Contains(errOut, "0 errors") ||
			strings.Contains(out, "helm") != (path == "d.yaml") {
			t.Errorf("%s: got\n%s%s", path, out, errOut)
		}
	}
}
