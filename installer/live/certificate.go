package live

import (
	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
)

// Issued reports whether cert-manager has issued a Certificate, or else why not, in
// cert-manager's words: the reason why its last attempt failed, if there was one.
func Issued(certificate *certmanager.Certificate) (ready bool, why string) {
	why, failed := "cert-manager has not looked at it: see whether its controller runs", ""
	for _, condition := range certificate.Status.Conditions {
		text := condition.Reason + ": " + condition.Message
		switch {
		case condition.Type == certmanager.CertificateConditionReady && condition.Status == cmmeta.ConditionTrue:
			return true, "" // whatever became of a renewal since
		case condition.Type == certmanager.CertificateConditionReady:
			why = text
		case condition.Type == certmanager.CertificateConditionIssuing && condition.Status == cmmeta.ConditionFalse:
			failed = text
		}
	}
	if failed != "" {
		return false, failed
	}
	return false, why
}
