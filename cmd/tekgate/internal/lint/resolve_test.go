package lint

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/internal/imagetest"
)

// catalog serves definitions over HTTP, by their paths.
func catalog(t *testing.T, definitions map[string]string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, known := definitions[r.URL.Path]
		if !known {
			w.WriteHeader(http.StatusNotFound)
		}
		fmt.Fprint(w, strings.ReplaceAll(text, "SERVER", "http://"+r.Host))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// resolved runs lint with --resolve on a file, with a lock and a cache of its own.
func resolved(t *testing.T, text string, args ...string) (out, errOut string, err error) {
	t.Helper()
	folder := t.TempDir()
	file := filepath.Join(folder, "a.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	args = append([]string{"lint", file, "--resolve", "--cache", filepath.Join(folder, "cache"), "--fail-on", "info"},
		args...)
	out, errOut, err = program.Run(t, "", args...)
	return strings.ReplaceAll(out, file+":", ""), errOut, err
}

// only is the flag that leaves the rules of a test.
func only(rules ...string) string { return "--only=" + strings.Join(rules, ",") }

const buildTask = `apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec:
  params: [{name: image}, {name: args, type: array, default: []}]
  workspaces: [{name: source}]
  results: [{name: digest}]
  steps: [{image: "registry.example.com/a@sha256:19f02276bf8d4e2bb4d6e8b1ad1ae5e2b7d3f4a5b6c7d8e9f0a1b2c3d4e5f607"}]
`

// TestResolve holds that the rules see what bundles and HTTP hold, at the reference's use.
func TestResolve(t *testing.T) {
	host := clitest.Mirror(t)
	imagetest.Bundle(t, host+"/catalog:v1", map[string]string{"task/build": buildTask})
	address := catalog(t, map[string]string{"/build.yaml": buildTask,
		"/action.yaml": "apiVersion: tekton.dev/v1beta1\nkind: StepAction\nmetadata: {name: act}\n" +
			"spec: {params: [{name: url}], image: a, script: echo}\n"})
	bundle := "{resolver: bundles, params: [{name: bundle, value: '" + host + "/catalog:v1'}, {name: name, value: build}, " +
		"{name: kind, value: task}]}"
	web := "{resolver: http, params: [{name: url, value: '" + address + "/build.yaml'}]}"
	for _, ref := range []string{bundle, web} {
		out, errOut, err := resolved(t, `apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec:
  tasks:
  - name: one
    taskRef: `+ref+`
    params: [{name: imag, value: x}, {name: args, value: text}]
  - name: two
    taskRef: `+ref+`
    params: [{name: image, value: $(tasks.one.results.digst)}]
    workspaces: [{name: source, workspace: src}]
  workspaces: [{name: src}]
`, only("missing-param", "extra-param", "param-type", "unbound-workspace", "unknown-task-result"))
		if cli.Status(err) != 1 {
			t.Fatalf("got %v\n%s%s", err, out, errOut)
		}
		clitest.InOrder(t, out, `task "one" needs parameter "image" of Task "build" (`, "(missing-param)")
		for _, want := range []string{"(extra-param)", "(param-type)", "(unbound-workspace)", `did you mean "digest"?`} {
			if !strings.Contains(out, want) {
				t.Errorf("%s is missing:\n%s", want, out)
			}
		}
	}
	out, _, _ := resolved(t, "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t}\nspec:\n  steps:\n  - name: s\n"+
		"    ref: {resolver: http, params: [{name: url, value: '"+address+"/action.yaml'}]}\n", only("missing-param"))
	if !strings.Contains(out, `step "s" needs parameter "url" of StepAction "act" (`+address) {
		t.Errorf("StepAction: got %s", out)
	}
}

// TestResolveBesideLocal holds that a definition of the files and one of the same name elsewhere are two.
func TestResolveBesideLocal(t *testing.T) {
	address := catalog(t, map[string]string{"/build.yaml": buildTask})
	out, errOut, err := resolved(t, `apiVersion: tekton.dev/v1
kind: Task
metadata: {name: build}
spec: {steps: [{image: a, script: echo}]}
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec:
  tasks:
  - {name: near, taskRef: {name: build}}
  - {name: far, taskRef: {resolver: http, params: [{name: url, value: '`+address+`/build.yaml'}]}}
`, only("missing-param", "duplicate-definition", "missing-definition"))
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, `12:5: error: task "far" needs parameter "image"`) {
		t.Errorf("got %v\n%s%s", err, out, errOut)
	}
}

// TestResolveRecursively holds that a fetched Pipeline's references are followed with the values of the run.
func TestResolveRecursively(t *testing.T) {
	address := catalog(t, map[string]string{
		"/pipeline.yaml": `{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: outer}, spec: {
  params: [{name: version, default: v1}], tasks: [{name: a, taskRef: {resolver: http, params: [
  {name: url, value: SERVER/$(params.version)/task.yaml}]}}]}}`,
		"/v1/task.yaml": buildTask,
		"/v2/task.yaml": `{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: b}, spec: {steps: [{image: a}]}}`,
		"/loop.yaml": `{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: loop}, spec: {tasks: [{name: a, pipelineRef: {
  resolver: http, params: [{name: url, value: SERVER/loop.yaml}]}}]}}`,
	})
	run := func(path, params string) string {
		return "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: r}\nspec:\n  params: " + params + "\n" +
			"  pipelineRef: {resolver: http, params: [{name: url, value: '" + address + path + "'}]}\n"
	}
	rules := only("missing-param", "remote-definition", "unresolved-reference")
	for _, c := range []struct{ path, params, want, note string }{
		{"/pipeline.yaml", "[]", `6:16: info: in Pipeline "outer" (` + address +
			`/pipeline.yaml), which its author has to correct: spec.tasks[0]: task "a" needs parameter "image" of Task "build"`, ""},
		{"/pipeline.yaml", "[{name: version, value: v2}]", "", ""},
		{"/pipeline.yaml", "[{name: version, value: v3}]", "6:16: error: the Task cannot be judged: in Pipeline \"outer\" (" +
			address + "/pipeline.yaml), spec.tasks[0].taskRef: fetching " + address + "/v3/task.yaml: the server answered 404", ""},
		{"/loop.yaml", "[]", "6:16: error: the Pipeline cannot be judged: in Pipeline \"loop\"", ""},
		{"/$(params.nothing)", "[]", "", "spec.pipelineRef was not resolved: $(params.nothing) in its param url has no value here"},
	} {
		out, errOut, err := resolved(t, run(c.path, c.params), rules)
		if (c.want == "") != (out == "") || !strings.HasPrefix(out, c.want) || !strings.Contains(errOut, c.note) {
			t.Errorf("%s %s: got %v\n%s%s", c.path, c.params, err, out, errOut)
		}
	}
}

// TestUnresolvedReference holds what the rule unresolved-reference finds and lets pass.
func TestUnresolvedReference(t *testing.T) {
	address := catalog(t, map[string]string{"/build.yaml": buildTask, "/broken.yaml": "a: [\n",
		"/pipeline.yaml": "{apiVersion: tekton.dev/v1, kind: Pipeline, metadata: {name: p}}"})
	for ref, want := range map[string]string{
		"{resolver: http, params: [{name: url, value: SERVER/absent.yaml}]}":   "the server answered 404 Not Found",
		"{resolver: http, params: [{name: url, value: SERVER/broken.yaml}]}":   "is not well-formed",
		"{resolver: http, params: [{name: url, value: SERVER/pipeline.yaml}]}": "is a Pipeline of tekton.dev/v1 and no Task",
		"{resolver: hub, params: [{name: name, value: x}]}":                    "give the params name and version",
		"{resolver: bundles, params: [{name: name, value: x}]}":                "give the params bundle and name",
		"{resolver: git, params: [{name: org, value: x}]}":                     "has no param url",
		"{resolver: http, params: [{name: url, value: SERVER/build.yaml}]}":    "",
		"{resolver: http, params: [{name: url, value: 'SERVER/$(params.x)'}]}": "",
		"{resolver: cluster, params: [{name: name, value: x}]}":                "",
		"{resolver: ours, params: [{name: name, value: x}]}":                   "",
		"{name: build}": "",
	} {
		text := "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {generateName: a-}\nspec:\n  taskRef: " +
			strings.ReplaceAll(ref, "SERVER", address) + "\n"
		out, errOut, err := resolved(t, text, only("unresolved-reference"))
		begin := ""
		if want != "" {
			begin = "5:12: error: the Task cannot be judged: "
		}
		if (want == "") != (out == "" && err == nil) || !strings.HasPrefix(out, begin) || !strings.Contains(out, want) {
			t.Errorf("%s: got %v\n%s%s", ref, err, out, errOut)
		}
	}
}

// TestUnresolvedLeavesOthers holds that one reference which leads nowhere keeps nothing else from being judged, and
// that a comment suppresses it.
func TestUnresolvedLeavesOthers(t *testing.T) {
	address := catalog(t, map[string]string{"/build.yaml": buildTask})
	pipeline := "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n  tasks:\n  - name: a\n" +
		"    # tekgate: ignore unresolved-reference it comes with the next release\n" +
		"    taskRef: {resolver: http, params: [{name: url, value: '" + address + "/absent.yaml'}]}\n  - name: b\n" +
		"    taskRef: {resolver: http, params: [{name: url, value: '" + address + "/build.yaml'}]}\n"
	out, errOut, err := resolved(t, pipeline, only("unresolved-reference", "missing-param"))
	if strings.Count(out, "\n") != 1 || !strings.Contains(out, `task "b" needs parameter "image"`) ||
		!strings.Contains(errOut, "1 suppressed") {
		t.Errorf("got %v\n%s%s", err, out, errOut)
	}
}

// TestRemoteDefinition holds what the rule remote-definition finds and lets pass.
func TestRemoteDefinition(t *testing.T) {
	spec := func(spec string) string {
		return "{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: t}, spec: " + spec + "}"
	}
	image := "'registry.example.com/a@sha256:19f02276bf8d4e2bb4d6e8b1ad1ae5e2b7d3f4a5b6c7d8e9f0a1b2c3d4e5f607'"
	address := catalog(t, map[string]string{
		"/steps.yaml":   spec("{steps: []}"),
		"/param.yaml":   spec("{steps: [{image: " + image + ", script: 'echo $(params.x)'}]}"),
		"/type.yaml":    spec("{params: [{name: x, type: text}], steps: [{image: " + image + "}]}"),
		"/good.yaml":    spec("{steps: [{image: " + image + ", command: [\"true\"]}]}"),
		"/warning.yaml": spec("{params: [{name: unused}], steps: [{image: 'alpine:latest', script: echo}]}"),
	})
	for path, want := range map[string]string{
		"/steps.yaml": "(tekton-rejects)", "/param.yaml": "(undefined-param)", "/type.yaml": "(param-type)",
		"/good.yaml": "", "/warning.yaml": "",
	} {
		text := "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {generateName: a-}\nspec:\n" +
			"  params: [{name: unused, value: a}, {name: x, value: a}]\n" +
			"  taskRef: {resolver: http, params: [{name: url, value: '" + address + path + "'}]}\n"
		out, errOut, err := resolved(t, text)
		line := ""
		for l := range strings.Lines(out) {
			if strings.Contains(l, "(remote-definition)") {
				line = l
			}
		}
		if (want == "") != (line == "") || !strings.Contains(line, want) ||
			want != "" && !strings.HasPrefix(line, "6:12: info: in Task \"t\" ("+address+path) {
			t.Errorf("%s: got %v %q\n%s%s", path, err, line, out, errOut)
		}
	}
}

// TestResolveLock holds where the lock is, that it is respected, and that nothing is asked offline.
func TestResolveLock(t *testing.T) {
	definitions := map[string]string{"/build.yaml": buildTask}
	address := catalog(t, definitions)
	folder := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(folder, "cache"))
	in := filepath.Join(folder, "in")
	if err := os.Mkdir(in, 0o700); err != nil {
		t.Fatal(err)
	}
	text := "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {generateName: a-}\nspec:\n  taskRef: {resolver: http, params: " +
		"[{name: url, value: '" + strings.Replace(address, "://", "://me:correct-horse@", 1) + "/build.yaml'}]}\n"
	if err := os.WriteFile(filepath.Join(in, "a.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	lint := func(args ...string) string {
		t.Helper()
		out, errOut, _ := program.Run(t, "", append([]string{"lint", in, "--resolve",
			only("missing-param", "unresolved-reference")}, args...)...)
		if strings.Contains(out+errOut, "correct-horse") {
			t.Errorf("the password is printed:\n%s%s", out, errOut)
		}
		return out + errOut
	}
	if said := lint("--offline"); !strings.Contains(said, "is not in the lock, and --offline asks no server") {
		t.Errorf("got %s", said)
	}
	said := lint()
	if !strings.Contains(said, "tekgate.lock was written") || !strings.Contains(said, "(missing-param)") {
		t.Errorf("got %s", said)
	}
	lock, err := os.ReadFile(filepath.Join(in, "tekgate.lock"))
	if err != nil || strings.Contains(string(lock), "correct-horse") {
		t.Errorf("got %v\n%s", err, lock)
	}
	definitions["/build.yaml"] = strings.ReplaceAll(buildTask, "name: image", "name: picture")
	if said := lint(); !strings.Contains(said, "has changed") || strings.Contains(said, "was written") {
		t.Errorf("got %s", said)
	}
	if said := lint("--offline"); !strings.Contains(said, `needs parameter "image"`) {
		t.Errorf("got %s", said)
	}
	if said := lint("--update"); !strings.Contains(said, `needs parameter "picture"`) ||
		!strings.Contains(said, "was written") {
		t.Errorf("got %s", said)
	}
	said = lint("--offline", "--cache", t.TempDir())
	if !strings.Contains(said, "is in the lock and not in the cache") {
		t.Errorf("got %s", said)
	}
}

// TestResolveFlags holds the flags that contradict each other.
func TestResolveFlags(t *testing.T) {
	for args, want := range map[string]string{
		"--offline":                      "--offline is for --resolve",
		"--lock x":                       "--lock is for --resolve",
		"--resolve --offline --update":   "leave one of them out",
		"--resolve --resolve-url x":      "--resolve-url wants two URLs",
		"--resolve --resolve-url a=b://": "--resolve-url wants two URLs",
		"--ca-file x":                    "for --online and --resolve",
	} {
		_, _, err := program.Run(t, "", append([]string{"lint", "-"}, strings.Fields(args)...)...)
		if cli.Status(err) != 2 || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v", args, err)
		}
	}
}

// TestResolveAnnotations holds that what the annotations of a run of Pipelines-as-Code bring is known by its name.
func TestResolveAnnotations(t *testing.T) {
	address := catalog(t, map[string]string{"/build.yaml": buildTask,
		"/api/v1/packages/tekton-task/tekton-catalog-tasks/clone":       `{"available_versions": [{"version": "0.9.0"}]}`,
		"/api/v1/packages/tekton-task/tekton-catalog-tasks/clone/0.9.0": hubAnswer("clone", "url"),
		"/api/v1/packages/tekton-task/tekton-catalog-tasks/old/0.1.0":   hubAnswer("old", "path"),
	})
	out, errOut, err := resolved(t, `apiVersion: tekton.dev/v1
kind: PipelineRun
metadata:
  name: r
  annotations:
    pipelinesascode.tekton.dev/task: "[clone, `+address+`/build.yaml, .tekton/own.yaml]"
    pipelinesascode.tekton.dev/task-1: "old:0.1"
    pipelinesascode.tekton.dev/task-2: "[absent:1.0, ours://x]"
spec:
  pipelineSpec:
    tasks:
    - {name: a, taskRef: {name: clone}}
    - {name: b, taskRef: {name: build}, params: [{name: image, value: x}]}
    - {name: c, taskRef: {name: old}}
    - {name: d, taskRef: {name: own}}
`, only("missing-param", "unresolved-reference", "remote-definition"), "--artifact-hub", address)
	clitest.InOrder(t, out, "8:40: error: the Task cannot be judged: fetching ", "/absent/1.0.0: the server answered 404",
		`12:7: error: task "a" needs parameter "url" of Task "clone"`, `14:7: error: task "c" needs parameter "path"`)
	if strings.Count(out, "\n") != 3 ||
		!strings.Contains(errOut, `tekgate does not know the resolver "catalog ours://x"`) {
		t.Errorf("got %v\n%s%s", err, out, errOut)
	}
}

// hubAnswer is what Artifact Hub says of a Task with a param.
func hubAnswer(name, param string) string {
	return fmt.Sprintf(`{"data": {"manifestRaw": "{apiVersion: tekton.dev/v1, kind: Task, metadata: {name: %s}, `+
		`spec: {params: [{name: %s}], steps: [{image: a}]}}"}}`, name, param)
}

// TestResolveUnknownInOrder holds that of several params without a value each run reports the first by name.
func TestResolveUnknownInOrder(t *testing.T) {
	const text = `apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec:
  params: [{name: a}, {name: b}, {name: c}]
  tasks:
  - name: t
    taskRef:
      resolver: git
      params:
      - {name: url, value: $(params.a)}
      - {name: revision, value: $(params.b)}
      - {name: pathInRepo, value: $(params.c)}
`
	for range 10 {
		_, errOut, _ := resolved(t, text, "--offline")
		if !strings.Contains(errOut, "$(params.c) in its param pathInRepo has no value here") {
			t.Fatalf("got %s", errOut)
		}
	}
}
