package installer

import (
	"reflect"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

func fieldsOf(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	obj := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(text), &obj.Object); err != nil {
		t.Fatal(err)
	}
	return obj
}

func TestLeavesAreNamedByWhatTheyAre(t *testing.T) {
	obj := fieldsOf(t, `
kind: Deployment
metadata: {name: a, labels: {a.b/c: d}}
spec:
  replicas: 2
  template:
    spec:
      nodeSelector: {kubernetes.io/os: linux}
      tolerations: [{key: x}]
      containers:
      - name: c
        args: [-a, b, --c=d, -e, -f, plain]
        env: [{name: A, value: "1"}]
        ports: []
status: {replicas: 3}
`)
	want := leaves{
		"metadata.labels[a.b/c]": "d",
		"spec.replicas":          "2",
		"spec.template.spec.nodeSelector[kubernetes.io/os]": "linux",
		"spec.template.spec.tolerations":                    `[{"key":"x"}]`,
		"spec.template.spec.containers[c].name":             "c",
		"spec.template.spec.containers[c].args[-a]":         "b",
		"spec.template.spec.containers[c].args[-c]":         "d",
		"spec.template.spec.containers[c].args[-e]":         "",
		"spec.template.spec.containers[c].args[-f]":         "plain",
		"spec.template.spec.containers[c].env[A].name":      "A",
		"spec.template.spec.containers[c].env[A].value":     "1",
	}
	if got := leavesOf(obj); !reflect.DeepEqual(got, want) {
		t.Errorf("the leaves are %v", got)
	}
	above := ancestors("spec.template.spec.nodeSelector[kubernetes.io/os]")
	if want := []string{"spec.template", "spec.template.spec"}; !reflect.DeepEqual(above, want) {
		t.Errorf("the ancestors are %q", above)
	}
}

// owned is an object with fields of two managers.
const owned = `
kind: Deployment
metadata:
  name: a
  labels: {both: "1", gone: "1"}
  managedFields:
  - {manager: kubectl-client-side-apply, operation: Update, fieldsV1: {"f:metadata": {"f:labels": {"f:both": {}, "f:gone": {}}},
     "f:spec": {"f:replicas": {}, "f:template": {"f:spec": {"f:nodeSelector": {},
       "f:imagePullSecrets": {".": {}, 'k:{"name":"p"}': {}},
       "f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:image": {}, "f:env": {".": {}, 'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
         'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}}}}}}}
  - {manager: tekgate, operation: Apply, fieldsV1: {"f:metadata": {"f:labels": {"f:both": {}}},
     "f:spec": {"f:template": {"f:spec": {"f:containers": {'k:{"name":"c"}': {".": {}, "f:name": {}, "f:image": {},
       "f:env": {'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}}}}}}}}}}
  - {manager: kubectl-edit, operation: Update, fieldsV1: {"f:spec": {"f:paused": {}}}}
spec:
  paused: true
  replicas: 3
  template:
    spec:
      nodeSelector: {disktype: ssd}
      imagePullSecrets: [{name: p}]
      containers:
      - {name: c, image: i, env: [{name: A, value: "1"}, {name: B, value: "2"}]}
`

func TestFieldsOfEarlierAppliersAreTakenAway(t *testing.T) {
	after := withoutTaken(fieldsOf(t, owned))
	want := leaves{
		"metadata.labels[both]":                         "1",
		"spec.paused":                                   "true",
		"spec.template.spec.containers[c].name":         "c",
		"spec.template.spec.containers[c].image":        "i",
		"spec.template.spec.containers[c].env[B].name":  "B",
		"spec.template.spec.containers[c].env[B].value": "2",
	}
	if got := leavesOf(after); !reflect.DeepEqual(got, want) {
		t.Errorf("it becomes %v", got)
	}
}
