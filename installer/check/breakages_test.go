package check_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"math/big"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/certs"
)

func tlsConfig(authority *certs.Authority) *tls.Config {
	config := &tls.Config{}
	authority.TLS(config)
	return config
}

// breakage is an edit of one object, and the one check that must notice it.
type breakage struct {
	id              string
	status          check.Status
	want            string
	kind            schema.GroupVersionKind
	namespace, name string
	patch           string
}

var (
	controller = "tekton-pipelines-controller"
	stranger   = expiring(time.Now().Add(1000 * time.Hour))
)

// traps are what a naive installer leaves unnoticed, by the check that finds it.
var traps = map[string]string{
	"eventlistener-images": " Trap33 Deployments of EventListeners keep old images",
}

var breakages = []breakage{
	{
		"kubernetes-version",
		check.Error,
		"Deployment/tekton-pipelines/tekton-events-controller needs Kubernetes v9.0.0 or newer; this is v1.",
		live.Deployment,
		live.Pipelines,
		"tekton-events-controller",
		`[{"op":"add","path":"/spec/template/spec/containers/0/env/0","value":{"name":"KUBERNETES_MIN_VERSION","value":"v9.0.0"}}]`,
	},
	{
		"pipelines-deployments",
		check.Error,
		"Deployment/tekton-pipelines/tekton-pipelines-controller is scaled to 0 replicas",
		live.Deployment,
		live.Pipelines,
		controller,
		`[{"op":"replace","path":"/spec/replicas","value":0}]`,
	},
	{
		"pipelines-webhooks",
		check.Error,
		"MutatingWebhookConfiguration/webhook.pipeline.tekton.dev: webhook webhook.pipeline.tekton.dev has no rules",
		live.Mutating,
		"",
		"webhook.pipeline.tekton.dev",
		`[{"op":"remove","path":"/webhooks/0/rules"}]`,
	},
	{"pipelines-webhooks", check.Error, "no caBundle", live.Validating, "", "validation.webhook.pipeline.tekton.dev",
		`[{"op":"remove","path":"/webhooks/0/clientConfig/caBundle"}]`},
	{
		"pipelines-answer",
		check.Error,
		`failed calling webhook "webhook.pipeline.tekton.dev"`,
		live.Mutating,
		"",
		"webhook.pipeline.tekton.dev",
		`[{"op":"replace","path":"/webhooks/0/clientConfig/service/port","value":1}]`,
	},
	{
		"pipelines-answer",
		check.Error,
		"without a serviceAccountName, which Tekton's webhook would have set",
		live.Mutating,
		"",
		"webhook.pipeline.tekton.dev",
		`[{"op":"replace","path":"/webhooks/0/rules/0/resources","value":["pipelines"]}]`,
	},
	{
		"triggers-deployments",
		check.Error,
		"Deployment/tekton-pipelines/tekton-triggers-controller has 0 of 1 replicas ready",
		live.Deployment,
		live.Pipelines,
		"tekton-triggers-controller",
		`[{"op":"add","path":"/spec/template/metadata/labels/new","value":"x"}]`,
	},
	{
		"triggers-webhooks",
		check.Error,
		"no rules",
		live.Validating,
		"",
		"validation.webhook.triggers.tekton.dev",
		`[{"op":"remove","path":"/webhooks/0/rules"}]`,
	},
	{
		"injected-users", check.Error,
		"it runs as root on linux/amd64, and the feature flag set-security-context forbids that for -shell-image: " +
			"every step with a script fails",
		live.ConfigMap, live.Pipelines, "feature-flags",
		`[{"op":"replace","path":"/data/set-security-context","value":"true"}]`,
	},
	{
		"images-mirrored",
		check.Error,
		"is outside the mirror: registry registry.example.com/tekton would make it registry.example.com/tekton/pipeline-",
		live.ConfigMap,
		live.Tekgate,
		"tekgate-config",
		`[{"op":"replace","path":"/data/config.yaml","value":"registry.example.com"}]`,
	},
	{"images-mirrored", check.Error, "UPPER is no image reference", live.Deployment, live.Tekgate, "tekgate-webhook",
		`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"UPPER"}]`},
	{
		"eventlistener-images",
		check.Warning,
		"Deployment/default/el-listener still runs old.example.com/sink:v1; Triggers gives out ghcr.io/tektoncd/triggers/eventlistenersink-",
		live.Deployment,
		"default",
		"el-listener",
		`[{"op":"replace","path":"/spec/template/spec/containers/0/image","value":"old.example.com/sink:v1"}]`,
	},
	{"tekgate-webhook-deployment", check.Error, "Deployment/tekgate/tekgate-webhook has 0 of 2 replicas ready",
		live.Deployment, live.Tekgate, "tekgate-webhook", `[{"op":"add","path":"/spec/template/metadata/labels/new","value":"x"}]`},
	{
		"tekgate-webhook-answers",
		check.Error,
		"came back without the admission server's record",
		live.Mutating,
		"",
		"mutate.tekgate.dev",
		`[{"op":"replace","path":"/webhooks/0/clientConfig/service/port","value":1}]`,
	},
	{"tekgate-interceptor-deployment", check.Error, "Deployment/tekgate/tekgate-interceptor has 0 of 2 replicas ready",
		live.Deployment, live.Tekgate, "tekgate-interceptor", `[{"op":"add","path":"/spec/template/metadata/labels/new","value":"x"}]`},
	{
		"tekgate-interceptor-published",
		check.Error,
		"lacks the label server/type=https",
		live.ClusterInterceptor,
		"",
		"tekgate",
		`[{"op":"remove","path":"/metadata/labels/server~1type"}]`,
	},
	{
		"ca-secrets",
		check.Error,
		"Secret/tekgate/tekgate-webhook-ca: its tls.crt holds no certificate",
		live.Secret,
		live.Tekgate,
		"tekgate-webhook-ca",
		`[{"op":"replace","path":"/data/tls.crt","value":"eA=="}]`,
	},
	{
		"ca-bundles",
		check.Error,
		"webhook taskruns.mutate.tekgate.dev: its caBundle does not hold the certificate of Secret tekgate/tekgate-webhook-ca",
		live.Mutating,
		"",
		"mutate.tekgate.dev",
		`[{"op":"replace","path":"/webhooks/0/clientConfig/caBundle","value":"` + stranger + `"}]`,
	},
	{
		"ca-bundles",
		check.Error,
		"ClusterInterceptor/tekgate: its caBundle holds no certificate",
		live.ClusterInterceptor,
		"",
		"tekgate",
		`[{"op":"replace","path":"/spec/clientConfig/caBundle","value":"eA=="}]`,
	},
	{
		"ca-expiry",
		check.Warning,
		"ClusterInterceptor/tekgate: its CA expires at ",
		live.ClusterInterceptor,
		"",
		"tekgate",
		`[{"op":"replace","path":"/spec/clientConfig/caBundle","value":"` + expiring(
			time.Now().Add(100*time.Hour),
		) + `"}]`,
	},
	{
		"webhook-exclusions",
		check.Error,
		"webhook taskruns.mutate.tekgate.dev is asked about namespace kube-system",
		live.Mutating,
		"",
		"mutate.tekgate.dev",
		`[{"op":"remove","path":"/webhooks/0/namespaceSelector"}]`,
	},
	{
		"webhook-exclusions",
		check.Error,
		"is asked about pods, secrets of the core group",
		live.Mutating,
		"",
		"mutate.tekgate.dev",
		`[{"op":"add","path":"/webhooks/0/rules/-","value":{"apiGroups":[""],"apiVersions":["v1"],"resources":["pods","secrets"],"operations":["CREATE"]}}]`,
	},
	{
		"webhook-failure-policy",
		check.Warning,
		"webhook taskruns.mutate.tekgate.dev has failurePolicy Fail, which the configuration does not say",
		live.Mutating,
		"",
		"mutate.tekgate.dev",
		`[{"op":"replace","path":"/webhooks/0/failurePolicy","value":"Fail"}]`,
	},
	{
		"webhook-failure-policy",
		check.Warning,
		"webhook taskruns.mutate.tekgate.dev lets pass what it cannot judge, and is to have failurePolicy Fail",
		live.Mutating,
		"",
		"mutate.tekgate.dev",
		`[{"op":"add","path":"/metadata/annotations","value":{"tekgate.dev/fail":"taskruns.mutate.tekgate.dev"}}]`,
	},
	{
		"webhook-failure-policy",
		check.Warning,
		"may hold up a request for 30 seconds",
		live.Validating,
		"",
		"validate.tekgate.dev",
		`[{"op":"replace","path":"/webhooks/0/timeoutSeconds","value":30}]`,
	},
	{
		"cluster-interceptors",
		check.Error,
		"ClusterInterceptor/cel has the label server/type=https and no caBundle",
		live.ClusterInterceptor,
		"",
		"cel",
		`[{"op":"remove","path":"/spec/clientConfig/caBundle"}]`,
	},
	{
		"configuration",
		check.Error,
		"ConfigMap/tekgate/tekgate-config: config.yaml: unexpected EOF",
		live.ConfigMap,
		live.Tekgate,
		"tekgate-config",
		`[{"op":"replace","path":"/data/config.yaml","value":"nonsense"}]`,
	},
	{
		"configuration-in-force",
		check.Warning,
		"answers by the configuration 0123456789ab, and ConfigMap/tekgate/tekgate-config holds ba9876543210",
		live.ConfigMap,
		live.Tekgate,
		"tekgate-config",
		`[{"op":"replace","path":"/data/config.yaml","value":"newer"}]`,
	},
	{
		"namespace-settings",
		check.Warning,
		"Namespace/default: the annotation tekgate.dev/mutator is not used: it is wrong",
		live.Namespace,
		"",
		"default",
		`[{"op":"add","path":"/metadata/annotations","value":{"tekgate.dev/mutator":"wrong"}}]`,
	},
	{
		"namespace-settings",
		check.Warning,
		"the settings of all Namespaces take 101 bytes of memory, and 100 are the most",
		live.Namespace,
		"",
		"default",
		`[{"op":"add","path":"/metadata/annotations","value":{"tekgate.dev/mutator":"` + strings.Repeat("x", 101) + `"}}]`,
	},
}

// breakThenMend makes the edit, and puts the object back at the test's end.
func (w *world) breakThenMend(b breakage) {
	before := w.get(b.kind, b.namespace, b.name)
	w.edit(b.kind, b.namespace, b.name, b.patch)
	w.t.Cleanup(func() {
		now := w.get(b.kind, b.namespace, b.name)
		before.SetResourceVersion(now.GetResourceVersion())
		if err := w.client.Update(w.context, before); err != nil {
			w.t.Error(err)
		}
		if b.kind == live.Deployment {
			w.becomes(w.get(b.kind, b.namespace, b.name), true)
		}
	})
}

func (w *world) edit(kind schema.GroupVersionKind, namespace, name, patch string) {
	w.t.Helper()
	obj := w.get(kind, namespace, name)
	w.check(w.client.Patch(w.context, obj, client.RawPatch("application/json-patch+json", []byte(patch))))
}

// eventListener is a Deployment as Triggers' controller makes it.
func eventListener(image string) *unstructured.Unstructured {
	labels := map[string]any{"app.kubernetes.io/managed-by": "EventListener", "eventlistener": "listener"}
	d := &unstructured.Unstructured{Object: map[string]any{
		"metadata": map[string]any{"name": "el-listener", "namespace": "default", "labels": labels},
		"spec": map[string]any{
			"selector": map[string]any{"matchLabels": labels},
			"template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec": map[string]any{
					"containers": []any{map[string]any{"name": "event-listener", "image": image}},
				},
			},
		},
	}}
	d.SetGroupVersionKind(live.Deployment)
	return d
}

// expiring returns, as a caBundle, a CA's certificate that ends at a time.
func expiring(end time.Time) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              end,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	return base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}
