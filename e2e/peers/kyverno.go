package peers

import (
	"context"
	_ "embed"
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

//go:embed policies/kyverno.yaml
var kyvernoPolicies string

// kyvernoConfigMaps has the objects of its chart that the controller reads.
const kyvernoConfigMaps = `
apiVersion: v1
kind: Namespace
metadata: {name: kyverno}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno, namespace: kyverno}
data:
  enableDefaultRegistryMutation: "true"
  defaultRegistry: docker.io
  generateSuccessEvents: "false"
  excludeGroups: system:nodes
  resourceFilters: "[*/*,kyverno,*] [Event,*,*] [*/*,kube-system,*] [*/*,kube-public,*] [*/*,kube-node-lease,*] [Node,*,*] [Node/?*,*,*] [ReplicaSet,*,*] [EphemeralReport,*,*] [ClusterEphemeralReport,*,*]"
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno-metrics, namespace: kyverno}
data: {}
`

// StartKyverno runs Kyverno's admission controller with a ClusterPolicy, and with a
// MutatingPolicy at the URL CEL, which do the same job. Kyverno makes its own certificate,
// here with P-256 keys instead of RSA, and registers itself for both policies.
func StartKyverno(ctx context.Context, c *cluster.Cluster, o Options) (*Server, error) {
	program, err := Build(ctx, Kyverno, o.Log)
	if err != nil {
		return nil, err
	}
	direct, err := kube.Client(c.Config)
	if err != nil {
		return nil, err
	}
	policies, err := installKyverno(ctx, direct)
	if err != nil {
		return nil, err
	}
	s, err := runKyverno(ctx, c, program)
	if err != nil {
		return nil, err
	}
	if err := s.addClusterPolicy(ctx, direct, policies); err != nil {
		return s.orStop(err)
	}
	if err := s.awaitMutatingPolicy(ctx, direct); err != nil {
		fmt.Fprintf(o.Log, "Kyverno has no MutatingPolicy: %v\n", err)
		s.CEL = ""
	}
	return s, nil
}

func installKyverno(ctx context.Context, direct client.Client) (policies []*unstructured.Unstructured, err error) {
	source, err := moduleDir(ctx, Kyverno)
	if err != nil {
		return nil, err
	}
	objects, err := readAll(source, "config/crds/*/*.yaml")
	if err != nil {
		return nil, err
	}
	others, err := read("Kyverno's ConfigMaps", strings.NewReader(kyvernoConfigMaps))
	if err != nil {
		return nil, err
	}
	if err := install(ctx, direct, append(objects, others...)); err != nil {
		return nil, err
	}
	return read("Kyverno's policies", strings.NewReader(kyvernoPolicies))
}

func runKyverno(ctx context.Context, c *cluster.Cluster, program string) (*Server, error) {
	ports, err := freePorts(ctx, 2)
	if err != nil {
		return nil, err
	}
	dir, err := directory(nil)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", ports[0])
	env := []string{
		"KYVERNO_NAMESPACE=kyverno", "KYVERNO_SVC=kyverno-svc", "KYVERNO_DEPLOYMENT=kyverno-admission-controller",
		"KYVERNO_POD_NAME=kyverno-admission-controller", "KYVERNO_SERVICEACCOUNT_NAME=kyverno-admission-controller",
		"KYVERNO_ROLE_NAME=kyverno:admission-controller", "INIT_CONFIG=kyverno", "METRICS_CONFIG=kyverno-metrics",
		"GODEBUG=http2server=0", // because an API server uses HTTP/1.1 for a Service, but not for a URL
	}
	s, err := launch(ctx, Kyverno, program, dir, env, []string{
		"--kubeconfig=" + c.Kubeconfig, "--serverIP=" + address,
		"--webhookServerHost=127.0.0.1", "--webhookServerPort=" + ports[0], "--tlsKeyAlgorithm=ECDSA",
		"--caSecretName=kyverno-svc.kyverno.svc.kyverno-tls-ca",
		"--tlsSecretName=kyverno-svc.kyverno.svc.kyverno-tls-pair",
		"--backgroundServiceAccountName=system:serviceaccount:kyverno:kyverno-background-controller",
		"--reportsServiceAccountName=system:serviceaccount:kyverno:kyverno-reports-controller",
		"--disableMetrics=true", "--metricsPort=" + ports[1], "--controllerRuntimeMetricsAddress=0",
		"--enablePolicyException=false",
	})
	if err != nil {
		return nil, err
	}
	s.Address = address
	return s, nil
}

// addClusterPolicy creates the policies once Kyverno admits them, and waits until it
// serves the ClusterPolicy.
func (s *Server) addClusterPolicy(
	ctx context.Context, direct client.Client, policies []*unstructured.Unstructured,
) error {
	s.direct = direct
	if err := s.await(ctx, "listens", listens(s.Address)); err != nil {
		return err
	}
	for _, policy := range policies {
		if err := create(ctx, direct, policy); err != nil {
			return fmt.Errorf("%w; its log ends:\n%s", err, s.tail())
		}
	}
	err := s.await(ctx, "is registered", func(ctx context.Context) error {
		return s.readKyverno(ctx, direct, func() string { return s.URL })
	})
	if err != nil {
		return err
	}
	return s.works(ctx, s.URL)
}

// awaitMutatingPolicy waits until Kyverno serves the MutatingPolicy.
func (s *Server) awaitMutatingPolicy(ctx context.Context, direct client.Client) error {
	err := s.await(ctx, "is registered for a MutatingPolicy", func(ctx context.Context) error {
		return s.readKyverno(ctx, direct, func() string { return s.CEL })
	})
	if err != nil {
		return err
	}
	return s.works(ctx, s.CEL)
}

// readKyverno reads both URLs and the CA from the webhook configuration that Kyverno
// writes. It returns an error while the wanted URL is missing.
func (s *Server) readKyverno(ctx context.Context, direct client.Client, wanted func() string) error {
	const name = "kyverno-resource-mutating-webhook-cfg"
	configuration := object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", "", name)
	if err := direct.Get(ctx, client.ObjectKeyFromObject(configuration), configuration); err != nil {
		return err
	}
	hooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	for _, h := range hooks {
		hook, _ := h.(map[string]any)
		if !strings.Contains(fmt.Sprint(hook["rules"]), "taskruns") {
			continue
		}
		address, _, _ := unstructured.NestedString(hook, "clientConfig", "url")
		bundle, _, _ := unstructured.NestedString(hook, "clientConfig", "caBundle")
		parsed, err := url.Parse(address)
		if err != nil {
			return err
		}
		if strings.HasPrefix(parsed.Path, "/mpol") {
			s.CEL = address
		} else {
			s.URL = address
		}
		if s.CA, err = base64.StdEncoding.DecodeString(bundle); err != nil {
			return err
		}
	}
	if wanted() == "" {
		return fmt.Errorf("it is registered at %q and %q for TaskRuns", s.URL, s.CEL)
	}
	return nil
}
