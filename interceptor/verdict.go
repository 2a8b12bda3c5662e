package interceptor

import (
	"strconv"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/scan"
)

// The reasons of events that pass are words for the log, as those in package refusal are.
const (
	reasonVerified = "verified"
	reasonInsecure = "unsigned-allowed"
)

// answer is the only place where continue can become true. It is Tekton's
// InterceptorResponse in JSON.
func answer(git *provider.Git, err error) []byte {
	if err == nil && git != nil {
		out := append(make([]byte, 0, answerRoom), `{"extensions":{"git":`...)
		return append(git.AppendJSON(out), `},"continue":true,"status":{}}`...)
	}
	r := refusal.Of(err)
	out := append(make([]byte, 0, answerRoom), `{"continue":false,"status":{"code":`...)
	out = strconv.AppendUint(out, uint64(r.Code), 10)
	out = scan.AppendQuoted(append(out, `,"message":`...), r.Answer())
	return append(out, "}}"...)
}

// answerRoom is more than most answers take.
const answerRoom = 2 << 10
