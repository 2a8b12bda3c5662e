package interceptor

import (
	"mime"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"
)

// headers are a delivery's, under canonical keys. Of the different values of one
// key no more than two are kept: two are enough to refuse, and a million of them
// must not cost anything.
type headers map[string][]string

// canonicalHeaders merges keys that differ in case alone. EventListeners send
// Go's spelling, other callers any.
func canonicalHeaders(in map[string][]string) headers {
	out := make(headers, len(in))
	for key, values := range in {
		canonical := http.CanonicalHeaderKey(key)
		for _, v := range values {
			if has := out[canonical]; len(has) < 2 && !slices.Contains(has, v) {
				out[canonical] = append(has, v)
			}
		}
	}
	return out
}

// value returns a header's one value, or "" where it is missing or empty. Two
// different values are refused: which of them counts would be the sender's choice.
func (h headers) value(name string) (string, error) {
	values := h[http.CanonicalHeaderKey(name)]
	switch len(values) {
	case 0:
		return "", nil
	case 1:
		return values[0], nil
	}
	return "", refuse(reasonHeader, codes.InvalidArgument,
		"header %s came with different values: whatever stands between the forge and the EventListener must not add one", name)
}

// refuseForm refuses a form. EventListeners rewrite forms of several fields to
// JSON, whose bytes nobody signed, and the forges do not agree on what they sign.
func (h headers) refuseForm() error {
	contentType, err := h.value("Content-Type")
	if err != nil {
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
	return refuse(reasonForm, codes.InvalidArgument,
		"the event is a form (%s), whose signed bytes are lost in the EventListener: set the hook's content type to application/json", kind)
}

// eventName allows what forges call their events; it goes into extensions and
// from there perhaps into scripts.
var eventName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (h headers) event(name string, normalise func(string) string) (string, error) {
	raw, err := h.value(name)
	if err != nil || raw == "" {
		return "", err
	}
	event := normalise(raw)
	if !eventName.MatchString(event) {
		return "", refuse(reasonHeader, codes.InvalidArgument,
			"header %s is %s, which is no event's name: only the forge may set it", name, quote(raw))
	}
	return event, nil
}

// quote makes a caller's word safe to repeat: on one line and short.
func quote(word string) string {
	const longest = 64
	if len(word) > longest {
		word = word[:longest] + "..."
	}
	return strconv.Quote(word)
}
