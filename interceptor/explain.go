package interceptor

import (
	"encoding/json"
	"time"
)

// Capture is a delivery as somebody caught it: at the forge, in a log, or with a
// server of his own.
type Capture struct {
	Header map[string][]string `json:"header"`
	Body   string              `json:"body"`
	URL    string              `json:"url,omitempty"` // path and query
}

// Explanation says why a delivery passes or does not.
type Explanation struct {
	Continue bool   `json:"continue"`
	Reason   string `json:"reason"`            // one of Reasons
	Message  string `json:"message,omitempty"` // what the interceptor answers; "" for a pass
	// Hints are what would make it pass, the likeliest first: each is a sentence
	// that was tried and found true of this delivery.
	Hints []string `json:"hints,omitempty"`
}

// Explain judges a delivery as the server would at the time now, with candidates
// for the values of the Secrets, and looks for the mistake where it is refused.
// The params are a Trigger's; secretRef may be left out. Nothing is sent.
func Explain(config Config, params json.RawMessage, candidates [][]byte, c Capture, now time.Time) Explanation {
	_, err := parseParams(params)
	if err != nil {
		r := asRefusal(err)
		return Explanation{Reason: r.reason, Message: r.message}
	}
	_, _, _, _ = config, candidates, c, now
	return Explanation{Reason: reasonInternal, Message: "nothing is explained yet"}
}
