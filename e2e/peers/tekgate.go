package peers

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/servers"
)

// StartTekgate runs Tekgate's own admission server with the rights of its manifests and
// no others. The cluster was given its preparation first.
func StartTekgate(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	direct, err := connect(c)
	if err != nil {
		return nil, err
	}
	dir, err := folder(map[string][]byte{"config.yaml": []byte(o.Config)})
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
	s, err := launch(ctx, "tekgate", program, dir, []string{"GOMEMLIMIT=200MiB"}, []string{ // as in manifests/tekgate/400-webhook.yaml
		"--kubeconfig", kubeconfig, "--config", filepath.Join(dir, "config.yaml"), "--bind-address", address,
		"--health-bind-address", health, "--metrics-bind-address", "0",
	})
	if err != nil {
		return nil, err
	}
	s.Address, s.URL = address, "https://"+address+"/mutate"
	return s.orStop(s.serves(ctx, "http://"+health+"/readyz"))
}

// trustTekgate learns the CA that the server has made.
func (s *Server) trustTekgate(ctx context.Context, direct client.Client) error {
	secret := object("v1", "Secret", "tekgate", "tekgate-webhook-ca")
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

// serves waits until a probe is answered with 200, and tells Ready the time.
func (s *Server) serves(ctx context.Context, probe string) error {
	caller := &http.Client{}
	defer caller.CloseIdleConnections()
	err := s.await(ctx, "is ready", func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, probe, nil)
		if err != nil {
			return err
		}
		res, err := caller.Do(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		text, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusOK {
			return fmt.Errorf("%s: %s", res.Status, strings.TrimSpace(string(text)))
		}
		return nil
	})
	s.isReady()
	return err
}
