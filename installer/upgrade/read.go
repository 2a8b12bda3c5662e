package upgrade

import (
	"context"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
)

// FeatureFlags is the name of the ConfigMap with the feature flags of Pipelines.
const FeatureFlags = "feature-flags"

// Facts are what a cluster has.
type Facts struct {
	// Running are the versions that are installed; empty where there are none.
	Running installer.Versions `json:"running"`
	// By is who installed them: Tekgate, another tool, or the name of the field manager.
	By string `json:"by,omitempty"`
	// Earlier is the version of Pipelines that a rollback returns to; "" for none.
	Earlier string `json:"earlier,omitempty"`
	// Server is the version of Kubernetes.
	Server string `json:"server"`
	// Definitions are all definitions of Tekton's groups.
	Definitions []*unstructured.Unstructured `json:"-"`
	// FeatureFlags are those of Pipelines.
	FeatureFlags map[string]string `json:"-"`
}

// Read asks a cluster. It writes nothing.
func Read(ctx context.Context, cluster *installer.Cluster) (Facts, error) {
	facts, err := ReadRunning(ctx, cluster)
	if err != nil {
		return facts, err
	}
	definitions, err := cluster.List(ctx, live.Definition)
	if err != nil {
		return facts, err
	}
	for _, crd := range definitions {
		if strings.HasSuffix(crd.GetName(), ".tekton.dev") {
			facts.Definitions = append(facts.Definitions, crd)
		}
	}
	flags, err := cluster.Get(ctx, live.ConfigMap, live.Pipelines, FeatureFlags)
	if err == nil && flags != nil {
		facts.FeatureFlags = installer.ConfigData(flags)
	}
	return facts, err
}

// ReadRunning asks a cluster what is installed, and by whom.
func ReadRunning(ctx context.Context, cluster *installer.Cluster) (Facts, error) {
	facts := Facts{Server: cluster.Version()}
	inventory, err := installer.ReadInventory(ctx, cluster.Client())
	switch {
	case apierrors.IsForbidden(err): // the Deployments say it
	case err != nil:
		return facts, err
	case inventory != nil:
		facts.Running, facts.By = inventory.Versions, "Tekgate"
		if earlier := inventory.Earlier(); earlier != nil {
			facts.Earlier = earlier.Versions.Pipeline
		}
		return facts, nil
	}
	var found []*unstructured.Unstructured
	for _, name := range []string{"tekton-pipelines-controller", "tekton-triggers-controller"} {
		deployment, err := cluster.Get(ctx, live.Deployment, live.Pipelines, name)
		if err != nil {
			return facts, err
		}
		if deployment != nil {
			found = append(found, deployment)
		}
	}
	facts.Running = installer.InstalledVersions(found)
	if len(found) > 0 {
		facts.By = by(found[0])
	}
	return facts, nil
}

// by returns who applied an object.
func by(obj *unstructured.Unstructured) string {
	if owner, ok := installer.OwnerOf(obj, nil); ok {
		return owner.Name
	}
	for _, entry := range obj.GetManagedFields() {
		if entry.Subresource == "" {
			return strings.TrimSuffix(entry.Manager, "-client-side-apply")
		}
	}
	return ""
}
