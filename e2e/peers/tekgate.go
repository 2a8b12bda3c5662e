package peers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/servers"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// StartTekgate runs Tekgate's admission server with only the rights of its manifests. The
// cluster must be prepared.
func StartTekgate(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	direct, err := kube.Client(c.Config)
	if err != nil {
		return nil, err
	}
	dir, err := directory(map[string][]byte{"config.yaml": []byte(o.Config)})
	if err != nil {
		return nil, err
	}
	kubeconfig, err := servers.Limit(ctx, c, direct, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	s, err := runTekgate(ctx, o.Program, dir, kubeconfig)
	if err != nil {
		return nil, err
	}
	return s.orStop(s.trustTekgate(ctx, direct))
}

func runTekgate(ctx context.Context, program, dir, kubeconfig string) (*Server, error) {
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	address, health := net.JoinHostPort("127.0.0.1", ports[0]), net.JoinHostPort("127.0.0.1", ports[1])
	env := []string{"GOMEMLIMIT=200MiB"} // as in manifests/tekgate/400-webhook.yaml
	s, err := launch(ctx, "tekgate", program, dir, env, []string{
		"--kubeconfig", kubeconfig, "--config", filepath.Join(dir, "config.yaml"), "--bind-address", address,
		"--health-bind-address", health, "--metrics-bind-address", "0",
	})
	if err != nil {
		return nil, err
	}
	s.Address, s.URL = address, "https://"+address+"/mutate"
	return s.orStop(s.serves(ctx, "http://"+health+"/readyz"))
}

// trustTekgate reads the CA that the server has made.
func (s *Server) trustTekgate(ctx context.Context, direct client.Client) error {
	secret := object("v1", "Secret", wellknown.TekgateNamespace, wellknown.WebhookCA)
	if err := direct.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return fmt.Errorf("reading Tekgate's CA: %w", err)
	}
	text, _, _ := unstructured.NestedString(secret.Object, "data", "tls.crt")
	var err error
	if s.CA, err = base64.StdEncoding.DecodeString(text); err != nil {
		return fmt.Errorf("reading Tekgate's CA: %w", err)
	}
	return nil
}

// serves waits until a readiness probe succeeds, and sets Ready.
func (s *Server) serves(ctx context.Context, probe string) error {
	err := s.await(ctx, "is ready", func(ctx context.Context) error { return servers.Probe(ctx, probe) })
	s.setReady()
	return err
}
