package interceptor_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/interceptor"
)

// caught returns a signed delivery as somebody catches it.
func caught(t testing.TB, params, key, body string) interceptor.Capture {
	t.Helper()
	s, err := interceptor.Sign(json.RawMessage(params), []byte(key), outgoing("push", body))
	if err != nil {
		t.Fatal(err)
	}
	c := interceptor.Capture{Header: s.Header, Body: body}
	if len(s.Query) > 0 {
		c.URL = "/?" + s.Query.Encode()
	}
	return c
}

const (
	forGitHub   = `{"provider":"github"}`
	forGitee    = `{"provider":"gitee","mode":"sign"}`
	forPassword = `{"provider":"gitee","mode":"password"}`
	forGitea    = `{"provider":"gitea"}`
	forSigning  = `{"provider":"gitlab","mode":"signing-token"}`
)

// explainCase is a delivery with one mistake, or none, and what is found.
type explainCase struct {
	name, params, key string
	sent              interceptor.Capture
	late              int64 // milliseconds after the signing
	reason            string
	hint              string // part of the first hint; "" for none
}

func explainCases(t testing.TB) []explainCase {
	t.Helper()
	compact := `{"a":"<é>","b":[1,2,{"c":"x/y"}]}`
	indented := "{\n  \"a\": \"<é>\",\n  \"b\": [\n    1,\n    2,\n    {\n      \"c\": \"x/y\"\n    }\n  ]\n}"
	with := func(c interceptor.Capture, edit func(c *interceptor.Capture)) interceptor.Capture {
		edit(&c)
		return c
	}
	set := func(name string, value func(string) string) func(*interceptor.Capture) {
		return func(c *interceptor.Capture) {
			name := http.CanonicalHeaderKey(name)
			c.Header[name] = []string{value(c.Header[name][0])}
		}
	}
	hour := int64(time.Hour / time.Millisecond)
	return []explainCase{
		{"right", forGitHub, secret, caught(t, forGitHub, secret, compact), 0, "verified", ""},
		{"right with a newline", forGitHub, secret + "\n", caught(t, forGitHub, secret, compact), 0, "verified",
			"ends with a newline"},
		{"two newlines", forGitHub, secret + "\n\n", caught(t, forGitHub, secret, compact), 0, "signature-mismatch",
			"has blanks or newlines around it"},
		{"newline at the forge", forGitHub, secret, caught(t, forGitHub, secret+"\n", compact), 0, "signature-mismatch",
			"the hook's secret has a newline at its end"},
		{"quotes", forGitHub, `"` + secret + `"`, caught(t, forGitHub, secret, compact), 0, "signature-mismatch",
			"quotes around it"},
		{"encoded twice", forGitHub, base64.StdEncoding.EncodeToString([]byte(secret)),
			caught(t, forGitHub, secret, compact), 0, "signature-mismatch", "encoded twice"},
		{"copied from data", forGitHub, secret, caught(t, forGitHub, base64.StdEncoding.EncodeToString([]byte(secret)),
			compact), 0, "signature-mismatch", "kubectl get secret -o yaml"},
		{"another secret", forGitHub, "another one entirely", caught(t, forGitHub, secret, compact), 0,
			"signature-mismatch", "another secret"},
		{"body indented on the way", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) { c.Body = indented }), 0, "signature-mismatch", "parsed and written again"},
		{"body compacted on the way", forGitHub, secret, with(caught(t, forGitHub, secret, indented),
			func(c *interceptor.Capture) { c.Body = compact }), 0, "signature-mismatch", "parsed and written again"},
		{"body as Python writes it", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) {
				c.Body = `{"a": "<\u00e9>", "b": [1, 2, {"c": "x/y"}]}`
			}), 0, "signature-mismatch", "parsed and written again"},
		{"body as Go writes it", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) {
				c.Body = `{"a":"\u003cé\u003e","b":[1,2,{"c":"x/y"}]}`
			}), 0, "signature-mismatch", "parsed and written again"},
		{"body as PHP writes it", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) {
				c.Body = `{"a":"<\u00e9>","b":[1,2,{"c":"x\/y"}]}`
			}), 0, "signature-mismatch", "parsed and written again"},
		{"body lost its newline", forGitHub, secret, with(caught(t, forGitHub, secret, compact+"\n"),
			func(c *interceptor.Capture) { c.Body = compact }), 0, "signature-mismatch", "which was lost on the way"},
		{"body got a newline", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) { c.Body += "\n" }), 0, "signature-mismatch", "which was added on the way"},
		{"line ends", forGitHub, secret, with(caught(t, forGitHub, secret, "{\r\n}"),
			func(c *interceptor.Capture) { c.Body = "{\n}" }), 0, "signature-mismatch",
			"CRLF line ends, which became LF"},
		{"byte order mark", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) { c.Body = "\ufeff" + compact }), 0, "signature-mismatch", "byte order mark"},
		{"form at GitHub", forGitHub, secret, with(caught(t, forGitHub, secret, "payload="+url.QueryEscape(compact)),
			func(c *interceptor.Capture) { c.Body = compact }), 0, "signature-mismatch", "over a form"},
		{"form at Gitea", forGitea, secret, with(caught(t, forGitea, secret, compact), func(c *interceptor.Capture) {
			c.Body = "payload=" + url.QueryEscape(compact)
			c.Header["Content-Type"] = []string{"application/x-www-form-urlencoded"}
		}), 0, "form-encoded", "over the JSON inside the form"},
		{"GitHub's header at gitea", forGitea, secret, caught(t, forGitHub, secret, compact), 0, "unsigned",
			"right for provider github, and param provider is gitea: set it to github and mode to sha256"},
		{"Gitea's header at gitee", forGitee, secret, caught(t, forGitea, secret, compact), 0, "unsigned",
			"and param provider is gitee"},
		{"GitHub's header at gitea, and another secret", forGitea, "another one entirely",
			caught(t, forGitHub, secret, compact), 0, "unsigned", "has the headers of provider github"},
		{"Bitbucket at github", forGitHub, secret, caught(t, `{"provider":"bitbucket"}`, secret, compact), 0,
			"header-malformed", "right for provider bitbucket"},
		{"sha1 alone", forGitHub, secret, caught(t, `{"provider":"github","mode":"sha1"}`, secret, compact), 0,
			"header-malformed", "right for mode sha1, and param mode is sha256"},
		{"password in mode sign", forGitee, secret, caught(t, forPassword, secret, compact), 0, "header-malformed",
			"right for mode password, and param mode is sign"},
		{"signature in mode password", forPassword, secret, caught(t, forGitee, secret, compact), 0,
			"signature-mismatch", "right for mode sign, and param mode is password"},
		{"double base64", forGitee, secret, with(caught(t, forGitee, secret, compact),
			set("X-Gitee-Token", func(v string) string {
				return base64.StdEncoding.EncodeToString([]byte(v))
			})), 0, "header-malformed", "holds a double base64 of HMAC-SHA256 over the time, a newline and the secret"},
		{"hexadecimal", forGitee, secret, with(caught(t, forGitee, secret, compact),
			set("X-Gitee-Token", func(v string) string {
				b, _ := base64.StdEncoding.DecodeString(v)
				return fmt.Sprintf("%x", b)
			})), 0, "header-malformed", "holds the hexadecimal of HMAC-SHA256"},
		{"URL-encoded", forGitee, secret, with(caught(t, forGitee, secret, compact),
			set("X-Gitee-Token", url.QueryEscape)), 0, "header-malformed", "the URL-encoded form of the base64"},
		{"over the body", forGitee, secret, with(caught(t, forGitee, secret, compact), func(c *interceptor.Capture) {
			signature := caught(t, `{"provider":"generic","mode":"hmac","header":"X-S","encoding":"base64"}`, secret,
				compact).Header["X-S"]
			c.Header["X-Gitee-Token"] = signature
		}), 0, "signature-mismatch", "the base64 of HMAC-SHA256 over the body"},
		{"two hours late", forGitee, secret, caught(t, forGitee, secret, compact), 2 * hour, "signed-too-long-ago",
			"is 2 h behind this clock, nearly to the minute: the clock is 2 h off"},
		{"eight hours early", forGitee, secret, caught(t, forGitee, secret, compact), -8 * hour, "signed-in-the-future",
			"the clock is 8 h off"},
		{"a day late", forGitee, secret, caught(t, forGitee, secret, compact), 24 * hour, "signed-too-long-ago",
			"an old one"},
		{"half an hour early", forGitee, secret, caught(t, forGitee, secret, compact), -hour / 2,
			"signed-in-the-future", "30m0s ahead of this clock"},
		{"signing token late", forSigning, standardKey, caught(t, forSigning, standardKey, compact), 2 * hour,
			"signed-too-long-ago", "2 h off"},
		{"signing token without its prefix", forSigning, strings.TrimPrefix(standardKey, "whsec_"),
			caught(t, forSigning, standardKey, compact), 0, "verified", ""},
		{"no signing token", forSigning, "not base64!", caught(t, forSigning, standardKey, compact), 0,
			"secret-unusable", ""},
		{"filtered", `{"provider":"github","branches":["main"]}`, secret, caught(t, forGitHub, secret,
			`{"ref":"refs/heads/other"}`), 0, "filtered", ""},
		{"bad params", `{"provider":"githup"}`, secret, caught(t, forGitHub, secret, compact), 0, "params-invalid", ""},
		{"no params", `null`, secret, caught(t, forGitHub, secret, compact), 0, "params-invalid", ""},
		{"query", `{"provider":"generic","mode":"token","query":"token"}`, secret,
			caught(t, `{"provider":"generic","mode":"token","query":"token"}`, secret, compact), 0, "verified", ""},
		{"empty body", forGitHub, secret, caught(t, forGitHub, secret, ""), 0, "verified", ""},
		{"body lost", forGitHub, secret, with(caught(t, forGitHub, secret, compact),
			func(c *interceptor.Capture) { c.Body = "" }), 0, "signature-mismatch", "another secret"},
	}
}

// TestExplain makes one mistake at a time, and expects it to be found.
func TestExplain(t *testing.T) {
	for _, tt := range explainCases(t) {
		t.Run(tt.name, func(t *testing.T) {
			got := interceptor.Explain(interceptor.Default(), json.RawMessage(tt.params), [][]byte{[]byte(tt.key)},
				tt.sent, time.UnixMilli(signedAt+tt.late))
			if got.Reason != tt.reason || got.Continue != (tt.reason == "verified") || !got.Continue &&
				got.Message == "" {
				t.Fatalf("got %+v, want reason %s", got, tt.reason)
			}
			first := ""
			if len(got.Hints) > 0 {
				first = got.Hints[0]
			}
			if (first == "") != (tt.hint == "") || !strings.Contains(first, tt.hint) {
				t.Errorf("got hints %q, want %q", got.Hints, tt.hint)
			}
			for _, hint := range append(got.Hints, got.Message) {
				if strings.Contains(hint, secret) || strings.Contains(hint, standardKey) ||
					strings.Contains(hint, "another one entirely") {
					t.Errorf("%q holds the secret", hint)
				}
			}
		})
	}
}

// explainOne explains a delivery with one secret at the time of its signing.
func explainOne(params, key string, sent interceptor.Capture) interceptor.Explanation {
	return interceptor.Explain(interceptor.Default(), json.RawMessage(params), [][]byte{[]byte(key)}, sent,
		time.UnixMilli(signedAt))
}

// TestExplainSaysItOnce holds that a token that was encoded twice has one hint, and that no
// hint names the mode that is set.
func TestExplainSaysItOnce(t *testing.T) {
	for _, params := range []string{`{"provider":"gitlab","mode":"token"}`, forPassword,
		`{"provider":"gitcode","mode":"token"}`} {
		got := explainOne(params, base64.StdEncoding.EncodeToString([]byte(secret)), caught(t, params, secret, "{}"))
		if len(got.Hints) != 1 || !strings.Contains(got.Hints[0], "encoded twice") {
			t.Errorf("%s: got %q", params, got.Hints)
		}
	}
	got := explainOne(`{"provider":"gitlab","mode":"token"}`, secret, interceptor.Capture{Body: "{}",
		Header: map[string][]string{"X-Other-Token": {secret}}})
	if len(got.Hints) != 1 || strings.Contains(got.Hints[0], "set param mode accordingly") {
		t.Errorf("a token in another header: got %q", got.Hints)
	}
}

// TestExplainGitea holds that Gitea's deliveries, which have GitHub's signature, too, are taken
// for Gitea's.
func TestExplainGitea(t *testing.T) {
	sent := caught(t, forGitea, secret, `{"ref":"refs/heads/main"}`)
	for params, reason := range map[string]string{forGitee: "unsigned", `{"provider":"bitbucket"}`: "unsigned",
		forGitHub: "verified", `{"provider":"github","branches":["x"]}`: "filtered"} {
		got := explainOne(params, secret, sent)
		if got.Reason != reason || len(got.Hints) == 0 || !strings.Contains(got.Hints[0], "gitea") {
			t.Errorf("%s: got %+v", params, got)
		}
	}
	if got := explainOne(forGitea, secret, sent); len(got.Hints) > 0 {
		t.Errorf("the right provider: got %q", got.Hints)
	}
	bare := interceptor.Capture{Body: "{}", Header: map[string][]string{"X-Gogs-Event": {"push"}}}
	if got := explainOne(forGitea, secret, bare); !strings.Contains(got.Message, "X-Gogs-Signature") ||
		strings.Contains(got.Message, "Gitea") {
		t.Errorf("Gogs without a secret: got %s", got.Message)
	}
}

// TestExplainInventsNoNames holds that sentences about secrets that were given name no Secret.
func TestExplainInventsNoNames(t *testing.T) {
	sent := caught(t, forGitHub, secret, "{}")
	for name, keys := range map[string][][]byte{
		"one": {[]byte("another")}, "two": {[]byte("another"), []byte("third one")}, "short": {[]byte("x")},
	} {
		got := interceptor.Explain(interceptor.Default(), json.RawMessage(forGitHub), keys, sent,
			time.UnixMilli(signedAt))
		if got.Continue || strings.Contains(got.Message, "given-") || strings.Contains(got.Message, `"given"`) ||
			!strings.Contains(got.Message, "given") {
			t.Errorf("%s: got %s", name, got.Message)
		}
	}
}

// TestExplainRelays changes a body as smee's client does, whose headers then tell it from
// another secret.
func TestExplainRelays(t *testing.T) {
	sent := caught(t, forGitHub, secret, `{"b":1.0,"10":1e3,"2":"\u003c"}`)
	sent.Body = `{"2":"<","10":1000,"b":1}`
	if got := explainOne(forGitHub, secret, sent); len(got.Hints) != 1 ||
		!strings.Contains(got.Hints[0], "another secret") {
		t.Errorf("nothing tells of a relay: got %q", got.Hints)
	}
	for name, value := range map[string]string{"sec-fetch-mode": "cors", "timestamp": "1754049600123",
		"User-Agent": "node-fetch/1.0"} {
		sent.Header = maps.Clone(sent.Header)
		sent.Header[name] = []string{value}
		got := explainOne(forGitHub, secret, sent)
		if len(got.Hints) != 1 || !strings.Contains(got.Hints[0], "parsed the body and wrote it again") ||
			strings.Contains(got.Hints[0], "another secret") {
			t.Errorf("%s: got %q", name, got.Hints)
		}
		delete(sent.Header, name)
	}
	// A token says nothing of the body, so a relay explains nothing.
	const token = `{"provider":"gitlab","mode":"token"}`
	sent = caught(t, token, secret, "{}")
	sent.Header["Sec-Fetch-Mode"] = []string{"cors"}
	if got := explainOne(token, "another one entirely", sent); len(got.Hints) != 1 ||
		!strings.Contains(got.Hints[0], "another secret") {
		t.Errorf("a token: got %q", got.Hints)
	}
}

// TestExplainTriesAllSecrets gives several candidates, none, and allows unsigned
// deliveries.
func TestExplainTriesAllSecrets(t *testing.T) {
	sent := caught(t, forGitHub, secret, "{}")
	at := time.UnixMilli(signedAt)
	if got := interceptor.Explain(interceptor.Default(), json.RawMessage(forGitHub),
		[][]byte{[]byte("wrong one"), []byte(secret)}, sent, at); !got.Continue {
		t.Errorf("the second secret fits: got %+v", got)
	}
	if got := interceptor.Explain(interceptor.Default(), json.RawMessage(forGitHub), nil, sent, at); got.Continue ||
		got.Reason != "secret-unusable" {
		t.Errorf("no secret: got %+v", got)
	}
	unsigned := interceptor.Capture{Header: map[string][]string{"X-GitHub-Event": {"push"}}, Body: "{}"}
	if got := interceptor.Explain(interceptor.Default(), json.RawMessage(`{"provider":"github","allowInsecure":true}`),
		nil, unsigned, at); !got.Continue || got.Reason != "unsigned-allowed" {
		t.Errorf("unsigned and allowed: got %+v", got)
	}
	// So they are for every provider and mode.
	for _, v := range vectors {
		raw, err := json.Marshal(v.params)
		if err != nil {
			t.Fatal(err)
		}
		event := interceptor.Capture{Header: map[string][]string{}, Body: v.body}
		for name, value := range v.header {
			if strings.Contains(name, "Event") {
				event.Header[name] = []string{value}
			}
		}
		for allow, want := range map[string]string{`"allowInsecure":true`: "unsigned-allowed",
			`"allowInsecure":false`: "unsigned"} {
			params := json.RawMessage(strings.TrimSuffix(string(raw), "}") + "," + allow + "}")
			if got := interceptor.Explain(interceptor.Default(), params, [][]byte{[]byte("no signing token")}, event,
				at); got.Reason != want {
				t.Errorf("%s, unsigned, %s: got %+v, want %s", v.name, allow, got, want)
			}
		}
	}
	// The params of a live Trigger work as they are.
	live := `{"provider":"github","secretRef":{"secretName":"a","secretKey":"b"},"replay":"enforce"}`
	if got := interceptor.Explain(interceptor.Default(), json.RawMessage(live), [][]byte{[]byte(secret)}, sent,
		at); !got.Continue {
		t.Errorf("a Trigger's own params: got %+v", got)
	}
}

// TestExplainLargeBodies holds that a search through a megabyte ends.
func TestExplainLargeBodies(t *testing.T) {
	push := `{"ref":"refs/heads/master","commits":[` +
		strings.Repeat(`{"id":"fd489864e7642b48eaad6e3f155c10e46810ec72","message":"café <a@example.com>"},`, 12000) +
		"{}]}"
	sent := caught(t, forGitHub, "another one entirely", push)
	start := time.Now()
	got := interceptor.Explain(interceptor.Default(), json.RawMessage(forGitHub), [][]byte{[]byte(secret)}, sent,
		time.UnixMilli(signedAt))
	if got.Reason != "signature-mismatch" || len(got.Hints) == 0 {
		t.Errorf("got %+v", got)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}

// FuzzExplain explains anything at all. The verdict has to be the server's on the
// same delivery, and no hint may tell the secret.
func FuzzExplain(f *testing.F) {
	for _, c := range explainCases(f) {
		f.Add(c.params, c.key, headerLines(c.sent.Header), c.sent.URL, c.sent.Body)
	}
	for _, v := range vectors {
		raw, err := json.Marshal(v.params)
		if err != nil {
			f.Fatal(err)
		}
		header := http.Header{}
		for name, value := range v.header {
			header.Set(name, value)
		}
		f.Add(string(raw), v.secret, headerLines(header), v.url, v.body)
	}
	f.Fuzz(func(t *testing.T, params, key, lines, url, body string) {
		sent := interceptor.Capture{Header: parseLines(lines), Body: body, URL: url}
		got := interceptor.Explain(interceptor.Default(), json.RawMessage(params), [][]byte{[]byte(key)}, sent,
			time.UnixMilli(signedAt))
		if got.Continue == (got.Message != "") || got.Reason == "internal-error" {
			t.Fatalf("got %+v", got)
		}
		if known := params + lines + url + body; len(key) > 8 && !strings.Contains(known, key) &&
			strings.Contains(strings.Join(append(got.Hints, got.Message), "\n"), key) {
			t.Errorf("%+v tells the secret %q", got, key)
		}
		raw, comparable := asEvent(t, params, sent)
		if !comparable {
			return
		}
		h, seen := observed(nil, secrets{"ci/hook": {"token": []byte(key)}}, interceptor.Default())
		sendRaw(t, h, raw)
		if rec := seen.last(t); rec.Continue != got.Continue || rec.Reason != got.Reason {
			t.Errorf("explained as %+v, and the server says %s", got, rec.Reason)
		}
	})
}

func headerLines(header map[string][]string) string {
	var lines strings.Builder
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			fmt.Fprintf(&lines, "%s: %s\n", name, value)
		}
	}
	return lines.String()
}

func parseLines(lines string) map[string][]string {
	header := map[string][]string{}
	for line := range strings.SplitSeq(lines, "\n") {
		if name, value, found := strings.Cut(line, ": "); found {
			header[name] = append(header[name], value)
		}
	}
	return header
}

// asEvent is the delivery as an EventListener passes it on, for a Trigger that has
// the params and a Secret. Params that name Secrets of their own, or ask what came
// before, say something else to the server.
func asEvent(t *testing.T, params string, sent interceptor.Capture) (raw []byte, comparable bool) {
	t.Helper()
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(params), &fields) != nil || fields == nil || len(fields) == 0 {
		return nil, false
	}
	for name := range fields {
		if name = strings.ToLower(name); strings.HasPrefix(name, "secretref") || name == "replay" {
			return nil, false
		}
	}
	inner := strings.TrimSuffix(strings.TrimSpace(params), "}")
	context := map[string]string{"event_url": sent.URL, "trigger_id": triggerID}
	parts := []any{sent.Body, sent.Header, context}
	encoded := make([]any, len(parts))
	for i, part := range parts {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		encoded[i] = text
	}
	return fmt.Appendf(nil,
		`{"body":%s,"header":%s,"context":%s,"interceptor_params":%s,"secretRef":{"secretName":"hook","secretKey":"token"}}}`,
		append(encoded, inner)...), true
}
