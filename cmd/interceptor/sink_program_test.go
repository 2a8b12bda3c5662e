package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/tekton"
)

// TestSinkProgram runs the program of EventListeners' Pods, as it is built by
// Triggers, against the real API server and the real interceptor: its own informers,
// its own trust, its own way through the chain.
func TestSinkProgram(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("needs a real API server, which -short does without")
	}
	program, err := tekton.Program(t.Context(), tekton.Triggers, "eventlistenersink", os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	s := newTriggersSite(t)
	s.apply(t, recipe)
	address := freeAddress(t)
	p := start(t, "--kubeconfig", s.api.Kubeconfig, "--bind-address", address, "--url=https://"+address,
		"--health-bind-address=127.0.0.1:0",
		"--metrics-bind-address=0", "--deliveries-bind-address=0", "--drain=1s")
	p.address(t, "ClusterInterceptor tekgate is published")
	s.apply(t, `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: program, namespace: ci}
spec:
  triggers:
  - {name: single, interceptors: [`+verifying+`], bindings: [{ref: seen}], template: {ref: seen}}
  - {name: other-secret, interceptors: [`+strings.Replace(verifying, "secretName: hook", "secretName: absent", 1)+`], template: {ref: bare}}
  triggerGroups:
  - name: verified
    interceptors: [`+verifying+`]
    triggerSelector: {labelSelector: {matchLabels: {group: verified}}}
---
apiVersion: triggers.tekton.dev/v1beta1
kind: Trigger
metadata: {name: grouped, namespace: ci, labels: {group: verified}}
spec: {bindings: [{ref: seen}], template: {ref: seen}}`)
	l := s.runSink(t, program, "program")
	for _, tt := range []struct {
		name   string
		header http.Header
		want   string
	}{
		{"signed", githubHeader(hookSecret, pushBody), "map[grouped:map[event:push] single:map[event:push]]"},
		{"forged", githubHeader("a guess", pushBody), "map[]"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			verdicts := strings.Count(p.String(), `"msg":"verdict"`)
			var got string
			eventID := l.post(t, pushBody, tt.header)
			eventually(t, func() error {
				if n := strings.Count(p.String(), `"msg":"verdict"`) - verdicts; n != 3 {
					return fmt.Errorf("%d verdicts, want one for each trigger and one for the group", n)
				}
				if got = fmt.Sprint(s.created(t, eventID)); got != tt.want {
					return fmt.Errorf("created %s, want %s", got, tt.want)
				}
				return nil
			})
		})
	}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	address, err := child.FreeAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return address
}

// runSink starts the program with what Triggers' reconciler gives its Pod.
func (s *triggersSite) runSink(t *testing.T, program, name string) *listener {
	t.Helper()
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--kubeconfig", s.api.Kubeconfig, "--el-name", name, "--el-namespace", namespaceCI,
		"--port", port, "--is-multi-ns=false", "--payload-validation=true")
	cmd.Env = append(os.Environ(), "NAMESPACE="+namespaceCI, "NAME="+name, "SYSTEM_NAMESPACE=tekton-pipelines",
		"EL_EVENT=disable",
		"K_METRICS_CONFIG={}", "K_TRACING_CONFIG={}", "K_LOGGING_CONFIG={}", "K_SINK_TIMEOUT=1m")
	log := &child.Log{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Logf("the sink's log:\n%s", log)
		}
	})
	eventually(t, func() error {
		r, err := http.Get("http://" + address + "/live")
		if err == nil {
			r.Body.Close()
		}
		return err
	})
	return &listener{site: s, url: "http://" + address, wait: &sync.WaitGroup{}}
}
