package main

import (
	"errors"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/reload"
)

// alarm tells, in the log and as an Event on its Secret, of a CA that is about to
// expire, or of a certificate of cert-manager's. It should have been replaced before.
type alarm struct {
	namespace string
	events    events.EventRecorder
	log       logr.Logger
	reminder  certs.Reminder
}

// look tells of the certificate if it is time to. The cause is why it could not be
// replaced just now, if that is known.
func (a *alarm) look(authority *certs.Authority, cause error) {
	w, due := authority.Expiring(&a.reminder, "the API server cannot call Tekgate any more", cause)
	if !due {
		return
	}
	a.log.Info(w.Text)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: w.Secret}}
	a.events.Eventf(secret, nil, corev1.EventTypeWarning, "CertificateExpires", "Rotate", "%s", reload.OneLine(errors.New(w.Text)))
}
