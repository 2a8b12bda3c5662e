package why

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// counter makes requests to an API server wait for each other.
type counter struct {
	mutex sync.Mutex
	lines []string
	gates []*gate
	late  []string
}

// gate holds requests until as many as it misses have come.
type gate struct {
	missing int
	open    chan struct{}
}

// gather makes requests wait for each other: as many as the first size until all of them have come,
// then as many as the second one, and so on.
func (c *counter) gather(sizes ...int) {
	for _, size := range sizes {
		g := &gate{size, make(chan struct{})}
		c.gates = append(c.gates, slices.Repeat([]*gate{g}, size)...)
	}
}

// count notes a request, and returns when it need not wait for others.
func (c *counter) count(line string) {
	g := c.join(line)
	if g == nil {
		return
	}
	select {
	case <-g.open:
	case <-time.After(20 * time.Second):
		c.mutex.Lock()
		c.late = append(c.late, line)
		c.mutex.Unlock()
	}
}

// join notes a request, and returns the gate that it has to wait at.
func (c *counter) join(line string) *gate {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.lines = append(c.lines, line)
	if len(c.gates) == 0 {
		return nil
	}
	g := c.gates[0]
	c.gates = c.gates[1:]
	if g.missing--; g.missing == 0 {
		close(g.open)
	}
	return g
}

func (c *counter) taken() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

func (s *site) counted() (*counter, []string) {
	s.T.Helper()
	target, err := url.Parse(s.cluster.Config.Host)
	if err != nil {
		s.T.Fatal(err)
	}
	transport, err := rest.TransportFor(s.cluster.Config)
	if err != nil {
		s.T.Fatal(err)
	}
	c := &counter{}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = transport
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.count(r.Method + " " + r.URL.String())
		proxy.ServeHTTP(w, r)
	}))
	server.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	server.StartTLS()
	s.T.Cleanup(server.Close)
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: server.URL, InsecureSkipTLSVerify: true}
	config.AuthInfos["c"] = &clientcmdapi.AuthInfo{Token: "unused"}
	config.Contexts["c"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "c"}
	config.CurrentContext = "c"
	file := filepath.Join(s.T.TempDir(), "counted")
	if err := clientcmd.WriteToFile(*config, file); err != nil {
		s.T.Fatal(err)
	}
	return c, []string{"--kubeconfig", file}
}

// TestWhyAhead holds that requests which do not depend on each other are sent at the same time: those
// for a PipelineRun, its TaskRuns and Pods, and then those for the Pods' events.
func TestWhyAhead(t *testing.T) {
	s := newSite(t)
	s.put("apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: pipe, namespace: ci}\n" +
		"spec: {pipelineRef: {name: p}}\n" +
		"status: {conditions: [{type: Succeeded, status: 'False', reason: Failed, message: 'Tasks Completed: 2'}]," +
		" childReferences: [{apiVersion: tekton.dev/v1, kind: TaskRun, name: pipe-a, pipelineTaskName: a}," +
		" {apiVersion: tekton.dev/v1, kind: TaskRun, name: pipe-b, pipelineTaskName: b}]}\n")
	for _, name := range []string{"pipe-a", "pipe-b"} {
		s.put(strings.Replace(run(name, "Failed", "it failed", ""), "namespace: ci}",
			"namespace: ci, labels: {tekton.dev/pipelineRun: pipe}}", 1))
	}
	counter, through := s.counted()
	counter.gather(3, 2)
	s.Kubeconfig = through
	s.why("pipelinerun", "pipe", "-n", "ci", "--offline")
	sent := counter.taken()
	if len(counter.late) > 0 || len(counter.gates) > 0 {
		t.Errorf("requests waited for others that were not sent at the same time: %q, of\n%s", counter.late,
			strings.Join(sent, "\n"))
	}
}
