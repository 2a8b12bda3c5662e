package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/internal/server"
)

// testExpiring tells of a CA that has five days left, once, and of one that has years
// not at all.
func testExpiring(t *testing.T, c client.Client) {
	events := &server.Events{Client: c, Component: "tekgate-interceptor", Log: logr.Discard()}
	a := &server.Alarm{Namespace: "tekgate", Effect: expiredEffect, Warn: events.Warn, Log: logr.Discard()}
	const name = "expiring-ca"
	at := time.Now()
	authority, err := certs.Load(t.Context(), certs.Options{Client: c, Namespace: "tekgate", Name: name,
		DNSNames: []string{"x"}, Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	a.Check(t.Context(), authority, nil)
	_, expiry := authority.Expiry()
	at = expiry.Add(-5 * 24 * time.Hour)
	for range 3 {
		a.Check(t.Context(), authority, errors.New("a cause\nof two lines"))
	}
	eventually(t, func() error {
		var list corev1.EventList
		if err := c.List(t.Context(), &list, client.InNamespace("tekgate")); err != nil {
			return err
		}
		told := 0
		for _, event := range list.Items {
			if event.Reason == "CertificateExpires" && event.Type == corev1.EventTypeWarning &&
				event.InvolvedObject.Name == name &&
				strings.Contains(event.Message, expiry.UTC().Format("2006-01-02")) &&
				strings.HasSuffix(event.Message, "a cause; of two lines") {
				told++
			}
		}
		if told != 1 {
			return fmt.Errorf("%d Events tell of it", told)
		}
		return nil
	})
}
