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
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// StartTekgate runs Tekgate's own admission server, built from this module, with the
// rights of its manifests and no others. The cluster was given its furniture first.
func StartTekgate(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	direct, err := connect(c)
	if err != nil {
		return nil, err
	}
	root, err := cluster.Root(ctx)
	if err != nil {
		return nil, err
	}
	rights, err := readAll(root, "manifests/tekgate/200-webhook-rbac.yaml")
	if err != nil {
		return nil, err
	}
	if err := install(ctx, direct, rights); err != nil {
		return nil, err
	}
	dir, err := folder(map[string][]byte{"config.yaml": []byte(o.Config)})
	if err != nil {
		return nil, err
	}
	program := filepath.Join(dir, "webhook")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/webhook")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, errors.Join(fmt.Errorf("building Tekgate's admission server: %w: %s", err, out), os.RemoveAll(dir))
	}
	s, err := runTekgate(ctx, c, program, dir)
	if err != nil {
		return nil, err
	}
	return s.orStop(s.trustTekgate(ctx, direct, o.Register))
}

func runTekgate(ctx context.Context, c *cluster.Cluster, program, dir string) (*Server, error) {
	kubeconfig := filepath.Join(dir, "kubeconfig")
	config, err := clientcmd.LoadFromFile(c.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("reading the cluster's kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = "system:serviceaccount:tekgate:tekgate-webhook"
	}
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return nil, fmt.Errorf("writing a kubeconfig: %w", err)
	}
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	address, health := net.JoinHostPort("127.0.0.1", ports[0]), net.JoinHostPort("127.0.0.1", ports[1])
	s, err := launch("tekgate", program, dir, []string{"GOMEMLIMIT=200MiB"}, []string{ // as in manifests/tekgate/400-webhook.yaml
		"--kubeconfig", kubeconfig, "--config", filepath.Join(dir, "config.yaml"), "--bind-address", address,
		"--health-bind-address", health, "--metrics-bind-address", "0",
	})
	if err != nil {
		return nil, err
	}
	s.Address, s.URL = address, "https://"+address+"/mutate"
	s.health = "http://" + health + "/readyz"
	return s.orStop(s.serves(ctx, s.health))
}

// trustTekgate learns the CA that the server has made, and registers it if asked to.
// It is ready only while the live caBundles vouch for it, or there are none.
func (s *Server) trustTekgate(ctx context.Context, direct client.Client, register bool) error {
	secret := object("v1", "Secret", "tekgate", "tekgate-webhook-ca")
	if err := direct.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil {
		return fmt.Errorf("reading Tekgate's CA: %w", err)
	}
	text, _, _ := unstructured.NestedString(secret.Object, "data", "tls.crt")
	var err error
	if s.CA, err = base64.StdEncoding.DecodeString(text); err != nil {
		return fmt.Errorf("reading Tekgate's CA: %w", err)
	}
	if !register {
		return nil
	}
	root, err := cluster.Root(ctx)
	if err != nil {
		return err
	}
	configurations, err := readAll(root, "manifests/tekgate/500-webhooks.yaml")
	if err != nil {
		return err
	}
	if err := s.install(ctx, direct, configurations); err != nil {
		return err
	}
	return s.serves(ctx, s.health)
}

// serves waits until a probe is answered with 200, and tells Ready the time.
func (s *Server) serves(ctx context.Context, probe string) error {
	caller := &http.Client{}
	defer caller.CloseIdleConnections()
	return s.await(ctx, "is ready", func(ctx context.Context) error {
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
}
