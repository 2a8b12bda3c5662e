package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/tekton"
	"github.com/tekgate/tekgate/validator"
)

// judgedListener is a usual one: a signature, a filter, a binding, a template.
const judgedListener = `
apiVersion: triggers.tekton.dev/v1beta1
kind: EventListener
metadata: {name: git-listener, namespace: ci}
spec:
  serviceAccountName: builder
  triggers:
  - name: push
    interceptors:
    - ref: {name: github, kind: ClusterInterceptor, apiVersion: triggers.tekton.dev}
      params:
      - {name: secretRef, value: {secretName: hook, secretKey: token}}
      - {name: eventTypes, value: [push]}
    - ref: {name: cel, kind: ClusterInterceptor, apiVersion: triggers.tekton.dev}
      params:
      - {name: filter, value: "body.ref.startsWith('refs/heads/') && body.commits.exists(c, c.message != '')"}
      - {name: overlays, value: [{key: branch, expression: "body.ref.split('/')[2]"}]}
    bindings:
    - {ref: git-binding, kind: TriggerBinding}
    template: {ref: git-template}
`

var judgedBeside = []string{
	`{apiVersion: v1, kind: ServiceAccount, metadata: {name: builder, namespace: ci}}`,
	`{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerBinding, metadata: {name: git-binding, namespace: ci},
	  spec: {params: [{name: revision, value: $(body.head_commit.id)}, {name: branch, value: $(extensions.branch)}]}}`,
	`{apiVersion: triggers.tekton.dev/v1beta1, kind: TriggerTemplate, metadata: {name: git-template, namespace: ci},
	  spec: {params: [{name: revision}, {name: branch}], resourcetemplates: [{apiVersion: tekton.dev/v1, kind: TaskRun,
	  metadata: {generateName: build-}, spec: {serviceAccountName: builder, params: [{name: revision, value: $(tt.params.revision)}, {name: branch, value: $(tt.params.branch)}],
	  taskSpec: {params: [{name: revision}, {name: branch}], steps: [{name: show, image: 'alpine:3.22', env: [{name: R, value: $(params.revision)}, {name: B, value: $(params.branch)}], command: [env]}]}}}]}}`,
}

// BenchmarkJudge sends one review of an EventListener to three processes in turn: the
// webhook of Tekton Triggers, which decodes it into its Go types and validates those;
// ours, which asks all rules and looks up in the API server what the listener refers
// to; and ours with the rules about other objects off, which is what can be compared
// with Tekton's. It reports the CPU time of the server's process per request, and time
// and CPU as multiples of Tekton's.
func BenchmarkJudge(b *testing.B) {
	c := cluster.StartEmpty(b)
	theirs := tekton.Start(b, c, tekton.Options{Release: tekton.Triggers})
	url, err := theirs.ValidationURL(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	furnishJudged(b, c)
	off := validator.Default()
	off.Rules = map[string]validator.RuleConfig{}
	for _, rule := range validator.Rules {
		if rule.Others {
			off.Rules[rule.ID] = validator.RuleConfig{Mode: validator.Off}
		}
	}
	body := judgedReview(b)
	var first judgeCost
	for _, arm := range []struct {
		name, url string
		pid       int
	}{
		{"tekton-triggers", url, theirs.PID()},
		judgeServer(b, c, "tekgate", validator.Default()),
		judgeServer(b, c, "tekgate-alone", off),
	} {
		b.Run(arm.name, func(b *testing.B) {
			one := measureJudge(b, arm.url, arm.pid, body)
			if first.wall == 0 {
				first = one
			}
			b.ReportMetric(one.cpu/1e3, "µs-cpu/op")
			b.ReportMetric(one.wall/first.wall, "wall/tekton")
			b.ReportMetric(one.cpu/first.cpu, "cpu/tekton")
		})
	}
}

func furnishJudged(b *testing.B, c *cluster.Cluster) {
	b.Helper()
	direct, err := client.New(c.Config, client.Options{})
	if err != nil {
		b.Fatal(err)
	}
	objects := []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "tekgate"}},
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ci"}},
	}
	for _, name := range []string{"github", "cel"} {
		judged := fmt.Sprintf(
			"{apiVersion: triggers.tekton.dev/v1alpha1, kind: ClusterInterceptor, metadata: {name: %s}, spec: {clientConfig: {url: 'http://x'}}}", name)
		objects = append(objects, parsed(b, judged))
	}
	for _, text := range judgedBeside {
		objects = append(objects, parsed(b, text))
	}
	for _, object := range objects {
		if err := client.IgnoreAlreadyExists(direct.Create(b.Context(), object)); err != nil {
			b.Fatal(err)
		}
	}
}

func parsed(b *testing.B, text string) *unstructured.Unstructured {
	b.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &object.Object); err != nil {
		b.Fatal(err)
	}
	return object
}

// judgeServer starts our server as a process of its own.
func judgeServer(b *testing.B, c *cluster.Cluster, name string, config validator.Config) (arm struct {
	name, url string
	pid       int
}) {
	b.Helper()
	program := filepath.Join(b.TempDir(), "webhook")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		b.Fatalf("%v: %s", err, out)
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "tekgate.dev/v1alpha1", "kind": "Configuration",
		"validator": config})
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "config.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		b.Fatal(err)
	}
	address := freeAddress(b)
	cmd := exec.Command(program, "--kubeconfig", c.Kubeconfig, "--config", file, "--bind-address", address,
		"--health-bind-address", "0", "--metrics-bind-address", "0", "--drain", "0s")
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _, _ = cmd.Process.Kill(), cmd.Wait() })
	arm.name, arm.url, arm.pid = name, "https://"+address+"/validate", cmd.Process.Pid
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		if answer, err := post(judgeCaller(), arm.url, judgedReview(b)); err == nil &&
			bytes.Contains(answer, []byte(`"allowed":true`)) {
			return arm
		}
		if time.Now().After(deadline) {
			b.Fatalf("the server does not answer; its log:\n%s", log.String())
		}
	}
}

func judgeCaller() *http.Client {
	trusting := &tls.Config{InsecureSkipVerify: true} // trust is not measured
	return &http.Client{Transport: &http.Transport{TLSClientConfig: trusting}}
}

func post(caller *http.Client, url string, body []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := caller.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	return io.ReadAll(res.Body)
}

// judgeCost is that of one request, in nanoseconds.
type judgeCost struct{ wall, cpu float64 }

func measureJudge(b *testing.B, url string, pid int, body []byte) judgeCost {
	b.Helper()
	caller := judgeCaller()
	defer caller.CloseIdleConnections()
	for range 50 { // a warm-up
		if _, err := post(caller, url, body); err != nil {
			b.Fatal(err)
		}
	}
	before, err := processTime(pid)
	n := 0
	for b.Loop() {
		answer, err := post(caller, url, body)
		if err != nil || !bytes.Contains(answer, []byte(`"allowed":true`)) {
			b.Fatalf("got %s, error %v", answer, err)
		}
		n++
	}
	after, err2 := processTime(pid)
	if err := errors.Join(err, err2); err != nil {
		b.Fatal(err)
	}
	return judgeCost{wall: float64(b.Elapsed()) / float64(n), cpu: float64(after-before) / float64(n)}
}

// processTime is the CPU time that a process has taken, to 10 ms: fields 14 and 15 of
// /proc/PID/stat, see proc_pid_stat(5).
func processTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

func judgedReview(b *testing.B) []byte {
	b.Helper()
	kind := map[string]any{"group": "triggers.tekton.dev", "version": "v1beta1", "kind": "EventListener"}
	resource := map[string]any{"group": "triggers.tekton.dev", "version": "v1beta1", "resource": "eventlisteners"}
	body, err := json.Marshal(map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "u", "operation": "CREATE", "namespace": "ci", "name": "git-listener",
			"kind": kind, "resource": resource, "requestKind": kind, "requestResource": resource,
			"userInfo": map[string]any{"username": "somebody", "groups": []string{"system:authenticated"}},
			"object":   parsed(b, judgedListener).Object, "oldObject": nil, "dryRun": true,
			"options": map[string]any{"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
	return body
}
