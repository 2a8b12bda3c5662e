package interceptor

import "github.com/tekgate/tekgate/interceptor/refusal"

// Reasons are all values of Record.Reason: passes first, then refusals from the
// outermost check to the innermost.
var Reasons = []string{
	reasonVerified, reasonInsecure,
	refusal.Busy, refusal.TooLarge, refusal.Request, refusal.TriggerID, refusal.Params,
	refusal.Form, refusal.Unsigned, refusal.Header,
	refusal.Secret, refusal.Unavailable, refusal.Signature, refusal.Stale, refusal.Future, refusal.Ping,
	refusal.Replayed,
	refusal.Payload, refusal.Deleted, refusal.Filtered, refusal.Internal,
}
