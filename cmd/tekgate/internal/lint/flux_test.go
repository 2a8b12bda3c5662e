package lint

import (
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// fluxObject is a Kustomization of Flux.
func fluxObject(path, post string) string {
	return "apiVersion: kustomize.toolkit.fluxcd.io/v1\nkind: Kustomization\nmetadata: {name: apps}\nspec:\n  path: " + path +
		"\n  postBuild: " + post + "\n"
}

// scriptOf is a Task whose script has a text.
func scriptOf(text, annotations string) string {
	return "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: t, annotations: {" + annotations + "}}\nspec:\n  steps:\n" +
		"  - name: a\n    image: registry.example.com/a:1\n    script: |\n      " + text + "\n"
}

// TestLintFlux holds what Flux v1.41.0 makes of each form, and which files its Kustomization is for.
func TestLintFlux(t *testing.T) {
	const substitute = "{substitute: {REGION: cn}}"
	const at = "apps/t.yaml:8:13 "
	for name, c := range map[string]struct {
		text, post, want string
		files            map[string]string // beside these
	}{
		"undefined":          {"echo ${IMAGE}", substitute, at + "warning", nil},
		"positional":         {"echo ${1}", substitute, at + "warning", nil},
		"cut":                {"echo ${name%%:*}", substitute, at + "warning", nil},
		"replaced":           {"echo ${var/a/b}", substitute, at + "warning", nil},
		"length":             {"echo ${#name}", substitute, at + "warning", nil},
		"length of a list":   {"echo ${#list[@]}", substitute, at + "error", nil},
		"list":               {`for i in "${list[@]}"; do :; done`, substitute, at + "error", nil},
		"indirect":           {"echo ${!x}", substitute, at + "error", nil},
		"all arguments":      {"echo ${@}", substitute, at + "error", nil},
		"bare default":       {"echo ${X-none}", substitute, at + "error", nil},
		"both":               {"echo ${A} ${B} ${!x}", substitute, at + "warning\n" + at + "error", nil},
		"defined":            {"echo ${REGION} ${REGION%%:*} ${#REGION}", substitute, "", nil},
		"defaults":           {"echo ${IMAGE:-none} ${X:+set} ${X:=a} ${X:-${Y}}", substitute, "", nil},
		"escaped":            {"echo $${HOME} $$${A:-b}", substitute, "", nil},
		"others' dollars":    {"echo $HOME $(date) $1 $$ $", substitute, "", nil},
		"no substitution":    {"echo ${IMAGE}", "{}", "", nil},
		"unknown variables":  {"echo ${IMAGE}", "{substituteFrom: [{kind: Secret, name: s}]}", "", nil},
		"unknown, and wrong": {"echo ${!x}", "{substituteFrom: [{kind: Secret, name: s}]}", at + "error", nil},
		"a ConfigMap's": {"echo ${IMAGE} ${TAG}", "{substituteFrom: [{kind: ConfigMap, name: c}]}", at + "warning",
			map[string]string{"c.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {TAG: a}\n"}},
		"a kustomization that leaves it out": {"echo ${IMAGE}", substitute, "",
			map[string]string{"apps/kustomization.yaml": "resources: [other.yaml]\n"}},
		"a base of the kustomization": {"echo none", substitute, "base/t.yaml:8:13 warning",
			map[string]string{"apps/kustomization.yaml": "resources: [../base]\n", "base/t.yaml": scriptOf("echo ${IMAGE}", "")}},
		"another folder": {"echo none", substitute, "",
			map[string]string{"other/apps/t.yaml": scriptOf("echo ${IMAGE}", "")}},
		"exempt": {"echo none", substitute, "", map[string]string{"apps/u.yaml": scriptOf("echo ${IMAGE}",
			"kustomize.toolkit.fluxcd.io/substitute: disabled")}},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]string{".git/HEAD": "", "clusters/apps.yaml": fluxObject("./apps", c.post),
				"apps/t.yaml": scriptOf(c.text, "")}
			for file, text := range c.files {
				files[file] = text
			}
			layout(t, files)
			want := strings.ReplaceAll(c.want, "error", "error flux-substitution")
			want = strings.ReplaceAll(want, "warning", "warning flux-substitution")
			if got := found(t, "--only=flux-substitution"); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestLintFluxOutside holds that a Kustomization outside of a repository says nothing.
func TestLintFluxOutside(t *testing.T) {
	layout(t, map[string]string{"apps.yaml": fluxObject("./", "{substitute: {A: b}}"),
		"t.yaml": scriptOf("echo ${B}", "")})
	if got := found(t, "--only=flux-substitution"); got != "" {
		t.Errorf("got %s", got)
	}
}

// fluxRun is a run and its Task as a folder has them that Flux substitutes.
const fluxRun = `apiVersion: tekton.dev/v1
kind: Task
metadata: {name: "t-${cluster}", namespace: "${ns}"}
spec:
  steps:
  - name: a
    image: docker.io/a/b:${image_tag}
    script: echo $${HOME} ${HOME:-x}
---
apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: "p-${cluster}", namespace: "${ns}"}
spec:
  tasks:
  - name: a
    retries: ${retries}
    taskRef: {name: "t-${cluster}"}
`

// TestLintFluxValues holds that rules judge what Flux makes of an object, and that their findings show the text as
// it is written.
func TestLintFluxValues(t *testing.T) {
	const substitute = `{substitute: {cluster: prod, image_tag: "1.0", ns: ci, retries: "2"}}`
	const only = "--only=image-malformed,tekton-rejects,missing-definition,duplicate-definition,image-latest," +
		"image-not-qualified,invalid-name"
	for name, c := range map[string]struct{ text, post, want string }{
		"known":     {fluxRun, substitute, ""},
		"not known": {fluxRun, "{substituteFrom: [{kind: Secret, name: s}]}", ""},
		"not known, the whole": {strings.Replace(fluxRun, "docker.io/a/b:${image_tag}", "${IMAGE}", 1),
			"{substituteFrom: [{kind: Secret, name: s}]}", ""},
		"the registry is not known": {strings.Replace(fluxRun, "docker.io", "${REGISTRY}", 1),
			"{substituteFrom: [{kind: Secret, name: s}]}", ""},
		"a bad value": {fluxRun, strings.Replace(substitute, "1.0", "a b", 1),
			`apps/t.yaml:7:12: error: "docker.io/a/b:${image_tag}" is no`},
		"a default": {strings.Replace(fluxRun, "${image_tag}", "${NO:-latest}", 1), substitute,
			`apps/t.yaml:7:12: warning: image "docker.io/a/b:${NO:-latest}"`},
		"a reference elsewhere": {strings.Replace(fluxRun, `taskRef: {name: "t-`, `taskRef: {name: "u-`, 1), substitute,
			`Task "u-${cluster}" does not exist`},
		"one that is not known": {strings.Replace(fluxRun, `taskRef: {name: "t-`, `taskRef: {name: "u-`, 1),
			"{substituteFrom: [{kind: Secret, name: s}]}", `Task "u-${cluster}" does not exist`},
		"a number as a text": {fluxRun, strings.Replace(substitute, `"2"`, "many", 1), "tekton-rejects"},
		"no substitution":    {fluxRun, "{}", "image-malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			layout(t, map[string]string{".git/HEAD": "", "clusters/apps.yaml": fluxObject("./apps", c.post),
				"apps/t.yaml": c.text})
			out, errOut, err := lintWith(t, validator.Rules, "", ".", only, "--fail-on=never")
			if err != nil || c.want == "" && out != "" || !strings.Contains(out, c.want) ||
				strings.Contains(out, "flux0") || strings.Contains(out, "flux1") {
				t.Errorf("got\n%s%s%v\nwant\n%s", out, errOut, err, c.want)
			}
		})
	}
}

// fluxNamed has a Task and a Pipeline whose names have a variable that is not known.
const fluxNamed = `apiVersion: tekton.dev/v1
kind: Task
metadata: {annotations: {a: "${first}"}, name: "t-${cluster}"}
spec:
  steps:
  - {name: a, image: registry.example.com/a:1, script: "echo ${third}"}
`

// TestLintFluxSamples holds that Kustomizations share the samples of what is not known, that findings show no sample
// of another object, and that each run says the same.
func TestLintFluxSamples(t *testing.T) {
	const secret = "{substituteFrom: [{kind: Secret, name: s}]}"
	layout(t, map[string]string{".git/HEAD": "",
		"clusters/apps.yaml":  fluxObject("./apps", secret),
		"clusters/tasks.yaml": fluxObject("./tasks", secret),
		"apps/p.yaml": `apiVersion: tekton.dev/v1
kind: Pipeline
metadata: {name: p}
spec:
  tasks:
  - {name: a, taskRef: {name: "t-${cluster}"}}
  - {name: b, taskRef: {name: "tt-${other}"}}
`,
		"tasks/t.yaml":     fluxNamed,
		"tasks/again.yaml": fluxNamed})
	const want = `apps/p.yaml:7:31: error: Task "tt-${other}" does not exist`
	for range 10 {
		out, _, err := lintWith(t, validator.Rules, "", ".", "--only=missing-definition,duplicate-definition",
			"--fail-on=never")
		if err != nil || !strings.Contains(out, want) || strings.Contains(out, `Task "t-${cluster}" does not`) ||
			!strings.Contains(out, `Task "t-${cluster}" is defined in`) || strings.Contains(out, "flux0") ||
			strings.Contains(out, "flux1") || strings.Contains(out, "flux2") {
			t.Fatalf("got\n%s%v", out, err)
		}
	}
}
