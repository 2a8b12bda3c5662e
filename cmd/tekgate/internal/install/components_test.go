package install

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/diff"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/rollback"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/status"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/uninstall"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/release"
)

var componentProgram = clitest.Program{Command, diff.Command, rollback.Command, status.Command, uninstall.Command}

const allComponents = "dashboard,chains,results,pruner,manual-approval-gate"

// extra is a manifest of the user's: a program with a webhook that has rules from the start.
const extra = `apiVersion: v1
kind: Namespace
metadata: {name: extra}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: extra, namespace: extra, labels: {app.kubernetes.io/version: v3.2.1}}
spec:
  selector: {matchLabels: {app: extra}}
  template:
    metadata: {labels: {app: extra}}
    spec:
      containers:
      - {name: extra, image: "ghcr.io/example/extra:v3.2.1", args: [-helper-image, "ghcr.io/example/helper:v1"]}
`

// componentSite is a cluster and the flags that lead to it.
type componentSite struct {
	kube  *kubernetes.Clientset
	flags []string
}

func (s componentSite) run(t *testing.T, verb string, args ...string) (out, errOut string, err error) {
	t.Helper()
	all := append([]string{verb}, s.flags...)
	switch verb {
	case "install":
		all = append(all, "--mirror", "registry.example.com/tekton", "--skip-probe", "--wait=false", "--yes")
	case "diff":
		all = append(all, "--mirror", "registry.example.com/tekton", "--exit-code")
	}
	return componentProgram.Run(t, "", append(all, args...)...)
}

func (s componentSite) must(t *testing.T, verb string, args ...string) (out, errOut string) {
	t.Helper()
	out, errOut, err := s.run(t, verb, args...)
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", verb, args, err, errOut)
	}
	return out, errOut
}

// deployments returns "namespace/name" of all Deployments, and their images.
func (s componentSite) deployments(t *testing.T) (names, images []string) {
	t.Helper()
	all, err := s.kube.AppsV1().Deployments("").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range all.Items {
		names = append(names, d.Namespace+"/"+d.Name)
		for _, c := range d.Spec.Template.Spec.Containers {
			images = append(images, c.Image)
		}
	}
	return names, images
}

// prepare makes what Results needs.
func (s componentSite) prepare(t *testing.T) {
	t.Helper()
	const ns = "tekton-pipelines"
	core := s.kube.CoreV1()
	_, err := core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}},
		metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][]string{
		"tekton-results-postgres": {"POSTGRES_USER", "POSTGRES_PASSWORD"}, "tekton-results-tls": {"tls.crt", "tls.key"},
	} {
		secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}, StringData: map[string]string{}}
		for _, key := range keys {
			secret.StringData[key] = "x"
		}
		if _, err := core.Secrets(ns).Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "tekton-results-postgres-service"},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "db.example.com"}}
	if _, err := core.Services(ns).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestComponents(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	s := componentSite{kubernetes.NewForConfigOrDie(c.Config), []string{"--kubeconfig", c.Kubeconfig}}

	clitest.NewSite(t, componentProgram, c.Config, c.Kubeconfig) // ends namespaces

	testNeeds(t, s)
	s.prepare(t)
	_, errOut := s.must(t, "install", "--with", allComponents)
	done := actions(errOut)
	first := done["created"] + done["configured"] // the namespace is there
	for _, want := range []string{
		"warning: components: Tekton Chains has no key and signs nothing",
		"warning: components: Tekton Dashboard is read-only and has no login",
		"warning: components: Manual Approval Gate lets system:authenticated change",
		"warning: components: Tekton Results talks to PostgreSQL without TLS",
	} {
		if !strings.Contains(errOut, want) {
			t.Errorf("the install does not say %q:\n%s", want, errOut)
		}
	}
	names, images := s.deployments(t)
	for _, want := range []string{"tekton-chains/tekton-chains-controller", "tekton-pipelines/tekton-dashboard",
		"tekton-pipelines/tekton-results-api", "tekton-pipelines/tekton-pruner-webhook",
		"tekton-pipelines/manual-approval-gate-webhook"} {
		if !slices.Contains(names, want) {
			t.Errorf("there is no Deployment %s in %v", want, names)
		}
	}
	for _, image := range images {
		if !strings.HasPrefix(image, "registry.example.com/tekton/") {
			t.Errorf("image %s is not from the mirror", image)
		}
	}
	clitest.InOrder(t, errOut, "Tekton's admission servers", "Deployment/tekton-pipelines/tekton-pruner-webhook created",
		"ValidatingWebhookConfiguration/validation.webhook.pruner.tekton.dev created", "controllers",
		"Deployment/tekton-pipelines/tekton-pruner-controller created")

	testKept(t, s, first)
	testVersions(t, s)
	testDrop(t, s)
	testManifest(t, s)
	testListed(t, s)
	testUninstalled(t, s)
}

// testNeeds holds that what Results needs is reported before anything is written.
func testNeeds(t *testing.T, s componentSite) {
	_, errOut, err := s.run(t, "install", "--with", "results")
	if err == nil {
		t.Fatal("Results was installed without its Secrets")
	}
	for _, want := range []string{
		"needs Secret/tekton-pipelines/tekton-results-postgres with POSTGRES_PASSWORD, POSTGRES_USER, which does not exist",
		"create secret generic tekton-results-postgres --from-env-file=FILE",
		"needs Secret/tekton-pipelines/tekton-results-tls with tls.crt, tls.key, which does not exist",
		"kubectl create namespace tekton-pipelines",
		"create service externalname tekton-results-postgres-service --external-name DATABASE_HOST",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q:\n%v\n%s", want, err, errOut)
		}
	}
	if names, _ := s.deployments(t); len(names) > 0 {
		t.Errorf("a refused install wrote %v", names)
	}
}

// testKept holds that an install without --with keeps what is installed, and changes nothing.
func testKept(t *testing.T, s componentSite, objects int) {
	_, errOut := s.must(t, "install")
	if again := actions(errOut); again["unchanged"] != objects || len(again) != 1 {
		t.Errorf("the second install did %v, want %d unchanged\n%s", again, objects, errOut)
	}
	if !strings.Contains(errOut, "note: kept because it is installed: Tekton Chains, Tekton Dashboard, "+
		"Manual Approval Gate, Tekton Pruner, Tekton Results;") {
		t.Errorf("the second install does not say what it keeps:\n%s", errOut)
	}
	if out, errOut, err := s.run(t, "diff"); err != nil || out != "" {
		t.Errorf("diff: %v\n%s%s", err, out, errOut)
	}
}

func testVersions(t *testing.T, s componentSite) {
	out, errOut, err := s.run(t, "status", "-o", "json")
	var printed struct {
		Versions struct {
			Pipeline   string
			Components map[string]string
		}
	}
	if jsonErr := json.Unmarshal([]byte(out), &printed); err != nil || jsonErr != nil {
		t.Fatalf("status: %v, %v\n%s", err, jsonErr, errOut)
	}
	if want := release.Newest().Pipeline; printed.Versions.Pipeline != want {
		t.Errorf("Pipelines %s, want %s", printed.Versions.Pipeline, want)
	}
	for _, component := range release.Components {
		if got := printed.Versions.Components[component.Name]; got != component.Version {
			t.Errorf("%s %q, want %s", component.Name, got, component.Version)
		}
	}
}

// testDrop removes a component by name, and takes that back.
func testDrop(t *testing.T, s componentSite) {
	_, errOut := s.must(t, "install", "--without", "dashboard")
	if names, _ := s.deployments(t); slices.Contains(names, "tekton-pipelines/tekton-dashboard") {
		t.Errorf("the Dashboard is still there: %v", names)
	}
	for _, want := range []string{
		"Tekton Dashboard " + component(t, "dashboard") + " is installed and not part of this release: it will be removed",
		"CustomResourceDefinition/extensions.dashboard.tekton.dev is no part of this release and stays",
	} {
		if !strings.Contains(errOut, want) {
			t.Errorf("dropping does not say %q:\n%s", want, errOut)
		}
	}
	s.must(t, "rollback", "--wait=false", "--yes")
	if names, _ := s.deployments(t); !slices.Contains(names, "tekton-pipelines/tekton-dashboard") {
		t.Errorf("rollback did not bring the Dashboard back: %v", names)
	}
}

func component(t *testing.T, name string) string {
	t.Helper()
	c, ok := release.FindComponent(name)
	if !ok {
		t.Fatalf("no component %s", name)
	}
	return c.Version
}

// testManifest installs a further manifest, which later installs keep.
func testManifest(t *testing.T, s componentSite) {
	file := clitest.File(t, "extra.yaml", extra)
	s.must(t, "install", "--manifest", "extra="+file)
	_, images := s.deployments(t)
	if !slices.ContainsFunc(images, func(i string) bool {
		return strings.HasPrefix(i, "registry.example.com/tekton/") && strings.Contains(i, "extra")
	}) {
		t.Errorf("the manifest's image is not from the mirror: %v", images)
	}
	_, errOut := s.must(t, "install")
	if again := actions(errOut); len(again) != 1 || !strings.Contains(errOut, "manifest extra") {
		t.Errorf("an install without the manifest did %v\n%s", again, errOut)
	}
	out, _ := s.must(t, "status")
	if !strings.Contains(out, "manifest extra") || !strings.Contains(out, "v3.2.1") {
		t.Errorf("status does not have the manifest:\n%s", out)
	}
}

// testListed holds that a list of components is complete, and that manifests and keys stay.
func testListed(t *testing.T, s componentSite) {
	keys := s.kube.CoreV1().Secrets("tekton-chains")
	if _, err := keys.Patch(t.Context(), "signing-secrets", types.MergePatchType,
		[]byte(`{"stringData": {"cosign.key": "x"}}`), metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	file := clitest.File(t, "tekgate.yaml", "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+
		"components: [pipelines, triggers, results]\n")
	s.must(t, "install", "--config", file)
	names, _ := s.deployments(t)
	for _, gone := range []string{"tekton-chains/tekton-chains-controller", "tekton-pipelines/tekton-pruner-webhook",
		"tekton-pipelines/manual-approval-gate-controller"} {
		if slices.Contains(names, gone) {
			t.Errorf("Deployment %s is still there", gone)
		}
	}
	for _, kept := range []string{"tekton-pipelines/tekton-results-api", "extra/extra"} {
		if !slices.Contains(names, kept) {
			t.Errorf("Deployment %s is gone: %v", kept, names)
		}
	}
	if _, err := keys.Get(t.Context(), "signing-secrets", metav1.GetOptions{}); err != nil {
		t.Errorf("the keys that Chains signs with are gone: %v", err)
	}
}

func testUninstalled(t *testing.T, s componentSite) {
	s.must(t, "uninstall", "--purge", "--yes", "--timeout", "30s")
	if names, _ := s.deployments(t); len(names) > 0 {
		t.Errorf("uninstall left %v", names)
	}
	webhooks, err := s.kube.AdmissionregistrationV1().ValidatingWebhookConfigurations().List(t.Context(),
		metav1.ListOptions{})
	if err != nil || len(webhooks.Items) > 0 {
		t.Errorf("uninstall left %d webhooks, error %v", len(webhooks.Items), err)
	}
	namespaces, err := s.kube.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ns := range namespaces.Items {
		if strings.HasPrefix(ns.Name, "tek") || ns.Name == "extra" {
			t.Errorf("uninstall left namespace %s", ns.Name)
		}
	}
}

// TestComponentNames needs no cluster: names are checked first.
func TestComponentNames(t *testing.T) {
	t.Parallel()
	const head = "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: r.example.com/t}\n"
	config := func(text string) []string {
		return []string{"--config", clitest.File(t, "tekgate.yaml", head+text)}
	}
	mirror := []string{"--mirror", "daocloud"}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"unknown", append(mirror, "--with", "chain"), `--with: component "chain" does not exist: did you mean "chains"?`},
		{"far", append(mirror, "--with", "hub"), "the components are pipelines, triggers, dashboard, chains, results, pruner, manual-approval-gate"},
		{"in the file", config("components: [pipelines, reslts]"), `components[1]: component "reslts" does not exist: did you mean "results"?`},
		{"twice", config("components: [pipelines, chains, chains]"), "components[2]: chains is listed twice"},
		{"without Pipelines", config("components: [results]"), "components: add pipelines"},
		{"no source", append(mirror, "--manifest", "chains"), "--manifest chains: it must be NAME=SOURCE"},
		{"bad name", append(mirror, "--manifest", "A_b=x.yaml"), `"A_b" is not a name for a manifest`},
		{"input twice", append(mirror, "--manifest", "a=-", "--manifest", "b=-"), "standard input can be one manifest only"},
		{"dropping Pipelines", append(mirror, "--without", "pipelines"), "use `tekgate uninstall`"},
		{"both", append(mirror, "--with", "chains", "--without", "chains"), "--without chains contradicts --with"},
	}
	for _, tt := range tests {
		_, _, err := componentProgram.Run(t, "", append([]string{"install", "--kubeconfig", nowhere(t)}, tt.args...)...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || cli.Status(err) == 0 {
			t.Errorf("%s: error %v, want %q", tt.name, err, tt.want)
		}
	}
}

// nowhere returns a kubeconfig of a server that does not exist.
func nowhere(t *testing.T) string {
	t.Helper()
	return clitest.File(t, "kubeconfig", "apiVersion: v1\nkind: Config\ncurrent-context: c\n"+
		"clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"+
		"contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n")
}

// TestLostRecord holds that components which run are named after the record of the installation
// was lost, with the flag that keeps them.
func TestLostRecord(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	s := componentSite{kubernetes.NewForConfigOrDie(c.Config), []string{"--kubeconfig", c.Kubeconfig}}
	site := clitest.NewSite(t, componentProgram, c.Config, c.Kubeconfig)
	_, errOut := s.must(t, "install", "--with", "dashboard,chains")
	const note = "which the record of the installation does not have"
	if strings.Contains(errOut, note) {
		t.Errorf("the first install notes\n%s", errOut)
	}
	_, _, err := s.run(t, "install", "--without", "pruner")
	if err == nil || !strings.Contains(err.Error(), "installed are pipelines, triggers, chains, dashboard") {
		t.Errorf("a component that is not there: %v", err)
	}

	site.Delete("v1 Secret tekgate/tekgate-inventory")
	for range 2 { // the second one has a record again
		_, errOut = s.must(t, "install")
		clitest.InOrder(t, errOut, "note: in this cluster there also is Tekton Dashboard v0.69.0, Tekton Chains v0.28.1, "+note,
			"pass --with dashboard,chains to keep")
	}
	_, _, err = s.run(t, "install", "--without", "dashboard")
	if err == nil || !strings.Contains(err.Error(), "--without dashboard: Tekton Dashboard is in the cluster, and the record") {
		t.Errorf("dropping a component that is not recorded: %v", err)
	}
	if _, errOut = s.must(t, "install", "--with", "dashboard,chains"); strings.Contains(errOut, note) {
		t.Errorf("with the components named it notes\n%s", errOut)
	}
}
