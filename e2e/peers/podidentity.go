package peers

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/e2e/baseline"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

// podIdentityObjects has a ServiceAccount whose Pods it mutates.
const podIdentityObjects = `
apiVersion: v1
kind: ServiceAccount
metadata:
  name: identified
  namespace: ci
  annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::111122223333:role/builder"}
`

// Pod is one that the pod identity webhook mutates. It has four containers, as the TaskRun
// has four steps.
func Pod() map[string]any {
	var containers []map[string]any
	for _, name := range []string{"fetch", "test", "build", "deploy"} {
		containers = append(containers, map[string]any{
			"name": name, "image": "example.com/" + name + ":v1",
			"env": []map[string]any{{"name": "GOFLAGS", "value": "-mod=vendor"}},
		})
	}
	return map[string]any{
		"apiVersion": "v1", "kind": "Pod",
		"metadata": map[string]any{"generateName": "build-", "namespace": "ci"},
		"spec":     map[string]any{"serviceAccountName": "identified", "containers": containers},
	}
}

// PodReview is what an API server sends when that Pod is created.
func PodReview() ([]byte, error) {
	return baseline.ReviewOf(Pod(), metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, "pods")
}

// StartPodIdentity runs the pod identity webhook, which mutates Pods instead of TaskRuns.
func StartPodIdentity(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	program, err := Build(ctx, PodIdentity, o.Log)
	if err != nil {
		return nil, err
	}
	direct, err := kube.Client(c.Config)
	if err != nil {
		return nil, err
	}
	accounts, err := read("a ServiceAccount", strings.NewReader(podIdentityObjects))
	if err != nil {
		return nil, err
	}
	if err := install(ctx, direct, accounts); err != nil {
		return nil, err
	}
	dir, err := directory(map[string][]byte{"tls.crt": o.Identity.Certificate, "tls.key": o.Identity.Key})
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	s, err := launch(ctx, PodIdentity, program, dir, nil, []string{
		"--in-cluster=false", "--kubeconfig", c.Kubeconfig, "--port", ports[0], "--metrics-port", ports[1],
		"--tls-cert", filepath.Join(dir, "tls.crt"), "--tls-key", filepath.Join(dir, "tls.key"),
	})
	if err != nil {
		return nil, err
	}
	s.CA = o.Identity.CA
	s.Address = net.JoinHostPort("127.0.0.1", ports[0])
	s.URL = fmt.Sprintf("https://%s/mutate", s.Address)
	body, err := PodReview()
	if err != nil {
		return s.orStop(err)
	}
	return s.orStop(s.answers(ctx, s.URL, body, "AWS_ROLE_ARN"))
}
