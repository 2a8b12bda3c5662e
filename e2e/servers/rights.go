package servers

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/manifests"
)

// account is the user name of the admission server's ServiceAccount.
const account = "system:serviceaccount:" + wellknown.TekgateNamespace + ":" + wellknown.Webhook

// Limit gives the admission server the rights of the manifests and no others, and applies
// the policies that limit them further, so that what works here works in a cluster. It
// returns the path of a kubeconfig in dir. The Namespaces in which the rights apply must
// exist.
func Limit(ctx context.Context, on *cluster.Cluster, c client.Client, dir string) (string, error) {
	kinds := []string{"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
	rights, err := ours(func(obj *unstructured.Unstructured) bool {
		return slices.Contains(kinds, obj.GetKind()) && obj.GetName() == wellknown.Webhook ||
			strings.HasPrefix(obj.GetKind(), "ValidatingAdmissionPolicy")
	})
	if err != nil {
		return "", err
	}
	for _, obj := range rights {
		if err := c.Create(ctx, obj); err != nil && !apierrors.IsAlreadyExists(err) {
			return "", fmt.Errorf("creating %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	config, err := clientcmd.LoadFromFile(on.Kubeconfig)
	if err != nil {
		return "", fmt.Errorf("reading the kubeconfig: %w", err)
	}
	for _, user := range config.AuthInfos {
		user.Impersonate = account
	}
	path := filepath.Join(dir, "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		return "", fmt.Errorf("writing the admission server's kubeconfig: %w", err)
	}
	return path, nil
}

// ours returns the objects of the manifests for which wanted returns true.
func ours(wanted func(*unstructured.Unstructured) bool) ([]*unstructured.Unstructured, error) {
	objects, err := manifests.Tekgate()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(objects, func(obj *unstructured.Unstructured) bool { return !wanted(obj) }), nil
}

// Build builds the admission server into dir and returns the path of the program.
func Build(ctx context.Context, dir string) (string, error) {
	program := filepath.Join(dir, "webhook")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", program, "github.com/tekgate/tekgate/cmd/webhook")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the admission server: %w\n%s", err, out)
	}
	return program, nil
}
