package why

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/clitest"
)

// node makes a Node whose kubelet answers requests for logs with a text, and returns where the
// requests are noted.
func (s *site) node(log string) *[]string {
	s.T.Helper()
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.String())
		fmt.Fprint(w, log)
	}))
	s.T.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		s.T.Fatal(err)
	}
	s.put(fmt.Sprintf(`apiVersion: v1
kind: Node
metadata: {name: node}
status:
  addresses: [{type: InternalIP, address: 127.0.0.1}]
  daemonEndpoints: {kubeletEndpoint: {Port: %s}}
`, port))
	return &asked
}

// TestWhyPush holds that a refused push is explained from the step's log, the ServiceAccount and
// its Secrets, that only the end of the log is read, and that no password is printed.
func TestWhyPush(t *testing.T) {
	s := newSite(t)
	asked := s.node("build\nAuthorization: Basic aHVudGVyMg==\n" +
		`error checking push permissions: checking push permission for "registry.example.com/team/app:v1": ` +
		"POST https://bot:hunter2@registry.example.com/v2/team/app/blobs/uploads/: UNAUTHORIZED: authentication required\n")
	s.put(run("push", "Failed", `"step-work" exited with code 1`,
		"  steps: [{name: work, container: step-work, terminationReason: Error, terminated: {exitCode: 1, reason: Error}}]\n"))
	s.put(`apiVersion: v1
kind: Pod
metadata: {name: push-pod, namespace: ci, labels: {tekton.dev/taskRun: push}}
spec:
  nodeName: node
  serviceAccountName: builder
  containers: [{name: step-work, image: 'gcr.io/kaniko-project/executor:v1.24.0', env: [{name: DOCKER_CONFIG, value: /tekton/creds/.docker}]}]
status:
  phase: Failed
  containerStatuses: [{name: step-work, image: '', imageID: '', ready: false, restartCount: 0, state: {terminated: {exitCode: 1, reason: Error}}}]
`)
	s.Create(`apiVersion: v1
kind: ServiceAccount
metadata: {name: builder, namespace: ci}
secrets: [{name: other}]
---
apiVersion: v1
kind: Secret
metadata: {name: other, namespace: ci}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{"other.example.com":{"username":"bot","password":"hunter2","auth":"Ym90Omh1bnRlcjI="}}}'}
---
apiVersion: v1
kind: Secret
metadata: {name: right, namespace: ci}
type: kubernetes.io/dockerconfigjson
stringData: {.dockerconfigjson: '{"auths":{"registry.example.com":{"username":"bot","password":"hunter2","auth":"Ym90Omh1bnRlcjI="}}}'}
`)
	s.requests()
	rest := s.firstLine("push-unauthorized: Pod ci/push-pod, step work: registry registry.example.com refuses the push of "+
		"registry.example.com/team/app:v1: Secret other of ServiceAccount builder has logins for other.example.com, "+
		"and not for registry.example.com; Secret right has a login for it, but is not listed under secrets",
		"push", "-n", "ci")
	clitest.InOrder(t, rest, "kubectl patch serviceaccount builder -n ci")
	if requests := s.requests(); len(requests) >= 20 {
		t.Errorf("%d requests, want fewer than 20:\n%s", len(requests), strings.Join(requests, "\n"))
	}
	query := strings.Join(*asked, " ")
	if len(*asked) != 1 || !strings.Contains(query, "tailLines=120") || !strings.Contains(query, "limitBytes=") {
		t.Errorf("the log was asked for as %q, want one request for its end", *asked)
	}
	out, errOut, _ := s.why("push", "-n", "ci", "-o", "json")
	if text := rest + out + errOut; strings.Contains(text, "hunter2") || strings.Contains(text, "aHVudGVyMg") {
		t.Errorf("a password is printed:\n%s", text)
	}
}

// TestWhyNotRewritten holds that the configuration of Tekgate and its mirror are asked about an
// image that should have been rewritten.
func TestWhyNotRewritten(t *testing.T) {
	s := newSite(t)
	mirror := clitest.Mirror(t)
	clitest.Push(t, mirror+"/library/alpine:3.12", clitest.Platform(t, "amd64"))
	message := strings.Replace(pullFailure("alpine:3.12"), "not found",
		"dial tcp: lookup registry-1.docker.io: no such host", 1)
	s.put(strings.Replace(run("plain", "TaskRunImagePullFailed", message, ""), "namespace: ci}",
		"namespace: ci, annotations: {tekgate.dev/skip-rules: image-mirror}}", 1))
	s.Create(`apiVersion: v1
kind: Namespace
metadata: {name: tekgate}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: tekgate-config, namespace: tekgate}
data:
  config.yaml: |
    apiVersion: tekgate.dev/v1alpha1
    kind: Configuration
    mirror: {registry: ` + mirror + `, layout: keep-path}
    mutator: {imageMirror: {enabled: true}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: mutate.tekgate.dev}
webhooks: []
`)
	rest := s.firstLine("image-not-rewritten: TaskRun ci/plain, step work: alpine:3.12 was not rewritten to "+mirror+
		"/library/alpine:3.12: the run's annotation tekgate.dev/skip-rules names the rule image-mirror", "plain", "-n", "ci")
	clitest.InOrder(t, rest, "remove the rule from the annotation", "image-unreachable: Pod ci/plain-pod, step work")
}
