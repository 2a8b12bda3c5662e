package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

var objectLine = regexp.MustCompile(`(?m)^  (\S+) (created|configured|unchanged)$`)

// actions counts what became of the objects in install's report.
func actions(errOut string) map[string]int {
	n := map[string]int{}
	for _, m := range objectLine.FindAllStringSubmatch(errOut, -1) {
		n[m[2]]++
	}
	return n
}

// TestOnAPIServer shares one API server between tests: nothing is installed at first.
func TestOnAPIServer(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	t.Run("refuses", func(t *testing.T) { testInstallRefuses(t, c) })
	t.Run("report", func(t *testing.T) { testInstallReport(t, c) })
	t.Run("diff", func(t *testing.T) { testDiffThreeWay(t, c) })
}

func TestInstall(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	flags := []string{"--kubeconfig", c.Kubeconfig, "--mirror", "registry.example.com/tekton"}

	out, errOut := program.Must(t, append([]string{"diff"}, flags...)...)
	if strings.Contains(out, "configured") || !strings.Contains(out, "ClusterInterceptor/cel would be created") ||
		!strings.Contains(errOut, ", 0 unchanged") {
		t.Errorf("diff of an empty cluster says\n%s%s", out, errOut)
	}
	namespaces, err := kubernetes.NewForConfigOrDie(c.Config).CoreV1().Namespaces().List(t.Context(),
		metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces.Items {
		if strings.HasPrefix(ns.Name, "tek") {
			t.Errorf("diff made namespace %s", ns.Name)
		}
	}

	_, errOut = program.Must(t, append([]string{"install", "--wait=false", "--skip-probe"}, flags...)...)
	first := actions(errOut)
	if first["created"] < 140 || len(first) != 1 {
		t.Errorf("the first install did %v, want only created", first)
	}
	clitest.InOrder(t, errOut, "stage 1 of 8", "Namespace/tekton-pipelines created", "stage 2 of 8",
		"CustomResourceDefinition/clusterinterceptors.triggers.tekton.dev created",
		"stage 4 of 8", "Deployment/tekton-pipelines/tekton-pipelines-webhook created",
		"stage 5 of 8", "ClusterInterceptor/cel created", "stage 6 of 8",
		"Deployment/tekton-pipelines/tekton-pipelines-controller created",
		"stage 7 of 8", "Deployment/tekgate/tekgate-webhook created", "stage 8 of 8",
		"MutatingWebhookConfiguration/mutate.tekgate.dev created")

	_, errOut = program.Must(t, append([]string{"install", "--wait=false", "--skip-probe"}, flags...)...)
	if again := actions(errOut); again["unchanged"] != first["created"] || len(again) != 1 {
		t.Errorf("the second install did %v, want %d unchanged", again, first["created"])
	}
	out, errOut = program.Must(t, append([]string{"diff", "--exit-code"}, flags...)...)
	if out != "" || !strings.Contains(errOut, " 0 would change") {
		t.Errorf("diff after install says\n%s%s", out, errOut)
	}

	// Another mirror changes the images, and nothing else.
	flags[3] = "other.example.com/t"
	out, _, err = program.Run(t, "", append([]string{"diff", "--exit-code"}, flags...)...)
	if cli.Status(err) != 2 {
		t.Errorf("diff --exit-code ends with %v, want status 2", err)
	}
	for _, want := range []string{
		"Deployment/tekton-pipelines/tekton-pipelines-controller would be configured",
		"-        - registry.example.com/tekton/pipeline-entrypoint:v1.15.1",
		"+        - other.example.com/t/pipeline-entrypoint:v1.15.1",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("diff lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "CustomResourceDefinition") || strings.Contains(out, "managedFields") {
		t.Errorf("diff shows more than the change:\n%s", out)
	}
}

// What is wrong is said in one sentence, and nothing is written.
func testInstallRefuses(t *testing.T, c *cluster.Cluster) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const head = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"
	kubeconfig := []string{"--kubeconfig", c.Kubeconfig}
	unreachable := file("unreachable",
		"apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\ncontexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n")
	tests := []struct {
		name string
		in   string
		args []string
		want string
	}{
		{"no mirror", "", kubeconfig, "no mirror is named: pass --mirror"},
		{"missing kubeconfig", "", []string{"--mirror", "daocloud", "--kubeconfig", "/no/such"},
			"reading kubeconfig /no/such"},
		{"unknown context", "", append(kubeconfig, "--mirror", "daocloud", "--context", "nobody"),
			`context "nobody" does not exist`},
		{"unreachable", "", []string{"--mirror", "daocloud", "--kubeconfig", unreachable},
			"connecting to the cluster at https://127.0.0.1:1: dial tcp 127.0.0.1:1: connect: connection refused: check that the server runs"},
		{"not YAML", "", append(kubeconfig, "--mirror", "daocloud", "--pipeline-manifest", file("m.yaml", "a: b: c")),
			"m.yaml: document 1: not YAML"},
		{"a manifest without TLS", "",
			append(kubeconfig, "--mirror", "daocloud", "--pipeline-manifest", "http://u:s3cr3t@127.0.0.1:1/r.yaml"),
			"reading manifest http://xxxxx@127.0.0.1:1/r.yaml: http:// is not encrypted"},
		{"a manifest with another digest", "not YAML: :",
			append(kubeconfig, "--mirror", "daocloud", "--pipeline-manifest", "-", "--sha256",
				strings.Repeat("0", 64)), "which --sha256 does not name: get the file again"},
		{"a digest that is none", "",
			append(kubeconfig, "--mirror", "daocloud", "--pipeline-manifest", "-", "--sha256", "abc"),
			"--sha256 abc is not a SHA-256 digest"},
		{"a digest that pins nothing", "",
			append(kubeconfig, "--mirror", "daocloud", "--sha256", strings.Repeat("0", 64)),
			"--sha256 pins no manifest"},
		{"web page", "<html></html>", append(kubeconfig, "--mirror", "daocloud", "--pipeline-manifest", "-"),
			"reading manifest -: document 1: not a Kubernetes object"},
		{"input twice", "",
			append(kubeconfig, "--mirror", "daocloud", "--pipeline-manifest", "-", "--triggers-manifest", "-"),
			"standard input can be one manifest only"},
		{"two mirrors", "",
			append(kubeconfig, "--mirror", "daocloud", "--config",
				file("c1.yaml", head+"mirror: {preset: upstream}\n")), "contradict each other"},
		{"a rule that does not parse", "",
			append(kubeconfig, "--config", file("c2.yaml", head+"mirror: {rules: [{match: '**', to: '{nme}'}]}\n")),
			"mirror.rules[0].to: template \"{nme}\": placeholder {nme} is not known"},
		{"a rule that matches nothing", "",
			append(kubeconfig, "--config",
				file("c3.yaml",
					head+
						"mirror: {registry: r.example.com/t, rules: [{match: 'ghcr.io/tekton/**', to: 'r.example.com/{name}'}]}\n")),
			"mirror.rules[0] (\"ghcr.io/tekton/**\") applies to no image of this release"},
		{"a host that is not mirrored", "",
			append(kubeconfig, "--config",
				file("c4.yaml", head+"mirror: {rules: [{match: 'ghcr.io/**', to: 'r.example.com/{path}'}]}\n")),
			"cgr.dev/chainguard/busybox"},
		{"misspelt flag", "", []string{"--miror", "daocloud"},
			"unknown flag: --miror: `tekgate install --help` lists the flags"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, _, err := program.Run(t, tt.in,
				append([]string{"install", "--wait=false", "--skip-probe"}, tt.args...)...)
			if cli.Status(err) != 1 || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
	namespaces, err := kubernetes.NewForConfigOrDie(c.Config).CoreV1().Namespaces().List(t.Context(),
		metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces.Items {
		if strings.HasPrefix(ns.Name, "tek") {
			t.Errorf("namespace %s was made", ns.Name)
		}
	}
}

// A machine gets one JSON document on standard output, also of a failure.
func testInstallReport(t *testing.T, c *cluster.Cluster) {
	args := []string{"install", "--wait=false", "--skip-probe", "-o", "json", "--kubeconfig", c.Kubeconfig, "--mirror",
		"registry.example.com/tekton"}
	var r struct {
		To      struct{ Pipeline string }
		Objects []struct{ Object, Action string }
		Error   string
		DryRun  bool
	}
	out, errOut := program.Must(t, append(args, "--dry-run")...)
	if err := json.Unmarshal([]byte(out), &r); err != nil || !r.DryRun || len(r.Objects) < 140 ||
		r.Objects[0].Action != "created" {
		t.Errorf("error %v, report %+v", err, r)
	}
	if !strings.Contains(errOut, "dry run, nothing was changed: 160 would be created") {
		t.Errorf("said %s", errOut)
	}
	out, _ = program.Must(t, args...)
	if err := json.Unmarshal([]byte(out), &r); err != nil || r.To.Pipeline != "v1.15.1" || r.DryRun ||
		len(r.Objects) < 140 {
		t.Errorf("error %v, report %+v", err, r)
	}
	args[0] = "upgrade"
	out, _, err := program.Run(t, "", append(args, "--pipeline-manifest", pod(t))...)
	if json.Unmarshal([]byte(out), &r) != nil || err == nil || r.Error != err.Error() ||
		!strings.Contains(r.Error, "it would be removed") {
		t.Errorf("error %v, report %+v", err, r)
	}
}

func pod(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "pod.yaml")
	if err := os.WriteFile(path,
		[]byte(
			"apiVersion: v1\nkind: Pod\nmetadata: {name: p, namespace: default}\nspec: {containers: [{name: c, image: 'alpine:3'}]}\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Diff tells what the user changed from what the release changes.
func testDiffThreeWay(t *testing.T, c *cluster.Cluster) {
	flags := []string{"--kubeconfig", c.Kubeconfig, "--mirror", "registry.example.com/tekton"}
	program.Must(t, append([]string{"install", "--wait=false", "--skip-probe"}, flags...)...)
	k := kubernetes.NewForConfigOrDie(c.Config)
	_, err := k.CoreV1().ConfigMaps("tekton-pipelines").Patch(t.Context(), "feature-flags", types.MergePatchType,
		[]byte(`{"data":{"enable-api-fields":"alpha"}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	if err != nil {
		t.Fatal(err)
	}
	out, errOut := program.Must(t, append([]string{"diff"}, flags...)...)
	for _, want := range []string{
		"ConfigMap/tekton-pipelines/feature-flags differs from the installed release\n  data.enable-api-fields: \"alpha\", released as \"beta\"\n",
		"ConfigMap tekton-pipelines/feature-flags: kept your enable-api-fields = \"alpha\" (the release has \"beta\")",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("lacks %q:\n%s", want, out)
		}
	}
	if strings.Count(out, "differs from the installed release") != 1 {
		t.Errorf("sees more differences than there are:\n%s", out)
	}
	if !strings.Contains(errOut, "160 objects: 0 would change, 160 unchanged") {
		t.Errorf("said %s", errOut)
	}
}
