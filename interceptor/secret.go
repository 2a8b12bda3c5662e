package interceptor

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// SecretGetter reads the data of one Secret. It returns the API server's error as
// it is, so that one that is missing can be told from a server that is away.
type SecretGetter interface {
	Get(ctx context.Context, namespace, name string) (map[string][]byte, error)
}

// secretTimeout bounds the read of a Secret; see reserveTimeout.
const secretTimeout = 5 * time.Second

// secret returns the value that ref means in the namespace of the trigger id.
//
// Whatever makes it unusable, the caller reads the same sentence: anybody in the
// cluster can post a request here, and must not learn from it which Secrets and
// keys there are, or how long. The log has the cause.
func (h *Handler) secret(ctx context.Context, namespace string, ref v1beta1.SecretRef, rec *record) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	data, err := h.secrets.Get(ctx, namespace, ref.SecretName)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		rec.cause = err
		return nil, refuse(reasonUnavailable, codes.Unavailable,
			"the Secret %q in namespace %q could not be read just now: redeliver the event; the interceptor's log has the cause", ref.SecretName, namespace)
	}
	value, held := data[ref.SecretKey]
	value, rec.newline = trimNewline(value)
	switch {
	case err != nil:
		rec.cause = err
	case !held:
		rec.cause = fmt.Errorf("the Secret has no such key")
	case len(value) < h.config.MinSecretLength:
		rec.cause = fmt.Errorf("the value is shorter than interceptor.minSecretLength, %d bytes", h.config.MinSecretLength)
	default:
		return value, nil
	}
	return nil, refuse(reasonSecret, codes.FailedPrecondition,
		"the Secret %q with key %q in namespace %q is of no use: it must exist, be readable for the interceptor's ServiceAccount "+
			"and hold at least %d bytes under that key; the interceptor's log says what is wrong",
		ref.SecretName, ref.SecretKey, namespace, h.config.MinSecretLength)
}

// trimNewline takes away exactly one newline at the end, which echo and editors
// add to a file and no forge has in its form. Other white space is kept: it may
// have been meant.
func trimNewline(value []byte) (trimmed []byte, found bool) {
	trimmed, found = bytes.CutSuffix(value, []byte("\n"))
	if found {
		trimmed = bytes.TrimSuffix(trimmed, []byte("\r"))
	}
	return trimmed, found
}
