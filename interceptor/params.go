package interceptor

import (
	"encoding/json"
	"strings"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/strict"
)

// params are what a Trigger gives the interceptor. A new one is a field here; it
// is decoded strictly, for a misspelt check is a check that nobody makes.
type params struct {
	Provider  string            `json:"provider"`
	Mode      string            `json:"mode,omitempty"`
	SecretRef v1beta1.SecretRef `json:"secretRef"`
	MaxAge    *metav1.Duration  `json:"maxAge,omitempty"`
}

// parseParams decodes and checks a Trigger's params.
func parseParams(raw json.RawMessage) (params, Provider, error) {
	var p params
	if len(raw) == 0 {
		raw = json.RawMessage("{}")
	}
	if err := strict.UnmarshalJSON(raw, &p); err != nil {
		return p, Provider{}, refuse(reasonParams, codes.InvalidArgument, "reading the params: %s", oneLine(err))
	}
	from, err := provider(p.Provider)
	if err != nil {
		return p, from, err
	}
	if err := from.checkMode(p.Mode); err != nil {
		return p, from, err
	}
	if err := checkSecretRef(p.SecretRef); err != nil {
		return p, from, err
	}
	return p, from, checkMaxAge(p.MaxAge, from)
}

func checkSecretRef(ref v1beta1.SecretRef) error {
	const how = "give secretRef the secretName and the secretKey of a Secret in the Trigger's namespace"
	switch {
	case ref.SecretName == "" && ref.SecretKey == "":
		return refuse(reasonParams, codes.InvalidArgument, "param secretRef is missing, and nothing passes unverified: %s", how)
	case len(validation.IsDNS1123Subdomain(ref.SecretName)) > 0:
		return refuse(reasonParams, codes.InvalidArgument, "secretRef.secretName is %s, which is no Secret's name: %s", quote(ref.SecretName), how)
	case len(validation.IsConfigMapKey(ref.SecretKey)) > 0:
		return refuse(reasonParams, codes.InvalidArgument, "secretRef.secretKey is %s, which is no Secret's key: %s", quote(ref.SecretKey), how)
	}
	return nil
}

func checkMaxAge(d *metav1.Duration, from Provider) error {
	switch {
	case d == nil:
		return nil
	case !from.SignsTime:
		return refuse(reasonParams, codes.InvalidArgument,
			"param maxAge cannot be checked for provider %s, whose signature holds no time: remove it", from.Name)
	case d.Milliseconds() <= 0:
		return refuse(reasonParams, codes.InvalidArgument, "param maxAge is %s: give a duration above zero, such as 1h", d.Duration)
	}
	return nil
}

func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}
