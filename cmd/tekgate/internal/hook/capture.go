package hook

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// parseCapture reads a request as it was on the wire, or JSON that holds one.
func parseCapture(text []byte) (*capture, error) {
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		return parseJSONCapture(trimmed)
	}
	head, body, found := cutBlankLine(text)
	if !found {
		return nil, errors.New(
			"reading the request: no empty line ends its headers: give it as it was on the wire, or pass --header-file and --body")
	}
	c := &capture{}
	c.Body = string(body)
	var err error
	c.Header, c.URL, err = parseHeader(head)
	return c, err
}

// cutBlankLine takes headers and body apart, whichever line ends are used. Not a
// byte of the body is changed, since all of them are signed.
func cutBlankLine(text []byte) (head, body []byte, found bool) {
	for at := 0; at < len(text); {
		end := bytes.IndexByte(text[at:], '\n')
		if end < 0 {
			return nil, nil, false
		}
		if len(bytes.TrimSuffix(text[at:at+end], []byte("\r"))) == 0 {
			return text[:at], text[at+end+1:], true
		}
		at += end + 1
	}
	return nil, nil, false
}

// parseHeader reads headers, a line each, after a request line or none. What debug
// output of curl puts before them is taken off.
func parseHeader(text []byte) (header map[string][]string, url string, err error) {
	header = map[string][]string{}
	for n, line := range strings.Split(strings.ReplaceAll(string(text), "\r\n", "\n"), "\n") {
		line = strings.TrimPrefix(line, "> ")
		if strings.TrimSpace(line) == "" {
			continue
		}
		if method, rest, found := strings.Cut(line, " "); n == 0 && found && !strings.Contains(method, ":") {
			url, _, _ = strings.Cut(rest, " ")
			continue
		}
		name, value, found := strings.Cut(line, ":")
		if !found || strings.ContainsAny(name, " \t") {
			return nil, "", fmt.Errorf("reading the headers: line %d is no NAME: VALUE", n+1)
		}
		key := http.CanonicalHeaderKey(name)
		header[key] = append(header[key], strings.TrimSpace(value))
	}
	return header, url, nil
}

// parseJSONCapture reads what an EventListener sends to an interceptor, or less of
// it: header and body are enough.
func parseJSONCapture(text []byte) (*capture, error) {
	var read struct {
		Header  map[string]words `json:"header"`
		Headers map[string]words `json:"headers"`
		Body    *json.RawMessage `json:"body"`
		URL     string           `json:"url"`
		Params  map[string]any   `json:"interceptor_params"`
		Context struct {
			URL string `json:"event_url"`
		} `json:"context"`
	}
	if err := json.Unmarshal(text, &read); err != nil {
		return nil, fmt.Errorf("reading the request as JSON: %w", err)
	}
	if read.Body == nil || len(read.Header)+len(read.Headers) == 0 {
		return nil, errors.New(
			`reading the request as JSON: it has to have "header" and "body"; a body alone cannot be judged, so pass --header-file and --body`)
	}
	c := &capture{params: read.Params}
	// Only a string still is what was sent: of an object the bytes are lost.
	if json.Unmarshal(*read.Body, &c.Body) != nil {
		return nil, errors.New(
			`reading the request as JSON: "body" has to be a string with the body as it was sent, since every byte of it counts`)
	}
	c.Header = map[string][]string{}
	for _, from := range []map[string]words{read.Header, read.Headers} {
		for name, values := range from {
			c.Header[name] = append(c.Header[name], values...)
		}
	}
	if c.URL = read.URL; c.URL == "" {
		c.URL = read.Context.URL
	}
	return c, nil
}

// words is a list of strings, or one.
type words []string

func (w *words) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(w))
}
