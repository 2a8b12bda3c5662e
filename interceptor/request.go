package interceptor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"google.golang.org/grpc/codes"
	"k8s.io/apimachinery/pkg/util/validation"
)

// request is Tekton's InterceptorRequest with two fields kept as they came: the
// params, so that duplicate keys in them are still seen, and the extensions of
// earlier interceptors, which nobody here reads.
type request struct {
	v1beta1.InterceptorRequest
	Params     json.RawMessage `json:"interceptor_params"`
	Extensions json.RawMessage `json:"extensions"`
}

// reserve waits until so much is free of the memory for requests as r may take,
// and returns a function that gives it back. EventListeners pass on whatever the
// internet sends them, and all triggers' events come at once: unbounded, a few
// large ones would end the process for everybody.
func (h *Handler) reserve(r *http.Request) (release func(), err error) {
	weight := max(r.ContentLength, minWeight)
	if r.ContentLength < 0 || weight > h.config.MaxBodyBytes {
		weight = h.config.MaxBodyBytes
	}
	ctx, cancel := context.WithTimeout(r.Context(), reserveTimeout)
	defer cancel()
	if h.memory.Acquire(ctx, weight) != nil {
		return nil, refuse(reasonBusy, codes.Unavailable,
			"the interceptor is busy with other large events: redeliver this one, or run more replicas")
	}
	return func() { h.memory.Release(weight) }, nil
}

// minWeight is what the smallest request counts for, so that their number is
// bounded too: 1024 at once by default.
const minWeight = 32 << 10

// reserveTimeout and secretTimeout together leave some of the ten seconds that an
// EventListener waits for an answer.
const reserveTimeout = 3 * time.Second

// decode reads a request of at most limit bytes.
func decode(w http.ResponseWriter, r *http.Request, limit int64) (*request, error) {
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	raw := bytes.NewBuffer(make([]byte, 0, max(r.ContentLength, 0)+bytes.MinRead))
	_, err := raw.ReadFrom(http.MaxBytesReader(w, r.Body, limit))
	var exceeded *http.MaxBytesError
	if errors.As(err, &exceeded) {
		return nil, tooLarge(limit)
	}
	if err != nil {
		return nil, refuse(reasonRequest, codes.InvalidArgument, "the request broke off before its end: send it again")
	}
	req := &request{}
	if err := json.Unmarshal(raw.Bytes(), req); err != nil {
		return nil, refuse(reasonRequest, codes.InvalidArgument,
			"the request is no InterceptorRequest in JSON: let an EventListener call this server, not the forge itself")
	}
	if req.Context == nil {
		return nil, refuse(reasonTriggerID, codes.InvalidArgument,
			"the request has no context and so names no Trigger: let an EventListener call this server")
	}
	return req, nil
}

func tooLarge(limit int64) error {
	return refuse(reasonTooLarge, codes.InvalidArgument,
		"the event takes more than %d bytes: send smaller ones, or raise interceptor.maxBodyBytes in Tekgate's configuration", limit)
}

// namespaceOf returns the namespace in a trigger id, which is
// namespaces/<namespace>/triggers/<name>, without a name for a trigger that an
// EventListener holds itself, or namespaces/<namespace>/triggerGroups/<name>.
//
// Secrets are read in that namespace, so nothing is accepted that only looks like
// an id: an empty or odd namespace would turn the read into another one.
func namespaceOf(triggerID string) (string, error) {
	parts := strings.Split(triggerID, "/")
	if len(parts) != 4 || parts[0] != "namespaces" {
		return "", badTriggerID(triggerID)
	}
	namespace, kind, name := parts[1], parts[2], parts[3]
	wellFormed := kind == "triggers" || kind == "triggerGroups" && name != ""
	if !wellFormed || len(validation.IsDNS1123Label(namespace)) > 0 || !printable(name) {
		return "", badTriggerID(triggerID)
	}
	return namespace, nil
}

func badTriggerID(id string) error {
	return refuse(reasonTriggerID, codes.InvalidArgument,
		"the trigger id is %s and not namespaces/<namespace>/triggers/<name>: let an EventListener call this server", quote(id))
}

// printable allows more than names of objects, for Tekton does not check what a
// triggerGroup is called.
func printable(name string) bool {
	const longest = 253
	return len(name) <= longest && strings.IndexFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}
