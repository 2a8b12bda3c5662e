package interceptor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
)

// The values of Config.Callers.
const (
	CallersVerify = "verify"
	CallersTrust  = "trust"
)

// CallerChecker knows which triggers there are. Anybody who reaches this server can post a
// request that names any trigger and any params.
type CallerChecker interface {
	// Check returns nil if the cluster has the trigger, with an interceptor that has these
	// params, and an error that is ErrUnknownCaller if it does not. With any other error, nothing is
	// known. The triggerID has one of the forms that namespaceOf accepts.
	Check(ctx context.Context, triggerID string, params ParamsDigest) error
}

// ErrUnknownCaller says that the cluster has no trigger that asks as the request does.
var ErrUnknownCaller = errors.New("no such caller")

// ParamsDigest identifies the params of a trigger, however they are written.
type ParamsDigest [sha256.Size]byte

// DigestParams returns the digest of params, a JSON object.
func DigestParams(raw []byte) (ParamsDigest, error) {
	params := map[string]any{}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // as written: a float64 would make different numbers equal
	if len(raw) > 0 {
		if err := d.Decode(&params); err != nil {
			return ParamsDigest{}, err
		}
	}
	if params == nil { // of a null
		params = map[string]any{}
	}
	text, err := json.Marshal(params) // with sorted keys
	return sha256.Sum256(text), err
}

var errNoCallers = errors.New("this server cannot look at triggers")

// checkCaller refuses a request that no EventListener of the cluster would send. It comes
// before any Secret is read.
func (c *call) checkCaller(ctx context.Context) error {
	if c.h.config.Callers == CallersTrust {
		return nil
	}
	err := errNoCallers
	if c.h.callers != nil {
		err = c.h.callers.Check(ctx, c.rec.TriggerID, c.p.digest)
	}
	if err == nil {
		return nil
	}
	c.rec.Cause = err
	if errors.Is(err, ErrUnknownCaller) {
		return refusal.New(refusal.Caller, codes.Unauthenticated,
			"namespace %q has no Trigger or EventListener that asks as %s with the params of the request: events come from EventListeners; set interceptor.callers to trust if other programs ask",
			c.namespace, refusal.Quote(c.rec.TriggerID))
	}
	return refusal.New(refusal.NoCaller, codes.Unavailable,
		"the Trigger could not be looked up just now, and nothing is verified for an unknown one: redeliver the event; the interceptor's log has the cause")
}
