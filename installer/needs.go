package installer

import (
	"context"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

// need is a Secret or ConfigMap that workloads of a part use, that is not in the release, and
// without which their Pods do not start.
type need struct {
	object *unstructured.Unstructured // without data
	keys   []string                   // that it must have, sorted
	by     []string                   // the workloads
}

// needsOf returns what the workloads among a part's objects need that the release lacks.
func needsOf(part, all []*unstructured.Unstructured) []*need {
	found := needs{inRelease: map[string]bool{}}
	for _, obj := range all {
		found.inRelease[kube.Identity(obj)] = true
	}
	for _, obj := range part {
		if !isWorkload(obj.GroupVersionKind().GroupKind()) {
			continue
		}
		found.workload = obj
		for _, container := range live.Containers(obj) {
			found.container(container)
		}
		for _, volume := range live.Maps(obj.Object, "spec", "template", "spec", "volumes") {
			found.ref(live.Secret, volume, "secret", "secretName")
			found.ref(live.ConfigMap, volume, "configMap", "name")
		}
	}
	return found.list
}

// needs collects what a release's workloads need.
type needs struct {
	inRelease map[string]bool // by identity
	workload  *unstructured.Unstructured
	list      []*need
}

func (n *needs) container(container map[string]any) {
	for _, env := range live.Maps(container, "env") {
		from, _, _ := unstructured.NestedMap(env, "valueFrom")
		n.ref(live.Secret, from, "secretKeyRef", "name")
		n.ref(live.ConfigMap, from, "configMapKeyRef", "name")
	}
	for _, from := range live.Maps(container, "envFrom") {
		n.ref(live.Secret, from, "secretRef", "name")
		n.ref(live.ConfigMap, from, "configMapRef", "name")
	}
}

// ref notes the object that a field refers to, unless it is optional.
func (n *needs) ref(kind schema.GroupVersionKind, holder map[string]any, field, nameField string) {
	ref, _, _ := unstructured.NestedMap(holder, field)
	name := live.Text(ref, nameField)
	if optional, _, _ := unstructured.NestedBool(ref, "optional"); name == "" || optional {
		return
	}
	object := NewObject(kind, n.workload.GetNamespace(), name)
	if n.inRelease[kube.Identity(object)] {
		return
	}
	i := slices.IndexFunc(n.list, func(other *need) bool {
		return kube.Identity(other.object) == kube.Identity(object)
	})
	if i < 0 {
		i = len(n.list)
		n.list = append(n.list, &need{object: object})
	}
	if key := live.Text(ref, "key"); key != "" && !slices.Contains(n.list[i].keys, key) {
		n.list[i].keys = append(n.list[i].keys, key)
	}
	if by := kube.Name(n.workload); !slices.Contains(n.list[i].by, by) {
		n.list[i].by = append(n.list[i].by, by)
	}
}

var (
	serviceKind       = schema.GroupVersionKind{Version: "v1", Kind: "Service"}
	endpointSliceKind = schema.GroupVersionKind{Group: "discovery.k8s.io", Version: "v1", Kind: "EndpointSlice"}
)

// gatherNeeded reads the objects that parts of the release need.
func (c *Cluster) gatherNeeded(ctx context.Context, release Release, current map[string]*unstructured.Unstructured,
) (found map[string]*unstructured.Unstructured, serving map[string]bool, err error) {
	found, serving = map[string]*unstructured.Unstructured{}, map[string]bool{}
	var wanted []*unstructured.Unstructured
	for _, part := range release.Parts {
		for _, need := range needsOf(part.Of(release.Objects), release.Objects) {
			wanted = append(wanted, need.object)
		}
	}
	database := databaseOf(release.Objects, current)
	if database.service != nil {
		wanted = append(wanted, database.service)
	}
	for _, obj := range wanted {
		object, err := c.current(ctx, obj)
		if apierrors.IsForbidden(err) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		found[kube.Identity(obj)] = object
	}
	if database.service == nil {
		return found, serving, nil
	}
	slices, err := c.List(ctx, endpointSliceKind, client.InNamespace(database.service.GetNamespace()),
		client.MatchingLabels{"kubernetes.io/service-name": database.service.GetName()})
	for _, slice := range slices {
		if len(live.Maps(slice.Object, "endpoints")) > 0 {
			serving[kube.Identity(database.service)] = true
		}
	}
	return found, serving, ignoreForbidden(err)
}

// checkNeeds reports the Secrets and ConfigMaps that a part needs and the cluster lacks.
func checkNeeds(title string, part []*unstructured.Unstructured, release Release, facts Facts) []Finding {
	var findings []Finding
	for _, need := range needsOf(part, release.Objects) {
		object, read := facts.Needed[kube.Identity(need.object)]
		recipe := recipes[kube.Name(need.object)]
		keys := slices.Clone(need.keys)
		for _, key := range recipe.keys {
			if !slices.Contains(keys, key) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		lacking := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return hasKey(object, key) })
		why := "which does not exist"
		switch {
		case !read || object != nil && len(lacking) == 0:
			continue
		case object != nil:
			why = "which has no " + strings.Join(lacking, ", ")
		}
		findings = append(findings, Finding{Category: "components", Fatal: true,
			Sentence: fmt.Sprintf("%s needs %s%s, %s: %s would not start", title, kube.Name(need.object),
				keyList(keys), why, strings.Join(need.by, ", ")),
			Remedy: need.remedy(recipe, facts)})
	}
	return findings
}

func hasKey(object *unstructured.Unstructured, key string) bool {
	if object == nil {
		return false
	}
	_, found, _ := unstructured.NestedString(object.Object, "data", key)
	return found
}

func keyList(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return " with " + strings.Join(keys, ", ")
}

// recipe is how to make an object that a component documents.
type recipe struct {
	keys   []string
	remedy string
}

// recipes are by the name of the object, see kube.Name.
var recipes = map[string]recipe{
	"Secret/tekton-pipelines/tekton-results-postgres": {
		remedy: "write the two lines POSTGRES_USER=… and POSTGRES_PASSWORD=… to a file, and run " +
			"`kubectl -n tekton-pipelines create secret generic tekton-results-postgres --from-env-file=FILE`",
	},
	"Secret/tekton-pipelines/tekton-results-tls": {
		keys: []string{"tls.crt", "tls.key"},
		remedy: "`openssl req -x509 -newkey rsa:4096 -nodes -days 365 -keyout key.pem -out cert.pem " +
			"-subj /CN=tekton-results-api-service.tekton-pipelines.svc.cluster.local " +
			"-addext subjectAltName=DNS:tekton-results-api-service.tekton-pipelines.svc.cluster.local`, and then " +
			"`kubectl -n tekton-pipelines create secret tls tekton-results-tls --cert=cert.pem --key=key.pem`",
	},
}

func (n *need) remedy(known recipe, facts Facts) string {
	remedy := known.remedy
	if remedy == "" {
		remedy = "create it as the documentation of the manifest says"
	}
	namespace := NewObject(live.Namespace, "", n.object.GetNamespace())
	if current, ok := facts.Live[kube.Identity(namespace)]; !ok || current == nil {
		remedy = fmt.Sprintf("`kubectl create namespace %s` if it does not exist, then %s", namespace.GetName(), remedy)
	}
	return remedy
}
