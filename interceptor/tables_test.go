package interceptor

// Reasons are all values of Record.Reason: passes first, then refusals from the
// outermost check to the innermost.
var Reasons = []string{
	reasonVerified, reasonInsecure,
	reasonBusy, reasonTooLarge, reasonRequest, reasonTriggerID, reasonParams, reasonForm, reasonUnsigned, reasonHeader,
	reasonSecret, reasonUnavailable, reasonSignature, reasonStale, reasonFuture, reasonPing, reasonReplayed,
	reasonPayload, reasonDeleted, reasonFiltered, reasonInternal,
}
