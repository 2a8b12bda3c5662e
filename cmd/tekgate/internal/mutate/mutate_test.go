package mutate

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	jsonpatch "github.com/evanphx/json-patch/v5"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/internal/object"
)

// kanikoRun is a TaskRun that docker-config and kaniko have something to do with.
const kanikoRun = `apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: build-}
spec:
  taskSpec:
    steps:
    - name: build   # with Kaniko
      image: gcr.io/kaniko-project/executor:v1.24.0
      args: [--destination=registry.example.com/team/app:v1]
`

// mutateText runs the command on a text.
func mutateText(t *testing.T, in string, args ...string) (out, errOut string) {
	t.Helper()
	out, errOut, err := program.Run(t, in, append([]string{"mutate", "-f", "-"}, args...)...)
	if err != nil {
		t.Fatalf("mutate %v: %v\n%s", args, err, errOut)
	}
	return out, errOut
}

// TestMutateStream holds that a stream keeps what no rule changes, byte for byte.
func TestMutateStream(t *testing.T) {
	const config = "# kept\napiVersion: v1\nkind: ConfigMap   # as it is\nmetadata: {name: \"x\"}\n"
	const secret = "{\"apiVersion\": \"v1\",\n \"kind\": \"Secret\", \"n\": 1.50}"
	out, _ := mutateText(t, config+"---\n"+kanikoRun+"---\n"+secret+"\n--- # last\n"+config)
	parts := strings.Split(out, "\n---")
	if len(parts) != 4 || parts[0]+"\n" != config || strings.TrimSpace(parts[2]) != secret || parts[3] != " # last\n"+
		config {
		t.Errorf("got\n%s", out)
	}
	clitest.InOrder(t, parts[1], "build # with Kaniko", "command:", "/kaniko/executor", "DOCKER_CONFIG",
		"/tekton/creds/.docker")

	for name, text := range map[string]string{
		"YAML": config, "JSON values": secret + "\n" + secret + "\n",
		"Windows":                  strings.ReplaceAll(config, "\n", "\r\n"),
		"no line break at the end": strings.TrimSpace(config), "YAML with a separator": "---\n" + config,
	} {
		if out, _ := mutateText(t, text); out != text {
			t.Errorf("%s: %q became %q", name, text, out)
		}
	}
	out, _ = mutateText(t, strings.ReplaceAll(kanikoRun, "\n", "\r\n"))
	if strings.Count(out, "\n") != strings.Count(out, "\r\n") || !strings.Contains(out, "DOCKER_CONFIG") {
		t.Errorf("the line ends of Windows are lost: %q", out)
	}
}

// TestMutateList holds that the items of a List are objects like others.
func TestMutateList(t *testing.T) {
	var run map[string]any
	text, _ := mutateText(t, kanikoRun, "-o", "json")
	if err := json.Unmarshal([]byte(text), &run); err != nil {
		t.Fatal(err)
	}
	const list = "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap # stays\n  metadata: {name: x}\n"
	indented := "- " + strings.TrimSpace(strings.ReplaceAll(kanikoRun, "\n", "\n  ")) + "\n"
	out, errOut := mutateText(t, list+indented)
	clitest.InOrder(t, out, "kind: List", "kind: ConfigMap # stays", "build # with Kaniko", "DOCKER_CONFIG")
	if !strings.Contains(errOut, "2 objects, 1 would change") {
		t.Errorf("it says %s", errOut)
	}
	out, _ = mutateText(t, list+indented, "-o", "patch")
	var patches []mutated
	if err := json.Unmarshal([]byte(out), &patches); err != nil || len(patches) != 1 || patches[0].Item != "/items/1" ||
		patches[0].Name != "build-*" {
		t.Errorf("got %s %v", out, err)
	}
	out, _ = mutateText(t, list+indented, "-o", "json")
	var objects struct {
		Kind  string
		Items []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &objects); err != nil || objects.Kind != "List" || len(objects.Items) != 2 ||
		clitest.JSON(t, objects.Items[1]) != clitest.JSON(t, run) {
		t.Errorf("got %s %v", out, err)
	}
}

// TestMutateFormats holds that all formats say the same.
func TestMutateFormats(t *testing.T) {
	asJSON, _ := mutateText(t, kanikoRun, "-o", "json")
	asYAML, _ := mutateText(t, kanikoRun)
	again, _ := mutateText(t, asYAML, "-o", "json")
	before, _ := mutateText(t, kanikoRun, "-o", "json", "--config", clitest.File(t, "off.yaml", off))
	if asJSON != again {
		t.Errorf("YAML gives\n%s\nJSON\n%s", again, asJSON)
	}
	patch, _ := mutateText(t, kanikoRun, "-o", "patch")
	var patches []struct{ Patch json.RawMessage }
	if err := json.Unmarshal([]byte(patch), &patches); err != nil || len(patches) != 1 {
		t.Fatalf("got %s %v", patch, err)
	}
	operations, err := jsonpatch.DecodePatch(patches[0].Patch)
	if err != nil {
		t.Fatal(err)
	}
	patched, err := operations.Apply([]byte(before))
	if err != nil || !jsonpatch.Equal(patched, []byte(asJSON)) {
		t.Errorf("the patch gives %s %v", patched, err)
	}
	diff, _ := mutateText(t, kanikoRun, "-o", "diff")
	clitest.InOrder(t, diff, "--- standard input: TaskRun default/build-*",
		"+++ standard input: TaskRun default/build-* (mutated)", "     - name: build # with Kaniko",
		"+      - name: DOCKER_CONFIG")
	if strings.Contains(diff, "\n-  ") {
		t.Errorf("nothing is taken away, and the diff says\n%s", diff)
	}
	for _, format := range []string{"diff", "patch"} {
		out, _ := mutateText(t, asYAML, "-o", format)
		if out != "" && out != "[]\n" {
			t.Errorf("of what is done already -o %s says %s", format, out)
		}
	}
}

// off switches off what is on by default.
const off = `apiVersion: tekgate.dev/v1alpha1
kind: Configuration
mutator: {dockerConfig: {disabled: true}, kaniko: {disabled: true}}
`

func TestMutateExitCode(t *testing.T) {
	_, _, err := program.Run(t, kanikoRun, "mutate", "-f", "-", "--exit-code")
	if cli.Status(err) != 2 || err.Error() != "1 of 1 objects would change" {
		t.Errorf("got %d %v", cli.Status(err), err)
	}
	if _, _, err := program.Run(t, kanikoRun, "mutate", "-f", "-", "--exit-code", "--config",
		clitest.File(t, "off.yaml", off)); err != nil {
		t.Errorf("nothing changes: got %v", err)
	}
	if _, _, err := program.Run(t, kanikoRun, "mutate", "-f", "-"); err != nil {
		t.Errorf("without the flag: got %v", err)
	}
}

// TestMutateCluster holds that the objects of the input stand for a cluster.
func TestMutateCluster(t *testing.T) {
	const account = "---\napiVersion: v1\nkind: ServiceAccount\nmetadata: {name: default}\n"
	for _, c := range []struct{ name, more, stays, says string }{
		{"nothing else", "", "", "set DOCKER_CONFIG"},
		{"a ServiceAccount with a secret", account + "secrets: [{name: harbor}]\n", "", "set DOCKER_CONFIG"},
		{"one without", account, "DOCKER_CONFIG",
			`warning: TaskRun default/build-*: ServiceAccount "default" in namespace "default" lists no Secret`},
		{"one of another namespace", strings.Replace(account, "name: default", "name: default, namespace: other", 1),
			"", "set DOCKER_CONFIG"},
		{"Tekton's flags",
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: feature-flags, namespace: tekton-pipelines}\ndata: {disable-creds-init: 'true'}\n",
			"DOCKER_CONFIG", "disable-creds-init is on"},
		{"Tekton's defaults",
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: config-defaults, namespace: tekton-pipelines}\ndata: {default-pod-template: 'env: [{name: DOCKER_CONFIG, value: /x}]'}\n",
			"name: DOCKER_CONFIG\n", "Tekton's default-pod-template sets DOCKER_CONFIG"},
		{"a Namespace that opts out",
			"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: default, labels: {tekgate.dev/mutate: disabled}}\n",
			"DOCKER_CONFIG", `Namespace "default" has the label tekgate.dev/mutate=disabled`},
		{"a Namespace with its own settings",
			"---\napiVersion: v1\nkind: Namespace\nmetadata:\n  name: default\n  annotations:\n    tekgate.dev/mutator: 'dockerConfig: {disabled: true}'\n",
			"DOCKER_CONFIG", "the rule is switched off"},
	} {
		out, errOut := mutateText(t, kanikoRun+c.more, "--explain")
		if !strings.Contains(errOut, c.says) {
			t.Errorf("%s: it says %s", c.name, errOut)
		}
		if c.stays != "" && strings.Contains(out, c.stays) || c.stays == "" && !strings.Contains(out, "DOCKER_CONFIG") {
			t.Errorf("%s: got\n%s", c.name, out)
		}
	}

	const ref = "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: r, namespace: ci}\nspec: {taskRef: {name: build}}\n---\n"
	out, errOut := mutateText(t,
		ref+strings.Replace(strings.Replace(task, "NAME", "build", 1), "name: build", "name: build, namespace: ci", 1),
		"--explain")
	if !strings.Contains(out, "podTemplate:") ||
		!strings.Contains(errOut, `+ spec.podTemplate: set DOCKER_CONFIG for Task "build"`) {
		t.Errorf("a Task of the input: got\n%s%s", out, errOut)
	}
	_, errOut = mutateText(t, ref, "--explain")
	if !strings.Contains(errOut, `there is no Task "build" in namespace "ci" yet`) {
		t.Errorf("it says %s", errOut)
	}
}

const task = `apiVersion: tekton.dev/v1
kind: Task
metadata: {name: NAME}
spec:
  steps:
  - {name: build, image: 'gcr.io/kaniko-project/executor:v1.24.0', args: [--no-push]}
`

// TestMutateSigned holds that a signature is not broken unasked.
func TestMutateSigned(t *testing.T) {
	signed := strings.Replace(task, "{name: NAME}", "{name: build, annotations: {tekton.dev/signature: x}}", 1)
	out, errOut := mutateText(t, signed, "--explain")
	if out != signed || !strings.Contains(errOut, "it is signed, and a change would break the signature") {
		t.Errorf("got\n%s%s", out, errOut)
	}
	out, errOut = mutateText(t, signed, "--resolved")
	if !strings.Contains(out, "DOCKER_CONFIG") ||
		!strings.Contains(errOut, "what is stored in the cluster stays as it is") {
		t.Errorf("got\n%s%s", out, errOut)
	}
}

// TestMutateStored tests a Task where the configuration changes what is stored: it is shown as
// it would be stored, with its record.
func TestMutateStored(t *testing.T) {
	config := clitest.File(t, "tekgate.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmutator: {localTasks: {mode: stored}}\n")
	out, errOut := mutateText(t, strings.Replace(task, "NAME", "build", 1), "--config", config)
	if !strings.Contains(out, "tekgate.dev/mutated") || !strings.Contains(out, "DOCKER_CONFIG") ||
		strings.Contains(errOut, "stays as it is") {
		t.Errorf("got\n%s%s", out, errOut)
	}
}

// TestMutateTemplate holds that a TriggerTemplate stays, and that it is said what
// becomes of its runs.
func TestMutateTemplate(t *testing.T) {
	const text = `apiVersion: triggers.tekton.dev/v1beta1
kind: TriggerTemplate
metadata: {name: tt, namespace: ci}
spec:
  params: [{name: image}]
  resourcetemplates:
  - apiVersion: tekton.dev/v1
    kind: TaskRun
    metadata: {generateName: r-}
    spec:
      taskSpec:
        steps:
        - {name: a, image: $(tt.params.image), command: [/kaniko/executor]}
        - {name: b, image: $(tt.params.image)}
  - {apiVersion: v1, kind: ConfigMap, metadata: {name: x}}
`
	out, errOut := mutateText(t, text, "--explain", "--mirror", "daocloud")
	if out != text {
		t.Errorf("it became\n%s", out)
	}
	clitest.InOrder(t, errOut, "TriggerTemplate ci/tt, spec.resourcetemplates[0], TaskRun (standard input)",
		"as an event would create it",
		`+ spec.taskSpec.steps[0], step "a": set DOCKER_CONFIG`, "spec.taskSpec.steps[0].image: it holds a parameter",
		"TriggerTemplate ci/tt, spec.resourcetemplates[1], ConfigMap: no rule is for this kind",
		"1 objects, 0 would change")
	if _, _, err := program.Run(t, text, "mutate", "-f", "-", "--exit-code"); err != nil {
		t.Errorf("nothing of it changes: got %v", err)
	}
	out, _ = mutateText(t, text, "--explain", "-o", "json")
	var report struct{ Objects []mutated }
	if err := json.Unmarshal([]byte(out), &report); err != nil || len(report.Objects) != 3 ||
		report.Objects[1].Within != "spec.resourcetemplates[0]" || report.Objects[1].Changed ||
		len(report.Objects[1].Decisions) == 0 || report.Objects[0].Object["kind"] != "TriggerTemplate" {
		t.Errorf("got %s %v", out, err)
	}
}

// TestMutateUnasked holds that one is told where the server is not asked.
func TestMutateUnasked(t *testing.T) {
	_, errOut := mutateText(t, kanikoRun, "-n", "kube-system")
	if !strings.Contains(errOut, `the API server does not ask Tekgate in namespace "kube-system"`) {
		t.Errorf("it says %s", errOut)
	}
}

// TestMutateRefuses holds what is said of input that is not right.
func TestMutateRefuses(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken.yaml")
	if err := os.WriteFile(broken, []byte(kanikoRun+"---\n- a\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		in   string
		args []string
		want string
	}{
		{"", []string{"-f", "-"}, "reading -: there is no YAML or JSON document in it"},
		{"", nil, "nothing is named to be read: pass -f with a file or folder, or -f - for standard input"},
		{"", []string{"run.yaml"}, `"run.yaml" is not expected: name files with -f`},
		{"", []string{"-f", "-", "-f", "-"}, "standard input can be read once only: name - once"},
		{"", []string{"-f", "none.yaml"}, "reading none.yaml: no such file or directory"},
		{"", []string{"-f", broken},
			broken +
				", document 2 (line 10): not a Kubernetes object: a list: put each object into a document of its own, or all into a `kind: List`"},
		{kanikoRun + "kind: Task\n", []string{"-f", "-"},
			`standard input: not well-formed: line 10: key "kind" already set in map`},
		{"{{ .Values.x }}\n", []string{"-f", "-"},
			"standard input: not well-formed, since it is a template as Helm has them, see line 1: use what `helm template CHART` makes of it"},
		{kanikoRun, []string{"-f", "-", "-o", "table"}, `--output "table" is not known: say yaml, json, name, jsonpath=TEMPLATE, diff or patch`},
		{kanikoRun, []string{"-f", "-", "--context", "x"},
			"flags such as --kubeconfig and --context are for --live: pass that too, or leave them out"},
		{kanikoRun, []string{"-f", "-", "--live", "--kubeconfig", "none"},
			"reading kubeconfig none: stat none: no such file or directory"},
		{kanikoRun, []string{"-f", "-", "--mirror", "nowhere"},
			`mirror "nowhere" is neither a preset (daocloud, daocloud-hosts, tektondev, upstream) nor a registry: name a registry by host and path, such as registry.example.com/tekton`},
		{kanikoRun, []string{"-f", "-", "--config",
			clitest.File(t, "c.yaml", strings.Replace(off, "kaniko: {", "imageMirror: {enabled: true}, kaniko: {", 1))},
			"mutator.imageMirror.enabled: there is no mirror: write a section mirror, or imageMirror.mirror"},
	} {
		_, _, err := program.Run(t, c.in, append([]string{"mutate"}, c.args...)...)
		if err == nil || err.Error() != c.want {
			t.Errorf("%v:\ngot  %v\nwant %s", c.args, err, c.want)
		}
	}
}

// TestMutateBig holds that an object of the size that a cluster takes at most
// passes, with all of its numbers.
func TestMutateBig(t *testing.T) {
	var b strings.Builder
	b.WriteString(kanikoRun)
	for i := range 9000 {
		fmt.Fprintf(&b, "    - {name: s%d, image: 'docker.io/library/golang:1.%d', script: \"%s\"}\n", i, i,
			strings.Repeat("x", 60))
	}
	b.WriteString("    extra: 9007199254740993\n")
	if b.Len() < 1<<20 {
		t.Fatalf("%d bytes are not big", b.Len())
	}
	out, _ := mutateText(t, b.String(), "-o", "json", "--mirror", "registry.example.com/hub")
	fields, err := object.Decode([]byte(out))
	if err != nil {
		t.Fatal(err)
	}
	tasks := object.Tasks(fields)
	if len(tasks) != 1 || tasks[0].Spec["extra"] != json.Number("9007199254740993") {
		t.Fatalf("got %v", tasks[0].Spec["extra"])
	}
	if images := tasks[0].Images(); len(images) != 9001 ||
		images[9000].Value != "registry.example.com/hub/golang:1.8999" {
		t.Errorf("got %d images, the last %s", len(images), images[len(images)-1].Value)
	}
}

// TestMutateAnchors holds that a change at one place does not follow an anchor to
// another.
func TestMutateAnchors(t *testing.T) {
	const text = `apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: build-}
spec:
  taskSpec:
    sidecars:
    - &container
      name: same
      image: gcr.io/kaniko-project/executor:v1.24.0
      args: [--no-push]
    steps:
    - *container
`
	out, _ := mutateText(t, text)
	fields := decodeYAML(t, out)
	task := object.Tasks(fields)[0]
	step := task.Spec["steps"].([]any)[0].(map[string]any)
	sidecar := task.Spec["sidecars"].([]any)[0].(map[string]any)
	if step["env"] == nil || sidecar["env"] != nil {
		t.Errorf("got\n%s", out)
	}
}

func decodeYAML(t *testing.T, text string) map[string]any {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	fields, err := object.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return fields
}

// TestMutateFolder holds that other files in a folder are passed over with a note, each by itself, and that
// a file that is named has to hold objects.
func TestMutateFolder(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{
		"run.yaml":                  "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: a}\nspec: {taskRef: {name: a}}\n",
		"values.yaml":               "image: a\n",
		"list.json":                 "[1, 2]\n",
		"empty.yaml":                "# nothing\n",
		"both.yaml":                 "a: b\n---\napiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: b}\nspec: {taskRef: {name: a}}\n",
		"broken.yaml":               "a: b: c\n",
		"chart/templates/task.yaml": "apiVersion: tekton.dev/v1\nkind: Task\nmetadata:\n  name: {{ .Values.name }}\n",
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, errOut, err := program.Run(t, "", "mutate", "-f", dir, "-o", "yaml")
	if err != nil || !strings.Contains(out, "name: a}") || !strings.Contains(out, "name: b}") {
		t.Errorf("got %v and %s", err, out)
	}
	for _, want := range []string{"values.yaml: not a Kubernetes object: without ",
		"list.json: not a Kubernetes object: a list",
		"both.yaml, document 1 (line 1): not a Kubernetes object", "broken.yaml: not well-formed: ",
		"task.yaml: not well-formed, since it is a template as Helm has them, see line 4: use what `helm template CHART`"} {
		if !strings.Contains(errOut, want) {
			t.Errorf("no note says %q:\n%s", want, errOut)
		}
	}
	if strings.Count(errOut, "note: ") != 5 || !strings.Contains(errOut, "2 objects") {
		t.Errorf("notes:\n%s", errOut)
	}
	delete(files, "run.yaml")
	for name := range files {
		if _, _, err := program.Run(t, "", "mutate", "-f", filepath.Join(dir, name)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestMutateTemplateNamespace holds that a run in a TriggerTemplate is judged in the template's namespace:
// by its exceptions, its Tasks and its Namespace's settings, unless it names another.
func TestMutateTemplateNamespace(t *testing.T) {
	const template = "apiVersion: triggers.tekton.dev/v1beta1\nkind: TriggerTemplate\nmetadata: {name: t, namespace: ci}\nspec:\n  resourcetemplates:\n  - apiVersion: tekton.dev/v1\n    kind: TaskRun\n    metadata: {generateName: x-}\n    spec: {taskRef: {name: app}}\n"
	const task = "---\napiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: app, namespace: ci}\nspec:\n  steps: [{name: push, image: 'gcr.io/kaniko-project/executor:v1.9.1', args: [--destination=r.example.com/a/b:1]}]\n"
	for _, c := range []struct{ name, text, want string }{
		{"the template's", template + task, `set DOCKER_CONFIG for Task "app"`},
		{"the run's own", strings.Replace(template, "generateName: x-", "generateName: x-, namespace: other", 1) + task,
			`there is no Task "app" in namespace "other"`},
		{"none", strings.Replace(template, ", namespace: ci", "", 1) + task, `there is no Task "app" in namespace "default"`},
		{"its Namespace's settings", template + task +
			"---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ci, labels: {tekgate.dev/mutate: disabled}}\n",
			`Namespace "ci" has the label tekgate.dev/mutate=disabled`},
	} {
		_, errOut, err := program.Run(t, c.text, "mutate", "-f", "-", "-o", "diff", "--explain")
		if err != nil || !strings.Contains(errOut, c.want) {
			t.Errorf("%s: %v: nothing says %q:\n%s", c.name, err, c.want, errOut)
		}
	}
}
