package check_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/certs"
	"github.com/tekgate/tekgate/manifests"
)

// TestIssuedByCertManager asks about an installation whose certificates come from a
// real cert-manager: before it can issue, after, and when it should have renewed.
func TestIssuedByCertManager(t *testing.T) {
	c := cluster.StartEmpty(t)
	certmanager.Start(t, c)
	w := newWorldOn(t, c)
	w.check(w.client.Create(w.context, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: live.Pipelines}}))
	own, err := manifests.Tekgate()
	w.check(err)
	requests, err := manifests.Certificates()
	w.check(err)
	objects, err := manifest.UseCertManager(own, requests, nil, "")
	w.check(err)
	var issuers []*unstructured.Unstructured
	for _, obj := range objects {
		if obj.GetKind() == "Issuer" {
			issuers = append(issuers, obj)
			continue
		}
		w.check(w.client.Apply(w.context, client.ApplyConfigurationFromUnstructured(obj), client.FieldOwner("tekgate")))
	}
	w.eventually("cert-manager says what it lacks", func() error {
		results, _ := w.run()
		return outcome(
			results["certificates-issued"],
			check.Error,
			"Certificate/tekgate/tekgate-webhook-tls is not ready: DoesNotExist: ",
			"Secret/tekgate/tekgate-webhook-tls does not exist",
			"Certificate/tekgate/tekgate-interceptor-tls",
		)
	})
	for _, issuer := range issuers {
		w.check(
			w.client.Apply(w.context, client.ApplyConfigurationFromUnstructured(issuer), client.FieldOwner("tekgate")),
		)
	}
	w.eventually("cert-manager has issued", func() error {
		results, _ := w.run()
		return outcome(results["certificates-issued"], check.Success)
	})
	results, _ := w.run()
	w.check(outcome(results["ca-secrets"], check.Skipped))
	w.check(outcome(results["ca-bundles"], check.Error, "its caBundle is empty"))
	w.testBundles()
	w.testLate()
}

// testBundles publishes a wrong bundle and the right one.
func (w *world) testBundles() {
	stranger, err := base64.StdEncoding.DecodeString(stranger)
	w.check(err)
	right := w.data("tekgate-webhook-tls", "ca.crt")
	bundles := map[check.Status][]byte{check.Error: stranger, check.Success: append(stranger, right...)}
	for want, bundle := range bundles {
		_, err = certs.InjectMutating(w.context, w.client, "mutate.tekgate.dev", bundle)
		w.check(err)
		_, err = certs.InjectValidating(w.context, w.client, "validate.tekgate.dev", bundle)
		w.check(err)
		results, _ := w.run()
		if want == check.Success {
			w.check(outcome(results["ca-bundles"], want))
			w.check(outcome(results["ca-expiry"], want))
			continue
		}
		w.check(
			outcome(
				results["ca-bundles"],
				want,
				"webhook taskruns.mutate.tekgate.dev: its caBundle does not vouch for the certificate in Secret tekgate/tekgate-webhook-tls",
			),
		)
	}
}

// testLate asks when eighty days have passed without a renewal, and when a hundred have.
func (w *world) testLate() {
	for days, want := range map[int]map[string]string{
		80:  {"ca-expiry": "Secret/tekgate/tekgate-webhook-tls: the certificate expires at "},
		100: {"certificates-issued": "Secret/tekgate/tekgate-webhook-tls: its certificate expired at "},
	} {
		results := map[string]check.Result{}
		options := check.Options{
			Now:   time.Now().Add(time.Duration(days) * 24 * time.Hour),
			Parse: func([]byte) (*check.Configuration, error) { return &check.Configuration{}, nil },
		}
		check.Run(w.context, w.looks, options, func(r check.Result) { results[r.Check.ID] = r })
		for id, text := range want {
			if !strings.Contains(strings.Join(results[id].Problems, "\n"), text) {
				w.t.Errorf("after %d days %s says %q", days, id, results[id].Problems)
			}
		}
	}
}

func (w *world) data(secret, key string) []byte {
	encoded, _, _ := unstructured.NestedString(w.get(live.Secret, live.Tekgate, secret).Object, "data", key)
	text, err := base64.StdEncoding.DecodeString(encoded)
	w.check(err)
	return text
}

// outcome fails unless a check ended so, and said all that is wanted.
func outcome(r check.Result, status check.Status, want ...string) error {
	said := strings.Join(r.Problems, "\n")
	for _, part := range want {
		if !strings.Contains(said, part) {
			return &unexpected{r, part}
		}
	}
	if r.Status != status {
		return &unexpected{r, string(status)}
	}
	return nil
}

type unexpected struct {
	result check.Result
	want   string
}

func (u *unexpected) Error() string {
	return u.result.Check.ID + " ends with " + string(
		u.result.Status,
	) + " and says:\n" + strings.Join(
		u.result.Problems,
		"\n",
	) + "\nwant " + u.want
}
