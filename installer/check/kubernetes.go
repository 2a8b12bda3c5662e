package check

import (
	"context"
	"fmt"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/kube"
)

var kubernetesChecks = []Check{
	{
		ID: "api-server", Category: "kubernetes-api", Title: "the API server answers", Fatal: true, Retry: true,
		Doc: "Everything else is asked of the API server.\n\n" +
			"Compare --kubeconfig and --context with what `kubectl cluster-info` uses, and see whether a proxy or a VPN stands between.",
		run: apiServer,
	},
	{
		ID: "kubernetes-version", Category: "kubernetes-version",
		Title: "Kubernetes is new enough for the Tekton that is installed",
		Fatal: true, Needs: "api-server",
		Doc: "Tekton's programs refuse to start on a Kubernetes older than the one they were made for. Each says which in its variable KUBERNETES_MIN_VERSION.\n\n" +
			"Upgrade Kubernetes, or install the newest Tekton that runs on this one with `tekgate install --pipeline-manifest FILE --triggers-manifest FILE`.",
		run: kubernetesVersion,
	},
	{
		ID: "read-access", Category: "permissions",
		Title: "you may read what is checked",
		Fatal: true, Needs: "api-server",
		Doc: "A check that may not read an object cannot tell whether it is there. Reading suffices; of Secrets, only those in the namespace tekgate are read, and only their certificates are looked at.\n\n" +
			"Run the checks as a user who is bound to a ClusterRole with the verbs that the message names.",
		run: readAccess,
	},
}

func apiServer(_ context.Context, s *state) error {
	_, err := s.Version()
	return err
}

func kubernetesVersion(ctx context.Context, s *state) error {
	info, err := s.Version()
	if err != nil {
		return err
	}
	server, err := semver.NewVersion(info.GitVersion)
	if err != nil {
		return fmt.Errorf("the server says that it is %q, which is no version", info.GitVersion)
	}
	deployments, err := s.In(ctx, live.Deployment, live.Pipelines, live.Resolvers)
	if err != nil {
		return err
	}
	var found problems
	asked := false
	for _, d := range deployments {
		minimum := minimumVersion(d)
		if minimum == nil {
			continue
		}
		asked = true
		if belowMinimum(server, minimum) {
			found.add("%s needs Kubernetes %s or newer; this is %s", kube.Name(d), minimum.Original(), info.GitVersion)
		}
	}
	if !asked {
		return skip("no Deployment of Tekton says which Kubernetes it needs")
	}
	return found.err()
}

// belowMinimum compares without pre-release and build, which vendors use for
// their own numbers.
func belowMinimum(server, minimum *semver.Version) bool {
	plain := semver.New(server.Major(), server.Minor(), server.Patch(), "", "")
	return plain.LessThan(minimum)
}

// minimumVersion returns what a Deployment says it needs; nil where it does not.
func minimumVersion(deployment *unstructured.Unstructured) *semver.Version {
	for _, container := range live.Containers(deployment) {
		for _, env := range live.Maps(container, "env") {
			value, _ := env["value"].(string)
			if env["name"] != "KUBERNETES_MIN_VERSION" {
				continue
			}
			if v, err := semver.NewVersion(value); err == nil {
				return v
			}
		}
	}
	return nil
}

// needed is what the checks read.
var needed = []struct{ verb, group, resource, namespace string }{
	{"list", "apps", "deployments", ""},
	{"list", "", "pods", live.Pipelines},
	{"get", "", "secrets", live.Tekgate},
	{"get", "", "configmaps", live.Tekgate},
	{"get", "apiextensions.k8s.io", "customresourcedefinitions", ""},
	{"list", "admissionregistration.k8s.io", "mutatingwebhookconfigurations", ""},
	{"list", "admissionregistration.k8s.io", "validatingwebhookconfigurations", ""},
	{"list", "triggers.tekton.dev", "clusterinterceptors", ""},
	{"create", "tekton.dev", "taskruns", live.ProbeNamespace},
}

func readAccess(ctx context.Context, s *state) error {
	var found problems
	for _, n := range needed {
		attributes := map[string]any{"verb": n.verb, "group": n.group, "resource": n.resource}
		where := "in all namespaces"
		if n.namespace != "" {
			attributes["namespace"] = n.namespace
			where = "in namespace " + n.namespace
		}
		review := &unstructured.Unstructured{
			Object: map[string]any{"spec": map[string]any{"resourceAttributes": attributes}},
		}
		review.SetGroupVersionKind(
			schema.GroupVersionKind{Group: "authorization.k8s.io", Version: "v1", Kind: "SelfSubjectAccessReview"},
		)
		if err := s.Try(ctx, review); err != nil {
			return fmt.Errorf("asking whether you may %s %s: %w", n.verb, n.resource, err)
		}
		if allowed, _, _ := unstructured.NestedBool(review.Object, "status", "allowed"); !allowed {
			found.add("you may not %s %s %s", n.verb, schema.GroupResource{Group: n.group, Resource: n.resource}, where)
		}
	}
	return found.err()
}
