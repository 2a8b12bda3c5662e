package pipelines

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var renamedReferenceRule = &rule.Rule{
	ID:       "renamed-reference",
	Severity: rule.Warning,
	Files:    true,
	Kinds:    slices.Concat(rule.Everything, rule.ServiceAccounts),
	Doc: `Finds names of ServiceAccounts, Secrets, ConfigMaps and PersistentVolumeClaims that no file has, where one stands
in the files that has the same name with a prefix or suffix, and a third of all objects have it too.

kustomize's namePrefix and nameSuffix rename all objects, and do not follow references in Tekton's kinds nor the
secrets of a ServiceAccount (api v0.21.2). So pusher is still named where dev-pusher stands: the run fails, or
gets no credentials. Name the object with its prefix, or list the fields in nameReference of a
kustomization's configurations.

Where no kustomization is among the files, and they are not standard input, it is a hint: the objects may simply be
named so. Names of which no file has such a neighbor pass, since such objects often stand elsewhere; so do those with
a $(…), and objects that each namespace has, such as ServiceAccount default, and pipeline, builder and deployer of OpenShift.
For Tekton's own kinds missing-definition and dangling-reference say the same.`,
	Check: checkRenamedReference,
}

// namedIn are the kinds of objects that fields name: the fields, then the name within it, "" if the
// field is the name itself.
var namedIn = []struct{ field, name, kind string }{
	{"serviceAccountName", "", "ServiceAccount"},
	{"taskServiceAccountName", "", "ServiceAccount"},
	{"secretName", "", "Secret"},
	{"secretRef", "name", "Secret"},
	{"secretKeyRef", "name", "Secret"},
	{"secret", "name", "Secret"},
	{"imagePullSecrets", "name", "Secret"},
	{"secrets", "name", "Secret"},
	{"configMap", "name", "ConfigMap"},
	{"configMapRef", "name", "ConfigMap"},
	{"configMapKeyRef", "name", "ConfigMap"},
	{"persistentVolumeClaim", "claimName", "PersistentVolumeClaim"},
}

func checkRenamedReference(ctx context.Context, p *rule.Pass) {
	for _, key := range rule.SortedKeys(p.Object) {
		if key != "metadata" && key != "status" {
			renamedIn(ctx, p, map[string]any{key: p.Object[key]}, "")
		}
	}
}

// renamedIn walks all fields but the objects that a template creates, which are judged by themselves.
func renamedIn(ctx context.Context, p *rule.Pass, value any, path string) {
	p.Step(1)
	switch v := value.(type) {
	case []any:
		for i, item := range v {
			renamedIn(ctx, p, item, path+"["+strconv.Itoa(i)+"]")
		}
	case map[string]any:
		for _, key := range rule.SortedKeys(v) {
			if key == "resourcetemplates" {
				continue
			}
			below := rule.Join(path, key)
			renamedNames(ctx, p, key, v[key], below)
			renamedIn(ctx, p, v[key], below)
		}
	}
}

// renamedNames judges a field if it names an object, or a list of fields that do.
func renamedNames(ctx context.Context, p *rule.Pass, field string, value any, path string) {
	var r object.Reader
	for _, one := range namedIn {
		if one.field != field {
			continue
		}
		switch v := value.(type) {
		case string:
			if one.name == "" {
				checkRenamed(ctx, p, one.kind, v, path)
			}
		case map[string]any:
			checkRenamed(ctx, p, one.kind, r.Text(v, one.name), path+"."+one.name)
		case []any:
			for i := range v {
				item, _ := v[i].(map[string]any)
				checkRenamed(ctx, p, one.kind, r.Text(item, one.name), fmt.Sprintf("%s[%d].%s", path, i, one.name))
			}
		}
	}
}

// inEachNamespace are objects that controllers of Kubernetes and OpenShift create in each namespace.
var inEachNamespace = map[string][]string{
	"ServiceAccount": {"default", "pipeline", "builder", "deployer"},
	"ConfigMap":      {"kube-root-ca.crt", "openshift-service-ca.crt"},
}

func checkRenamed(ctx context.Context, p *rule.Pass, kind, name, path string) {
	if name == "" || expression.Any(name) {
		return
	}
	own := p.Renamed(schema.GroupKind{Kind: kind}, p.Namespace, name)
	if own == "" || slices.Contains(inEachNamespace[kind], name) {
		return
	}
	if found, err := p.Cluster.Get(ctx, schema.GroupKind{Kind: kind}, p.Namespace, name); err == nil && found != nil {
		return // it is in the cluster
	}
	finding := p.Report(path, "no file has the %s %q, and one of a longer name stands beside this: %s", kind, name,
		p.DidYouMean(own))
	if !p.Files.MayBeKustomized() {
		finding.Severity = rule.Info
	}
}
