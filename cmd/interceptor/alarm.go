package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/reload"
)

// alarm tells, in the log and as an Event on its Secret, of a CA that is about to
// expire, or of a certificate of cert-manager's. It should have been replaced before.
type alarm struct {
	client    client.Client
	namespace string
	log       logr.Logger
	reminder  certs.Reminder
}

// look tells of the certificate if it is time to. The cause is why it could not be
// replaced just now, if that is known.
func (a *alarm) look(ctx context.Context, authority *certs.Authority, cause error) {
	w, due := authority.Expiring(&a.reminder, "no EventListener can ask Tekgate any more", cause)
	if !due {
		return
	}
	a.log.Info(w.Text)
	if err := a.event(ctx, w.Secret, reload.OneLine(errors.New(w.Text))); err != nil && ctx.Err() == nil {
		a.log.Error(err, "a certificate that expires is not told of as an Event")
	}
}

func (a *alarm) event(ctx context.Context, secret, text string) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	now := metav1.Now()
	err := a.client.Create(ctx, &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: a.namespace, GenerateName: secret + "."},
		InvolvedObject:      corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: a.namespace, Name: secret},
		Type:                corev1.EventTypeWarning,
		Reason:              "CertificateExpires",
		Message:             text,
		Source:              corev1.EventSource{Component: "tekgate-interceptor"},
		ReportingController: "tekgate.dev/interceptor",
		FirstTimestamp:      now, LastTimestamp: now, Count: 1,
	})
	if err != nil {
		return fmt.Errorf("writing an Event on Secret %s/%s: %w", a.namespace, secret, err)
	}
	return nil
}
