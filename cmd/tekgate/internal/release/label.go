package release

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// labelSecrets decides which label the Secrets of webhooks must have, unless the
// configuration file does. A new installation demands one. An existing one keeps what it
// has, since its Secrets may have no label. It returns notes about the decision.
func (l *Loaded) labelSecrets(ctx context.Context, cluster *installer.Cluster) ([]string, error) {
	if l.config.SaysSecretLabel() {
		return nil, nil
	}
	existing, err := cluster.Get(ctx, live.ConfigMap, live.Tekgate, wellknown.ConfigMap)
	switch {
	case apierrors.IsForbidden(err): // the checks before an install say so
		return nil, nil
	case err != nil:
		return nil, err
	}
	if existing != nil {
		l.config.Interceptor.SecretLabel, _ = config.SecretLabel(
			[]byte(installer.ConfigData(existing)[wellknown.ConfigMapKey]))
		return nil, nil
	}
	l.config.Interceptor.SecretLabel = wellknown.WebhookSecretKey
	return []string{fmt.Sprintf(
		"the Secrets of webhooks need the label %s, as this is a new installation (interceptor.secretLabel): kubectl -n NAMESPACE label secret NAME %[1]s=true",
		wellknown.WebhookSecretKey)}, nil
}
