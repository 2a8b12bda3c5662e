package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/reload"
)

// alarm tells, in the log and as an Event on the CA's Secret, of a CA that is about
// to expire. It should have been replaced years before.
type alarm struct {
	client    client.Client
	namespace string
	log       logr.Logger
	reminder  certs.Reminder
}

// look tells of the CA if it is time to. The cause is why it could not be replaced
// just now, if that is known.
func (a *alarm) look(ctx context.Context, expiry time.Time, cause error) {
	if !a.reminder.Due(expiry, time.Now()) {
		return
	}
	text := fmt.Sprintf("the CA in Secret %s/%s expires at %s, and then no EventListener can ask Tekgate any more; it has not been replaced",
		a.namespace, caSecret, expiry.UTC().Format(time.RFC3339))
	if cause != nil {
		text += ": " + cause.Error()
	}
	a.log.Info(text)
	if err := a.event(ctx, reload.OneLine(errors.New(text))); err != nil && ctx.Err() == nil {
		a.log.Error(err, "a CA that expires is not told of as an Event")
	}
}

func (a *alarm) event(ctx context.Context, text string) error {
	ctx, cancel := context.WithTimeout(ctx, eventTimeout)
	defer cancel()
	now := metav1.Now()
	err := a.client.Create(ctx, &corev1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: a.namespace, GenerateName: caSecret + "."},
		InvolvedObject:      corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: a.namespace, Name: caSecret},
		Type:                corev1.EventTypeWarning,
		Reason:              "CertificateExpires",
		Message:             text,
		Source:              corev1.EventSource{Component: "tekgate-interceptor"},
		ReportingController: "tekgate.dev/interceptor",
		FirstTimestamp:      now, LastTimestamp: now, Count: 1,
	})
	if err != nil {
		return fmt.Errorf("writing an Event on Secret %s/%s: %w", a.namespace, caSecret, err)
	}
	return nil
}
