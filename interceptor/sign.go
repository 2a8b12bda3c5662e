package interceptor

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/tekgate/tekgate/interceptor/provider"
)

// Sign returns what the sender that params describe adds to d, for a hook with
// this secret. The params are a Trigger's; secretRef may be left out. The error is
// a sentence about the params or the secret.
func Sign(params json.RawMessage, secret []byte, d provider.Outgoing) (provider.Signed, error) {
	p, err := parseParams(withSecretRef(params))
	if err != nil {
		return provider.Signed{}, err
	}
	if d.Event == "" {
		d.Event = "push"
	}
	s := provider.Signed{Header: http.Header{"Content-Type": {"application/json"}}, Query: url.Values{}}
	if err := p.sender.Mode.Sign(&s, &p.sender, secret, d); err != nil {
		return provider.Signed{}, err
	}
	return s, nil
}

// withSecretRef gives params a secretRef where they have none, since outside of a
// cluster there is none to name. Params that are no object stay as they are.
func withSecretRef(params json.RawMessage) json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(params, &fields) != nil || fields == nil || fields["secretRef"] != nil ||
		fields["secretRefs"] != nil {
		return params
	}
	trimmed := strings.TrimSpace(string(params))
	separator := ","
	if len(fields) == 0 {
		separator = ""
	}
	// Not marshalled again: a key that came twice has to come twice.
	return json.RawMessage(strings.TrimSuffix(trimmed, "}") + separator +
		`"secretRef":{"secretName":"given","secretKey":"value"}}`)
}
