package provider

import (
	"mime"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
)

// Headers are a delivery's, as they came. EventListeners send Go's spelling of the
// names, other callers any, so names are compared without regard to case.
type Headers []HeaderField

// HeaderField is a header's name and one of its values.
type HeaderField struct{ Name, Value []byte }

// MaxHeaderFields is several times what any forge and what stands before it send.
// Each value is worth a pointer or two here, so a million of them must not be kept.
const MaxHeaderFields = 256

var errManyHeaders = refusal.New(refusal.Header, codes.InvalidArgument,
	"the event has more than %d header values: whatever stands between the forge and the EventListener must not add so many",
	MaxHeaderFields)

// Value returns a header's one value, or "" where it is missing or empty. Two
// different values are refused: which of them counts would be the sender's choice.
func (h Headers) Value(name string) (string, error) {
	if len(h) > MaxHeaderFields {
		return "", errManyHeaders
	}
	var value []byte
	found := false
	for _, f := range h {
		if len(f.Name) != len(name) || !strings.EqualFold(string(f.Name), name) {
			continue
		}
		if found && string(value) != string(f.Value) {
			return "", refusal.New(refusal.Header, codes.InvalidArgument,
				"header %s came with different values: whatever stands between the forge and the EventListener must not add one",
				name)
		}
		value, found = f.Value, true
	}
	return string(value), nil
}

// first returns the first of the named headers that has a value, and its name.
func (h Headers) first(names ...string) (name, value string, err error) {
	for _, name := range names {
		if value, err := h.Value(name); err != nil || value != "" {
			return name, value, err
		}
	}
	return names[0], "", nil
}

// RefuseForm refuses a form. EventListeners rewrite forms of several fields to
// JSON, whose bytes nobody signed, and the forges do not agree on what they sign.
func (h Headers) RefuseForm() error {
	contentType, err := h.Value("Content-Type")
	if err != nil || contentType == "application/json" {
		return err
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	if kind == "" { // parameters that cannot be parsed do not make it less of a form
		kind, _, _ = strings.Cut(strings.ToLower(contentType), ";")
		kind = strings.TrimSpace(kind)
	}
	if kind != "application/x-www-form-urlencoded" && kind != "multipart/form-data" {
		return nil
	}
	return refusal.New(refusal.Form, codes.InvalidArgument,
		"the event is a form (%s), whose signed bytes are lost in the EventListener: set the hook's content type to application/json",
		kind)
}

// event returns the event that the first of the named headers names, in one
// spelling, or "".
func (h Headers) event(normalise func(string) string, names ...string) (string, error) {
	name, raw, err := h.first(names...)
	if err != nil || raw == "" {
		return "", err
	}
	event := normalise(raw)
	if event == "" || words.flaw(event) != "" {
		return "", refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s is %s, which is no event's name: only the forge may set it", name, refusal.Quote(raw))
	}
	return event, nil
}

// asSent is the spelling of forges that have but one.
func asSent(raw string) string { return raw }

// hookless makes one spelling of those that Gitee, GitLab and GitCode use: "Push
// Hook" and "push_hooks" are push.
func hookless(raw string) string {
	event := strings.ReplaceAll(strings.ToLower(raw), " ", "_")
	if cut, found := strings.CutSuffix(strings.TrimSuffix(event, "s"), "_hook"); found {
		return cut
	}
	return event
}

// deliveryID returns the id that the first of the named headers gives a delivery, or "". It
// is nothing to rely on: senders do not sign it. Braces around it, as some write UUIDs, are
// left out, since shells read them.
func (h Headers) deliveryID(names ...string) (string, error) {
	_, id, err := h.first(names...)
	if inner, found := strings.CutPrefix(id, "{"); found {
		id = strings.TrimSuffix(inner, "}")
	}
	if err != nil || ids.flaw(id) != "" {
		return "", err
	}
	return id, nil
}
