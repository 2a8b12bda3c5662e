package peers

import (
	"context"
	"net"
	"path/filepath"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// baselineRegistration asks for what the others are asked for.
const baselineRegistration = `
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: baseline.tekgate.dev}
webhooks:
- name: taskruns.baseline.tekgate.dev
  admissionReviewVersions: [v1]
  clientConfig: {service: {path: /}}
  matchPolicy: Equivalent
  reinvocationPolicy: Never
  sideEffects: None
  timeoutSeconds: 3
  rules: [{apiGroups: [tekton.dev], apiVersions: ["*"], resources: [taskruns], operations: [CREATE], scope: Namespaced}]
`

// StartBaseline runs one of package baseline's handlers, "null" or "kubebuilder", in a
// process of its own. program is one that serves it, given the arguments
//
//	serve <kind> --dir <folder with tls.crt, tls.key and answer.json> --address <host:port>
//
// answer is what null answers. c is nil where nothing is registered.
func StartBaseline(ctx context.Context, c *cluster.Cluster, program, kind string, answer []byte, o Options) (*Server, error) {
	dir, err := folder(map[string][]byte{"tls.crt": o.Identity.Certificate, "tls.key": o.Identity.Key, "answer.json": answer})
	if err != nil {
		return nil, err
	}
	ports, err := freePorts(ctx, 1)
	if err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", ports[0])
	s, err := launch(kind, program, dir, nil, []string{"serve", kind, "--dir", filepath.Clean(dir), "--address", address})
	if err != nil {
		return nil, err
	}
	s.Address, s.URL, s.CA = address, "https://"+address+"/", o.Identity.CA
	if err := s.works(ctx, s.URL); err != nil || !o.Register {
		return s.orStop(err)
	}
	direct, err := connect(c)
	if err != nil {
		return s.orStop(err)
	}
	return s.orStop(s.register(ctx, direct, baselineRegistration))
}
