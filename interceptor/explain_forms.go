package interceptor

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf16"

	"github.com/tekgate/tekgate/interceptor/provider"
)

var base64Std = base64.StdEncoding

func decoded(text string) []byte {
	b, err := base64Std.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

func decodedHex(text string) []byte {
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil
	}
	return b
}

func unescaped(text string) []byte {
	s, err := url.PathUnescape(text)
	if err != nil {
		return nil
	}
	return []byte(s)
}

// rewritten are bodies that the one at hand may have been before.
func rewritten(body []byte) []variant {
	const pass = ": whatever stands between the forge and the EventListener must pass the body on byte for byte"
	replaced := func(from, to string) []byte { return bytes.ReplaceAll(body, []byte(from), []byte(to)) }
	all := []variant{
		{append(bytes.Clone(body), '\n'),
			"the signature fits the body with a newline at its end, which was lost on the way" + pass},
		{bytes.TrimRight(body, "\r\n"),
			"the signature fits the body without the newline at its end, which was added on the way" + pass},
		{replaced("\r\n", "\n"), "the signature fits the body with LF line ends, which became CRLF on the way" + pass},
		{replaced("\n", "\r\n"), "the signature fits the body with CRLF line ends, which became LF on the way" + pass},
		{bytes.TrimPrefix(body, []byte("\ufeff")),
			"the signature fits the body without the byte order mark at its beginning, which was added on the way" +
				pass},
		{[]byte("payload=" + url.QueryEscape(string(body))),
			"the signature is over a form with this payload: set the hook's content type to application/json"},
	}
	if form, found := bytes.CutPrefix(body, []byte("payload=")); found {
		if payload, err := url.QueryUnescape(string(form)); err == nil {
			all = append(all, variant{[]byte(payload),
				"the signature is over the JSON inside the form: set the hook's content type to application/json"})
		}
	}
	for _, again := range reencoded(body) {
		all = append(all, variant{again,
			"the signature fits the same JSON in another spelling, so the body was parsed and written again on the way" +
				pass})
	}
	return all
}

// reencoded are the spellings that common libraries give one JSON document. The
// order of keys is kept: none of them can be undone where it was lost.
func reencoded(body []byte) [][]byte {
	var compact bytes.Buffer
	if json.Compact(&compact, body) != nil {
		return nil
	}
	forms := [][]byte{compact.Bytes(), spaced(compact.Bytes())}
	for _, indent := range []string{"  ", "    ", "\t"} {
		var b bytes.Buffer
		if json.Indent(&b, body, "", indent) == nil {
			forms = append(forms, b.Bytes())
		}
	}
	for _, form := range slices.Clone(forms) {
		var html bytes.Buffer
		json.HTMLEscape(&html, form)
		slashed := bytes.ReplaceAll(form, []byte("/"), []byte(`\/`))
		bare := func(f []byte) []byte { return bytes.ReplaceAll(f, []byte(`\/`), []byte("/")) }
		forms = append(forms, html.Bytes(), unhtml(form), ascii(form), slashed, ascii(slashed), bare(form),
			unicoded(form), bare(unicoded(form)))
	}
	for _, form := range slices.Clone(forms) {
		forms = append(forms, append(bytes.Clone(form), '\n'))
	}
	return forms
}

// spaced puts a space after each comma and colon outside of strings, as Python's
// json.dumps does.
func spaced(compact []byte) []byte {
	var out []byte
	inside, escape := false, false
	for _, c := range compact {
		out = append(out, c)
		switch {
		case escape:
			escape = false
		case c == '\\':
			escape = true
		case c == '"':
			inside = !inside
		case !inside && (c == ',' || c == ':'):
			out = append(out, ' ')
		}
	}
	return out
}

func unhtml(form []byte) []byte {
	return []byte(strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&", `\u2028`, "\u2028", `\u2029`,
		"\u2029").Replace(string(form)))
}

// ascii escapes what is not ASCII, as Python and PHP do.
func ascii(form []byte) []byte {
	var out []byte
	for _, r := range string(form) {
		if r < 0x80 {
			out = append(out, byte(r))
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out = fmt.Appendf(out, `\u%04x`, unit)
		}
	}
	return out
}

// unicoded is the reverse.
func unicoded(form []byte) []byte {
	var out []byte
	for i := 0; i < len(form); {
		first := unitAt(form[i:])
		switch {
		case first < 0x80:
			n := 1
			if form[i] == '\\' && i+1 < len(form) {
				n = 2
			}
			out = append(out, form[i:i+n]...)
			i += n
		case utf16.IsSurrogate(first):
			out = append(out, string(utf16.DecodeRune(first, unitAt(form[i+6:])))...)
			i = min(i+12, len(form))
		default:
			out = append(out, string(first)...)
			i += 6
		}
	}
	return out
}

// unitAt returns the unit of an escape \uXXXX, or -1.
func unitAt(s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	b := decodedHex(string(s[2:6]))
	if b == nil {
		return -1
	}
	return rune(b[0])<<8 | rune(b[1])
}

// sighting is a digest that a header may hold, and how it would be written there.
type sighting struct{ header, form string }

// forged looks for signatures that were made another way than the provider's: with
// another algorithm, over another message, or encoded otherwise.
func (s *search) forged() []string {
	seen := s.sightings()
	var hints []string
	for _, a := range provider.Algorithms {
		for _, key := range s.keys() {
			for _, m := range s.messages(key.bytes) {
				found, ok := seen[string(a.Sum(key.bytes, m.bytes))]
				if !ok {
					continue
				}
				hints = append(hints,
					notEmpty(fmt.Sprintf(
						"header %s holds %s of HMAC-%s over %s, with the secret given: compare that with what the provider's mode documents",
						found.header, found.form, strings.ToUpper(a.Name), m.hint), key.hint)...)
			}
		}
	}
	if len(hints) > 0 {
		return hints
	}
	return s.sentInClear()
}

// sentInClear finds a header with the secret itself.
func (s *search) sentInClear() []string {
	for _, f := range s.sent.Headers {
		for _, key := range s.keys() {
			if string(f.Value) == string(key.bytes) && len(f.Value) > 0 {
				return notEmpty(s.inClear(string(f.Name)), key.hint)
			}
		}
	}
	return nil
}

// inClear says what a header with the secret itself means for the Trigger's mode.
func (s *search) inClear(header string) string {
	mode := s.p.sender.Mode.Name
	if mode == "token" || mode == "password" || mode == "basic" {
		return fmt.Sprintf(
			"header %s holds the secret itself, and provider %s in mode %s reads another one: set param provider to the forge that sent the delivery",
			header, s.p.sender.From.Name, mode)
	}
	return fmt.Sprintf(
		"header %s holds the secret itself: the hook sends a password or token and no signature; set param mode accordingly, or set a signature key at the forge",
		header)
}

// relays are headers that no forge sends, and whose they are. Programs that parse a delivery
// and write it again, as smee's client does, send it with a library for browsers' requests.
var relays = []struct{ header, holds, whose string }{
	{"Sec-Fetch-Mode", "", "a relay such as smee's client"},
	{"Timestamp", "", "a relay such as smee's client"},
	{"User-Agent", "node", "a program on Node.js"}, {"User-Agent", "undici", "a program on Node.js"},
	{"User-Agent", "axios/", "a program on Node.js"}, {"User-Agent", "superagent", "a program on Node.js"},
	{"User-Agent", "python-", "a program in Python"}, {"User-Agent", "aiohttp", "a program in Python"},
	{"User-Agent", "gosmee", "gosmee"},
}

// relayed returns what the headers tell of a relay that may have changed the body; "" where
// they tell of none.
func (s *search) relayed() string {
	if said, err := s.p.sender.Read(s.sent); err != nil || said.Covers != provider.StrengthBody {
		return ""
	}
	for _, r := range relays {
		value, err := s.sent.Value(r.header)
		if err != nil || value == "" || !strings.Contains(strings.ToLower(value), r.holds) {
			continue
		}
		return fmt.Sprintf(
			"header %s is that of %s, and of no forge: if it parsed the body and wrote it again, with other numbers (1 for 1.0), order of keys or escapes, no secret fits any more; "+
				"let the forge call the EventListener itself, or use a tunnel that passes the body on byte for byte, before you doubt the secret", r.header, r.whose)
	}
	return ""
}

// messages are what senders and samples in circulation sign.
func (s *search) messages(secret []byte) []variant {
	all := []variant{{s.body, "the body"}}
	for _, name := range []string{"X-Gitee-Timestamp", "webhook-timestamp", "svix-timestamp", s.p.TimestampHeader} {
		stamp, err := s.sent.Value(name)
		if err != nil || stamp == "" || name == "" {
			continue
		}
		for _, m := range []struct{ text, what string }{
			{stamp + "\n" + string(secret), "the time, a newline and the secret"},
			{stamp + string(secret), "the time and the secret, without a newline between them"},
			{stamp, "the time alone"},
			{stamp + "." + string(s.body), "the time, a dot and the body"},
			{stamp + "\n" + string(s.body), "the time, a newline and the body"},
			{stamp + string(s.body), "the time and the body"},
		} {
			all = append(all, variant{[]byte(m.text), m.what})
		}
	}
	return all
}

// shortestDigest is the length of SHA-1's digests.
const shortestDigest = 20

// sightings decodes all headers in all ways that digests are written.
func (s *search) sightings() map[string]sighting {
	seen := map[string]sighting{}
	for _, f := range s.sent.Headers {
		value := string(f.Value)
		for _, prefix := range []string{"sha256=", "sha1=", "sha512=", "v1,", s.p.Prefix} {
			value = strings.TrimPrefix(value, prefix)
		}
		for form, digest := range digestForms(value) {
			if len(digest) >= shortestDigest {
				seen[string(digest)] = sighting{string(f.Name), form}
			}
		}
		for form, digest := range digestForms(string(unescaped(value))) {
			if _, found := seen[string(digest)]; !found && len(digest) >= shortestDigest {
				seen[string(digest)] = sighting{string(f.Name), "the URL-encoded form of " + form}
			}
		}
		for form, digest := range digestForms(strings.ReplaceAll(value, " ", "+")) {
			if _, found := seen[string(digest)]; !found && len(digest) >= shortestDigest {
				seen[string(digest)] = sighting{string(f.Name), "the URL-decoded form, its plus signs lost, of " + form}
			}
		}
	}
	return seen
}

func digestForms(value string) map[string][]byte {
	forms := map[string][]byte{}
	add := func(form string, b []byte) {
		if b != nil {
			forms[form] = b
		}
	}
	add("the hexadecimal", decodedHex(strings.ToLower(value)))
	once := decoded(value)
	add("the base64", once)
	add("a double base64", decoded(string(once)))
	add("the base64 of the hexadecimal", decodedHex(string(once)))
	if b, err := base64.URLEncoding.DecodeString(value); err == nil {
		if _, found := forms["the base64"]; !found {
			add("the URL-safe base64", b)
		}
	}
	if b, err := base64.RawStdEncoding.DecodeString(value); err == nil {
		add("the base64 without its padding", b)
	}
	return forms
}
