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

// SecretGetter reads one Secret. It returns the API server's error as it is, so
// that one that is missing can be told from a server that is away. What it returns
// is shared and must not be changed by anybody.
type SecretGetter interface {
	Get(ctx context.Context, namespace, name string) (*Secret, error)
}

// Secret is what verification needs of a Secret.
type Secret struct {
	Data   map[string][]byte
	Labels map[string]string
	SecretState
}

// SecretState says which state of a Secret was read.
type SecretState struct {
	ResourceVersion string
	Since           time.Time // when its data was last written; zero where nobody knows
}

// SecretKey names one value.
type SecretKey struct {
	Name string `json:"secretName"`
	Key  string `json:"secretKey"`
}

// secretTimeout bounds the read of a Secret; see reserveTimeout.
const secretTimeout = 5 * time.Second

// secret returns the value that ref means in the namespace of the trigger id.
//
// Whatever makes it unusable, the caller reads the same sentence: anybody in the
// cluster can post a request here, and must not learn from it which Secrets and
// keys there are, or how long. The log has the cause.
func (h *Handler) secret(ctx context.Context, namespace string, ref v1beta1.SecretRef, rec *Record) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	got, err := h.secrets.Get(ctx, namespace, ref.SecretName)
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
		rec.Cause = err
		return nil, refuse(reasonUnavailable, codes.Unavailable,
			"the Secret %q in namespace %q could not be read just now: redeliver the event; the interceptor's log has the cause", ref.SecretName, namespace)
	}
	var value []byte
	held := false
	if err == nil {
		value, held = got.Data[ref.SecretKey]
		value, rec.Newline = trimNewline(value)
	}
	switch {
	case err != nil:
		rec.Cause = err
	case !held:
		rec.Cause = fmt.Errorf("the Secret has no such key")
	case len(value) < h.config.MinSecretLength:
		rec.Cause = fmt.Errorf("the value is shorter than interceptor.minSecretLength, %d bytes", h.config.MinSecretLength)
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
