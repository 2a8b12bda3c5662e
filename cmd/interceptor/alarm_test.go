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
)

// testExpiring tells of a CA of five days, once, and of one of years not at all.
func testExpiring(t *testing.T, c client.Client) {
	a := &alarm{client: c, namespace: "tekgate", log: logr.Discard()}
	expiry := time.Now().Add(5 * 24 * time.Hour)
	a.look(t.Context(), time.Now().Add(3650*24*time.Hour), nil)
	for range 3 {
		a.look(t.Context(), expiry, errors.New("a cause\nof two lines"))
	}
	eventually(t, func() error {
		var list corev1.EventList
		if err := c.List(t.Context(), &list, client.InNamespace("tekgate")); err != nil {
			return err
		}
		told := 0
		for _, event := range list.Items {
			if event.Reason == "CertificateExpires" && event.Type == corev1.EventTypeWarning && event.InvolvedObject.Name == caSecret &&
				strings.Contains(event.Message, expiry.UTC().Format("2006-01-02")) && strings.HasSuffix(event.Message, "a cause; of two lines") {
				told++
			}
		}
		if told != 1 {
			return fmt.Errorf("%d Events tell of it", told)
		}
		return nil
	})
}
