package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/reload"
)

// alarm tells, in the log and as an Event on the CA's Secret, of a CA that is about
// to expire. It should have been replaced years before.
type alarm struct {
	namespace string
	events    events.EventRecorder
	log       logr.Logger
	reminder  certs.Reminder
}

// look tells of the CA if it is time to. The cause is why it could not be replaced
// just now, if that is known.
func (a *alarm) look(expiry time.Time, cause error) {
	if !a.reminder.Due(expiry, time.Now()) {
		return
	}
	text := fmt.Sprintf("the CA in Secret %s/%s expires at %s, and then the API server cannot call Tekgate any more; it has not been replaced",
		a.namespace, caSecret, expiry.UTC().Format(time.RFC3339))
	if cause != nil {
		text += ": " + cause.Error()
	}
	a.log.Info(text)
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: caSecret}}
	a.events.Eventf(secret, nil, corev1.EventTypeWarning, "CertificateExpires", "Rotate", "%s", reload.OneLine(errors.New(text)))
}
