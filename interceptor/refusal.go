package interceptor

import (
	"errors"
	"fmt"
	"strconv"

	"google.golang.org/grpc/codes"
)

// refusal ends a trigger. Tekton's sink looks at nothing but continue, so a ping,
// which starts no build either, is a refusal with code OK.
type refusal struct {
	reason  string // a word for the log, from the list below
	code    codes.Code
	message string // one sentence for the caller: the thing, the reason, the remedy
}

// The reasons are words that a log can be searched for. They stay as they are.
const (
	reasonPing        = "ping"
	reasonFiltered    = "filtered"
	reasonDeleted     = "ref-deleted"
	reasonReplayed    = "replayed"
	reasonPayload     = "payload-unusable"
	reasonBusy        = "busy"
	reasonTooLarge    = "request-too-large"
	reasonRequest     = "request-malformed"
	reasonTriggerID   = "trigger-id-malformed"
	reasonParams      = "params-invalid"
	reasonHeader      = "header-malformed"
	reasonUnsigned    = "unsigned"
	reasonForm        = "form-encoded"
	reasonSecret      = "secret-unusable"
	reasonUnavailable = "secret-unavailable"
	reasonSignature   = "signature-mismatch"
	reasonStale       = "signed-too-long-ago"
	reasonFuture      = "signed-in-the-future"
	reasonInternal    = "internal-error"
)

func (r *refusal) Error() string {
	return r.message
}

func refuse(reason string, code codes.Code, format string, args ...any) error {
	return &refusal{reason: reason, code: code, message: fmt.Sprintf(format, args...)}
}

// asRefusal makes a refusal of every error: what nobody foresaw is refused too.
func asRefusal(err error) *refusal {
	var r *refusal
	if errors.As(err, &r) {
		return r
	}
	return &refusal{
		reason:  reasonInternal,
		code:    codes.Unavailable,
		message: "the interceptor failed on this event; its log says where",
	}
}

// quote makes a caller's word safe to repeat: on one line and short.
func quote(word string) string {
	const longest = 64
	if len(word) > longest {
		word = word[:longest] + "..."
	}
	return strconv.Quote(word)
}
