package installer_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer"
)

// miniature has of everything in a Tekton release one.
const miniature = `
apiVersion: v1
kind: Namespace
metadata: {name: tekton-pipelines}
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: tasks.tekton.dev}
spec:
  group: tekton.dev
  names: {kind: Task, plural: tasks, singular: task}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
---
apiVersion: tekton.dev/v1
kind: Task
metadata: {name: shipped, namespace: tekton-pipelines}
spec: {steps: []}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: webhook, namespace: tekton-pipelines}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: view}
subjects: [{kind: ServiceAccount, name: tekton-pipelines-webhook, namespace: tekton-pipelines}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: feature-flags, namespace: tekton-pipelines, labels: {app.kubernetes.io/part-of: tekton-pipelines}}
data: {enable-api-fields: beta, FLAGS}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: pipelines-info, namespace: tekton-pipelines, labels: {app.kubernetes.io/part-of: tekton-pipelines}}
data: {version: VERSION}
---
apiVersion: v1
kind: Secret
metadata: {name: webhook-certs, namespace: tekton-pipelines}
---
apiVersion: v1
kind: Service
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
spec: {selector: {app: webhook}, ports: [{port: 443, targetPort: 8443}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
spec:
  selector: {matchLabels: {app: webhook}}
  template:
    metadata: {labels: {app: webhook}}
    spec: {containers: [{name: webhook, image: 'quay.io/mini/webhook:VERSION'}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: tekton-pipelines-webhook}
  maxReplicas: 5
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 100}}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: validation.webhook.pipeline.tekton.dev}
webhooks:
- name: validation.webhook.pipeline.tekton.dev
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {service: {name: tekton-pipelines-webhook, namespace: tekton-pipelines}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: tekton-pipelines-controller, namespace: tekton-pipelines}
spec:
  selector: {matchLabels: {app: controller}}
  template:
    metadata: {labels: {app: controller}}
    spec: {containers: [{name: controller, image: 'quay.io/mini/controller:VERSION', args: ['-nop-image', 'quay.io/mini/nop:VERSION']}]}
`

// mini returns a release of a few objects, whose feature-flags have more flags
// of the form `name: "value"`.
func mini(version, flags string, changes ...string) func(testing.TB) installer.Release {
	return func(t testing.TB) installer.Release {
		t.Helper()
		text := strings.NewReplacer(
			append([]string{"VERSION", version, ", FLAGS", flagList(flags)}, changes...)...).Replace(
			miniature,
		)
		return rendered(t, parse(t, text))
	}
}

func flagList(flags string) string {
	if flags == "" {
		return ""
	}
	return ", " + flags
}

// applyLikeKubectl creates an object as kubectl's client-side apply does.
func applyLikeKubectl(c *target, obj *unstructured.Unstructured) {
	c.t.Helper()
	text, err := json.Marshal(obj.Object)
	if err != nil {
		c.t.Fatal(err)
	}
	created := obj.DeepCopy()
	annotations := created.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations["kubectl.kubernetes.io/last-applied-configuration"] = string(text)
	created.SetAnnotations(annotations)
	for range 50 {
		err = c.Client().Create(context.Background(), created, client.FieldOwner("kubectl-client-side-apply"))
		if err == nil {
			return
		}
		pause()
	}
	c.t.Fatal(err)
}

// pause lets the server get on, for example with serving a new kind.
func pause() { time.Sleep(100 * time.Millisecond) }
