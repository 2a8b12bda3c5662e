package install

import (
	"encoding/json"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/e2e/cluster"
)

// An install asks the mirror first. What it lacks is named, and nothing is
// written; once it is there the install goes on.
func TestInstallAsksTheMirror(t *testing.T) {
	t.Parallel()
	c := cluster.StartEmpty(t)
	k := kubernetes.NewForConfigOrDie(c.Config)
	host := clitest.Mirror(t)
	ca := clitest.File(t, "ca.pem", clitest.AuthorityPEM(t))
	args := []string{"install", "--mirror", host + "/tekton", "--kubeconfig", c.Kubeconfig, "--wait=false", "--ca-file",
		ca}

	before, err := k.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, errOut, err := program.Run(t, "", args...)
	if err == nil || !strings.Contains(err.Error(), "pipeline-controller:v1.15.1") ||
		!strings.Contains(errOut, "missing") {
		t.Fatalf("an empty mirror: error %v\n%s", err, errOut)
	}
	after, err := k.CoreV1().Namespaces().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(after.Items) != len(before.Items) {
		t.Errorf("there were %d namespaces and are %d", len(before.Items), len(after.Items))
	}

	out, _ := program.Must(t, "images", "list", "--mirror", host+"/tekton", "-o", "json")
	for _, ref := range mirrored(t, out) {
		clitest.Push(t, ref, clitest.Platform(t, "amd64"))
	}
	// The images that the release pins are others here: their digests differ.
	_, _, err = program.Run(t, "", args...)
	if err == nil || !strings.Contains(err.Error(), "busybox@sha256:") ||
		strings.Contains(err.Error(), "pipeline-controller") {
		t.Fatalf("a mirror with other digests: error %v", err)
	}
	config := clitest.File(t, "tekgate.yaml",
		"apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\nmirror: {registry: "+host+"/tekton, digest: drop}\n")
	clitest.Push(t, host+"/tekton/busybox:digest-19f02276bf8d", clitest.Platform(t, "amd64"))
	args[1], args[2] = "--config", config
	_, errOut = program.Must(t, args...)
	if !strings.Contains(errOut, "the mirror holds all ") || !strings.Contains(errOut, "without its digest") {
		t.Errorf("the install said\n%s", errOut)
	}
	trusted, err := k.CoreV1().ConfigMaps("tekton-pipelines").Get(t.Context(), "config-registry-cert",
		metav1.GetOptions{})
	if err != nil || !strings.Contains(trusted.Data["cert"], "BEGIN CERTIFICATE") {
		t.Errorf("Tekton's controllers trust %v (error %v)", trusted.Data, err)
	}
}

// mirrored returns the tagged mirror names of `images list -o json`.
func mirrored(t *testing.T, out string) []string {
	t.Helper()
	var listed []struct {
		Mirror string `json:"mirror"`
	}
	if err := json.Unmarshal([]byte(out), &listed); err != nil {
		t.Fatal(err)
	}
	var refs []string
	for _, i := range listed {
		tagged, _, _ := strings.Cut(i.Mirror, "@")
		if strings.LastIndex(tagged, ":") > strings.LastIndex(tagged, "/") {
			refs = append(refs, tagged)
		}
	}
	if len(refs) < 10 {
		t.Fatalf("only %d images have tags: %s", len(refs), out)
	}
	return refs
}
