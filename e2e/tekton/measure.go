package tekton

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ValidationURL is where the API server sends what the webhook is to validate, as the
// live configuration has it.
func (w *Webhook) ValidationURL(ctx context.Context) (string, error) {
	return w.url(ctx, "ValidatingWebhookConfiguration", "validation."+w.Name)
}

// DefaultingURL is where the API server sends what the webhook is to default.
func (w *Webhook) DefaultingURL(ctx context.Context) (string, error) {
	return w.url(ctx, "MutatingWebhookConfiguration", w.Name)
}

func (w *Webhook) url(ctx context.Context, kind, name string) (string, error) {
	configuration := object("admissionregistration.k8s.io/v1", kind, "", name)
	if err := w.client.Get(ctx, client.ObjectKeyFromObject(configuration), configuration); err != nil {
		return "", err
	}
	hooks, _, _ := unstructured.NestedSlice(configuration.Object, "webhooks")
	if len(hooks) == 0 {
		return "", fmt.Errorf("%s has no webhooks", configuration.GetName())
	}
	hook, _ := hooks[0].(map[string]any)
	path, _, _ := unstructured.NestedString(hook, "clientConfig", "service", "path")
	return "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(w.port)) + path, nil
}

// PID is that of the webhook's process.
func (w *Webhook) PID() int { return w.cmd.Process.Pid }
