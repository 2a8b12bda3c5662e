package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// configured is a server that runs, and its file.
type configured struct {
	*program
	path, events, metrics string
}

func (c *configured) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(c.path, []byte("apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"+text),
		0o600); err != nil {
		t.Fatal(err)
	}
}

func (c *configured) startLimited(t *testing.T, api *cluster.Cluster) {
	t.Helper()
	c.program = start(t, "--kubeconfig", limited(t, api.Kubeconfig), "--config", c.path, "--bind-address=127.0.0.1:0",
		"--health-bind-address=0",
		"--metrics-bind-address=127.0.0.1:0", "--deliveries-bind-address=0", "--drain=1s")
	c.events, c.metrics = c.address(t, "serving events"), c.address(t, "serving metrics")
}

// limited returns a kubeconfig with the rights of the manifests and no others.
func limited(t *testing.T, kubeconfig string) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:tekgate:tekgate-interceptor"
	}
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// testConfiguration changes the file under the running server: a good one judges
// the next event, a bad one changes nothing but what is told.
func testConfiguration(t *testing.T, api *cluster.Cluster, c client.Client) {
	applyFile(t, c, filepath.Join("..", "..", "manifests", "tekgate", "200-interceptor-rbac.yaml"))
	live := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: wellknown.ConfigMap}}
	create(t, c, live)
	p := &configured{path: filepath.Join(t.TempDir(), "config.yaml")}
	p.write(t, "")
	p.startLimited(t, api)
	to, _ := options{}.target() // published before, by the same CA
	trusted := clientOf(t, mustGet(t, c, to.clusterInterceptor(nil)), p.events)
	checkEvents(t, trusted)
	p.gauge(t, "1")

	p.write(t, "interceptor: {minSecretLength: 1000}\n")
	eventually(t, func() error { return needs(p.String(), "using a new configuration") })
	if verdict(t, trusted, "ci") {
		t.Error("the new configuration is said to be used, and is not")
	}
	p.write(t, "interceptor: {minSecretLength: 6, maxage: 1h}\n")
	eventually(t, func() error { return needs(p.String(), "keeping the last good configuration") })
	p.gauge(t, "0")
	if verdict(t, trusted, "ci") {
		t.Error("a bad configuration is used")
	}
	eventually(t, func() error { return badConfigurationTold(t, c, live) })
	p.write(t, "mutator: {serviceAccount: {name: builder}}\n")
	eventually(t, func() error {
		if strings.Count(p.String(), "using a new configuration") != 2 {
			return fmt.Errorf("the good configuration is not used:\n%s", interesting(p.String()))
		}
		return nil
	})
	checkEvents(t, trusted)
	p.gauge(t, "1")
}

// verdict is that on GitHub's documented example for a Trigger in a namespace.
func verdict(t *testing.T, c *http.Client, namespace string) bool {
	t.Helper()
	return askExample(t, c, namespace).Continue
}

func badConfigurationTold(t *testing.T, c client.Client, about *corev1.ConfigMap) error {
	t.Helper()
	list := &corev1.EventList{}
	if err := c.List(t.Context(), list, client.InNamespace(about.Namespace)); err != nil {
		return err
	}
	for _, e := range list.Items {
		if e.Reason == "BadConfiguration" && e.InvolvedObject.UID == about.UID &&
			strings.Contains(e.Message, `did you mean "maxAge"?`) {
			return nil
		}
	}
	return fmt.Errorf("there are %d Events of others", len(list.Items))
}

func (c *configured) gauge(t *testing.T, want string) {
	t.Helper()
	r, err := http.Get("http://" + c.metrics + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil || !strings.Contains(string(text), "\ntekgate_config_last_reload_successful "+want+"\n") {
		t.Errorf("the metric is not %s, error %v", want, err)
	}
}

// TestUse holds that a file is used whole or not at all.
func TestUse(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	c := newConfiguration(path)
	first := "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\n"
	if err := os.WriteFile(path, []byte(first), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.file.Load(); err != nil {
		t.Fatal(err)
	}
	if want := interceptor.Default(); c.now != want {
		t.Errorf("got %+v, want the defaults", c.now)
	}
	if err := c.use([]byte(first + "interceptor: {deliveries: {perTrigger: 2}}\n")); err != nil ||
		c.now.Deliveries.PerTrigger != 2 {
		t.Errorf("got %+v, error %v", c.now, err)
	}
	before := c.now
	if err := c.use([]byte(first + "interceptor: {deliveries: {perTrigger: 0}}\n")); err == nil || c.now != before {
		t.Errorf("got %+v, error %v", c.now, err)
	}
	// A mistake in the section of others is one, too.
	if err := c.use([]byte(first + "mutator: {dockerConfg: {}}\n")); err == nil ||
		!strings.Contains(err.Error(), `did you mean "dockerConfig"`) {
		t.Errorf("got error %v", err)
	}
}
