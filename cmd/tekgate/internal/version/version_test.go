package version

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/install"
	controlplane "github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/manifests"
)

// early is a day on which all lines are supported.
var early = time.Date(2026, 10, 1, 0, 0, 0, 0, time.UTC)

var program = clitest.Program{
	func() *cobra.Command { return Command(func() time.Time { return early }) }, install.Command,
}

// TestSkew holds which versions do not fit together, and that those which do are not warned of.
func TestSkew(t *testing.T) {
	late := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	webhook := func(version string) server { return server{Name: "tekgate-webhook", Version: version} }
	both := func(one, other string) []server {
		return []server{webhook(one), {Name: "tekgate-interceptor", Version: other}}
	}
	tekton := func(pipeline, triggers string) installer.Versions {
		return installer.Versions{Pipeline: pipeline, Triggers: triggers}
	}
	for name, tt := range map[string]struct {
		now     time.Time
		cluster cluster
		want    []string
	}{
		"all the same": {early, cluster{Kubernetes: "v1.36.3", Servers: both("v1.2.0", "v1.2.0"),
			running: tekton("v1.15.1", "v0.37.0"), recorded: tekton("v1.15.1", "v0.37.0")}, nil},
		"nothing installed": {early, cluster{Kubernetes: "v1.36.3"}, nil},
		"older servers": {early, cluster{Kubernetes: "v1.36.3", Servers: both("v1.1.0", "v1.1.0")},
			[]string{"tekgate-webhook v1.1.0 is older than tekgate v1.2.0: `tekgate upgrade` installs"}},
		"newer servers": {early, cluster{Kubernetes: "v1.36.3", Servers: []server{webhook("v1.3.0")}},
			[]string{"tekgate-webhook v1.3.0 is newer than tekgate v1.2.0, whose install would downgrade it: use tekgate v1.3.0"}},
		"two servers": {early, cluster{Kubernetes: "v1.36.3", Servers: both("v1.2.0", "v1.1.0")},
			[]string{"tekgate-interceptor v1.1.0 is older", "tekgate-webhook is v1.2.0 and tekgate-interceptor is v1.1.0"}},
		"a server without a version": {early, cluster{Kubernetes: "v1.36.3", Servers: []server{webhook("")}},
			[]string{"tekgate-webhook is of an unknown version: use the client of the servers' release"}},
		"changed by another": {early, cluster{Kubernetes: "v1.36.3", running: tekton("v1.12.2", "v0.36.0"),
			recorded: tekton("v1.15.1", "v0.37.0")}, []string{
			"Tekton Pipelines v1.12.2 runs, but Tekgate installed v1.15.1", "Tekton Triggers v0.36.0 runs, but"}},
		"newer Tekton": {early, cluster{Kubernetes: "v1.36.3", running: tekton("v1.99.0", "v0.99.0")},
			[]string{"Tekton Pipelines v1.99.0 is newer than v1.15.1, the newest that this tekgate was tested with"}},
		"support ended": {late, cluster{Kubernetes: "v1.36.3", running: tekton("v1.6.6", "v0.34.0")},
			[]string{"the support of Tekton Pipelines v1.6 ended on 2026-10-31: `tekgate upgrade --to v1.15`"}},
		"support not ended": {early, cluster{Kubernetes: "v1.36.3", running: tekton("v1.6.6", "v0.34.0")}, nil},
		"old Triggers": {early, cluster{Kubernetes: "v1.36.3", running: tekton("v1.15.1", "v0.35.0")},
			[]string{"Tekton Triggers v0.35.0 is older than v0.37.0, which is made for Tekton Pipelines v1.15"}},
		"old Kubernetes": {early, cluster{Kubernetes: "v1.20.4-gke.1", running: tekton("v1.15.1", "v0.37.0")},
			[]string{"the server runs Kubernetes v1.20.4-gke.1, and Tekton Pipelines v1.15.1 does not start below 1.28.0"}},
		"new Kubernetes": {early, cluster{Kubernetes: "v1.36.3", running: tekton("v0.27.3", "")},
			[]string{"Tekton Pipelines v0.27.3 cannot work on Kubernetes v1.36.3"}},
	} {
		got := skew("v1.2.0", &tt.cluster, tt.now)
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
			continue
		}
		for i, want := range tt.want {
			if !strings.Contains(got[i], want) {
				t.Errorf("%s: got %q, want %q", name, got[i], want)
			}
		}
	}
}

// TestClient holds that --client asks no cluster, and that the version is printed if none answers.
func TestClient(t *testing.T) {
	t.Setenv("KUBECONFIG", "/does/not/exist")
	out, errOut := program.Must(t, "version", "--client")
	if !strings.Contains(out, manifests.Version) || strings.Contains(out, "Kubernetes") || errOut != "" {
		t.Errorf("got %s%s", out, errOut)
	}
	out, _ = program.Must(t, "version", "--client", "-o", "jsonpath={.client.version}")
	if out != manifests.Version {
		t.Errorf("by jsonpath: %q", out)
	}
	const why = "KUBECONFIG names /does/not/exist, which does not exist"
	out, _, err := program.Run(t, "", "version")
	if err == nil || !strings.Contains(err.Error(), why) ||
		!strings.Contains(err.Error(), "--client leaves the cluster out") || !strings.Contains(out, manifests.Version) {
		t.Errorf("printed %s, error %v", out, err)
	}
	out, _, err = program.Run(t, "", "version", "-o", "json")
	var r report
	if json.Unmarshal([]byte(out), &r) != nil || err == nil || !strings.Contains(r.Error, why) || r.Cluster != nil ||
		r.Client.Version != manifests.Version || r.Client.Pipeline != "v1.15.1" {
		t.Errorf("printed %s, error %v", out, err)
	}
}

// TestCluster reads the versions of an installation, as its administrator, after somebody changed it,
// and as a user who may read nothing.
func TestCluster(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	c := controlplane.StartEmpty(t)
	s := clitest.NewSite(t, program, c.Config, c.Kubeconfig)
	read := func(args ...string) (r report) {
		t.Helper()
		out, _ := program.Must(t, append(append([]string{"version", "-o", "json"}, s.Kubeconfig...), args...)...)
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatal(err)
		}
		return r
	}
	out, _ := program.Must(t, append([]string{"version"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "COMPONENT", "tekgate  ", "Tekgate's servers   -", "Tekton  ", "not installed", "Kubernetes  ", "v1.")
	r := read()
	if len(r.Warnings) != 0 || len(r.Cluster.Servers) != 0 || strings.Contains(clitest.JSON(t, r), "null") {
		t.Errorf("an empty cluster: %s", clitest.JSON(t, r))
	}

	s.Install()
	out, _ = program.Must(t, append([]string{"version"}, s.Kubeconfig...)...)
	clitest.InOrder(t, out, "tekgate  ", "tekgate-webhook ", manifests.Version, "0 of 2 ready", "tekgate-interceptor ",
		"Tekton Pipelines ", "v1.15.1", "Tekton Triggers ", "v0.37.0", "Kubernetes ")
	if strings.Contains(out, "warning") {
		t.Errorf("a fresh installation is warned of:\n%s", out)
	}
	if r := read(); len(r.Cluster.Servers) != 2 || len(r.Cluster.Tekton) != 2 || len(r.Warnings) != 0 {
		t.Errorf("got %s", clitest.JSON(t, r))
	}

	s.Patch("apps/v1 Deployment tekgate/tekgate-interceptor",
		`{"spec":{"template":{"metadata":{"labels":{"app.kubernetes.io/version":"v9.9.9"}}}}}`)
	r = read()
	if len(r.Warnings) != 2 || !strings.Contains(r.Warnings[0], "tekgate-interceptor v9.9.9 is newer than") ||
		!strings.Contains(r.Warnings[1], "an upgrade has not ended") {
		t.Errorf("after a change: %s", clitest.JSON(t, r))
	}

	r = read("--as", "stranger")
	if len(r.Cluster.Servers) != 0 || len(r.Cluster.Unread) != 5 || r.Cluster.Kubernetes == "" {
		t.Errorf("a user without permissions: %s", clitest.JSON(t, r))
	}
}
