package interceptor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
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

// readSecret is SecretGetter's Get, or the like.
type readSecret func(ctx context.Context, namespace, name string) (*Secret, error)

// secretTimeout bounds the reads of a Trigger and all of its Secrets; see budgetTimeout.
const secretTimeout = 5 * time.Second

// secret returns the value that ref means in the namespace of the trigger id, for a sender
// that signs in a mode.
//
// Whatever makes it unusable, the caller reads the same sentence, see unverified. The
// log has the cause.
func (h *Handler) secret(ctx context.Context, read readSecret, namespace string, ref SecretKey,
	mode provider.Mode, rec *Record) ([]byte, SecretState, error) {
	got, err := read(ctx, namespace, ref.Name)
	if err != nil {
		rec.Cause = err
		if !apierrors.IsNotFound(err) && !apierrors.IsForbidden(err) {
			return nil, SecretState{}, refusal.New(refusal.Unavailable, codes.Unavailable,
				"the Secret %q in namespace %q could not be read just now: redeliver the event; the interceptor's log has the cause",
				ref.Name, namespace)
		}
		return nil, SecretState{}, h.useless(namespace, ref)
	}
	value, newline := trimNewline(got.Data[ref.Key])
	rec.Newline = newline
	if problem := h.config.problem(got, ref.Key, mode.KeyLength(value)); problem != nil {
		rec.Cause = problem
		return nil, SecretState{}, h.useless(namespace, ref)
	}
	return value, got.SecretState, nil
}

func (h *Handler) useless(namespace string, ref SecretKey) error {
	label := ""
	if h.config.SecretLabel != "" {
		label = "have the label " + h.config.SecretLabel + ", "
	}
	return refusal.New(refusal.Secret, codes.FailedPrecondition,
		"the Secret %q with key %q in namespace %q is of no use: it must exist, be readable for the interceptor's ServiceAccount, %s"+
			"and hold at least %d bytes under that key; the interceptor's log says what is wrong",
		ref.Name, ref.Key, namespace, label, h.config.MinSecretLength)
}

// problem says why a Secret that was read is of no use. length is that of the signing key.
func (c Config) problem(s *Secret, key string, length int) error {
	name, want, exact := strings.Cut(c.SecretLabel, "=")
	has, labelled := s.Labels[name]
	_, held := s.Data[key]
	switch {
	case c.SecretLabel != "" && (!labelled || exact && has != want):
		return fmt.Errorf("the Secret lacks the label %s, which interceptor.secretLabel demands", c.SecretLabel)
	case !held:
		return errors.New("the Secret has no such key")
	case length < max(1, c.MinSecretLength):
		return fmt.Errorf("the value, or the key that it stands for, is shorter than interceptor.minSecretLength, %d bytes", c.MinSecretLength)
	}
	return nil
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
