// Package refusal has the refusals that end a Trigger, and the words for the log that tell them apart.
package refusal

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
)

// Refusal ends a trigger. Tekton's sink looks at nothing but continue, so a ping,
// which starts no build either, is a refusal with code OK.
type Refusal struct {
	Reason  string // a word for the log, from the list below
	Code    codes.Code
	Message string // one sentence: the thing, the reason, the remedy
	// Told is what the caller reads in place of Message, where that would reveal which
	// Secrets there are; "" for Message itself.
	Told string
}

// The reasons are words that a log can be searched for. They stay as they are.
const (
	Ping        = "ping"
	Filtered    = "filtered"
	Deleted     = "ref-deleted"
	Replayed    = "replayed"
	Payload     = "payload-unusable"
	Busy        = "busy"
	TooLarge    = "request-too-large"
	Request     = "request-malformed"
	TriggerID   = "trigger-id-malformed"
	Params      = "params-invalid"
	Header      = "header-malformed"
	Unsigned    = "unsigned"
	Form        = "form-encoded"
	Secret      = "secret-unusable"
	Unavailable = "secret-unavailable"
	Signature   = "signature-mismatch"
	Caller      = "caller-unknown"
	NoCaller    = "caller-unavailable"
	Stale       = "signed-too-long-ago"
	Future      = "signed-in-the-future"
	Internal    = "internal-error"
)

// Error returns the sentence, for the log.
func (r *Refusal) Error() string {
	return r.Message
}

// Answer returns the sentence for the caller.
func (r *Refusal) Answer() string {
	if r.Told != "" {
		return r.Told
	}
	return r.Message
}

// New returns a refusal whose message is a format with arguments.
func New(reason string, code codes.Code, format string, args ...any) error {
	return &Refusal{Reason: reason, Code: code, Message: fmt.Sprintf(format, args...)}
}

// Of makes a refusal of every error: what nobody foresaw is refused too.
func Of(err error) *Refusal {
	var r *Refusal
	if errors.As(err, &r) {
		return r
	}
	return &Refusal{
		Reason:  Internal,
		Code:    codes.Unavailable,
		Message: "the interceptor failed on this event; its log says where",
	}
}

// Quote makes a caller's word safe to repeat: on one line and short.
func Quote(word string) string {
	const longest = 64
	if len(word) > longest {
		word = word[:longest] + "..."
	}
	return strconv.Quote(word)
}
