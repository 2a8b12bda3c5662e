package server

import (
	"context"
	"errors"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/reload"
)

// Alarm warns, in the log and as an Event on its Secret, about a CA or a certificate that
// is about to expire, and that should have been replaced before.
type Alarm struct {
	Namespace string
	Effect    string // of an expired certificate, such as "no EventListener can ask Tekgate any more"
	Warn      Warn
	Log       logr.Logger

	reminder certs.Reminder
}

// Check warns if a warning is due. The cause, which may be nil, says why the last
// replacement failed.
func (a *Alarm) Check(ctx context.Context, authority *certs.Authority, cause error) {
	w, due := authority.Expiring(&a.reminder, a.Effect, cause)
	if !due {
		return
	}
	a.Log.Info(w.Text)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.Namespace, Name: w.Secret}}
	a.Warn(ctx, secret, "CertificateExpires", "Rotate", reload.OneLine(errors.New(w.Text)))
}
