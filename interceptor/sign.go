package interceptor

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Outgoing is a delivery as a forge has it before it signs.
type Outgoing struct {
	Event string    // in the forge's words or in one spelling; "" is a push
	Body  []byte    // sent as it is
	Time  time.Time // when it is signed
	ID    string    // the delivery's id; "" sends none
}

// Signed is what a forge adds to a delivery.
type Signed struct {
	Header http.Header
	Query  url.Values // for senders that know no other place for a secret; mostly empty
}

// Sign returns what the sender that params describe adds to d, for a hook with
// this secret. The params are a Trigger's; secretRef may be left out. The error is
// a sentence about the params.
func Sign(params json.RawMessage, secret []byte, d Outgoing) (Signed, error) {
	p, from, err := parseParams(params)
	if err != nil {
		return Signed{}, err
	}
	return Signed{}, fmt.Errorf("signing for %s in mode %s is not known yet", from.Name, p.Mode)
}
