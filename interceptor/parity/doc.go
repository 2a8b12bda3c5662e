// Package parity compares the interceptor with Tekton's core interceptors: what each
// says to the same requests, and what it costs.
//
// It holds tests alone, and lies beside the interceptor's own because Tekton's
// server brings four hundred packages along, which a fuzz test of the interceptor
// would compile, too. The requests are in testdata/cases.json, which the
// interceptor's tests write.
package parity
