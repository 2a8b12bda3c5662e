// Package scan walks JSON without building it.
//
// Whoever answers a request reads it for the few fields that it wants: the event
// server the envelope, whose body is a long quoted string, and a little of the
// payload; the admission server the review, and the object in it. A general decoder
// spends most of that time on maps, strings and reflection. Here a value is skipped,
// or borrowed from the input as it stands, or unquoted once into a buffer of the
// caller's.
//
// It takes the very documents that encoding/json takes, and says the same about
// each string in them: an escape that is half of a surrogate pair and a byte that
// is no UTF-8 become U+FFFD. The tests hold it to that.
package scan

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrSyntax is every error that a Reader itself returns: the input is no JSON, or
// another kind of value than was asked for.
var ErrSyntax = errors.New("not the JSON that is wanted")

// maxDepth is encoding/json's.
const maxDepth = 10000

// Reader stands before a value in JSON text.
type Reader struct {
	text    []byte
	at      int
	depth   int
	most    int // depth that is taken; 0 means maxDepth
	tooDeep bool
	skipped int
}

// New returns a reader of text, which must not change while what was borrowed from
// it is in use.
func New(text []byte) *Reader {
	return &Reader{text: text}
}

// Kind returns the first byte of the next value, or 0 at the end.
func (r *Reader) Kind() byte {
	for r.at < len(r.text) {
		switch c := r.text[r.at]; c {
		case ' ', '\t', '\r', '\n':
			r.at++
		default:
			return c
		}
	}
	return 0
}

// End fails unless nothing but white space is left.
func (r *Reader) End() error {
	if r.Kind() != 0 || r.at < len(r.text) {
		return ErrSyntax
	}
	return nil
}

// Rest returns how many bytes are left.
func (r *Reader) Rest() int { return len(r.text) - r.at }

// take moves past the byte c.
func (r *Reader) take(c byte) bool {
	if r.Kind() != c || r.at >= len(r.text) {
		return false
	}
	r.at++
	return true
}

// next moves past the next byte that is no white space and returns it, or 0 at the end.
func (r *Reader) next() byte {
	if r.at < len(r.text) && r.text[r.at] > ' ' {
		r.at++
		return r.text[r.at-1]
	}
	return r.afterSpace()
}

func (r *Reader) afterSpace() byte {
	c := r.Kind()
	if r.at < len(r.text) {
		r.at++
	}
	return c
}

// Null moves past a null, if one is next.
func (r *Reader) Null() bool {
	return r.Kind() == 'n' && r.word("null")
}

func (r *Reader) word(w string) bool {
	if len(r.text)-r.at < len(w) || string(r.text[r.at:r.at+len(w)]) != w {
		return false
	}
	r.at += len(w)
	return true
}

// Object calls each with every key in turn, unquoted and borrowed until the next;
// each must move past the value.
func (r *Reader) Object(each func(key []byte) error) error {
	more, err := r.more(true, '{', '}')
	for more && err == nil {
		var key []byte
		if key, err = r.String(); err != nil {
			return err
		}
		if r.next() != ':' {
			return ErrSyntax
		}
		if err = each(key); err == nil {
			more, err = r.another('}')
		}
	}
	return err
}

// FieldIn moves to the next field of an object, or into it where first says so, and
// returns its key; it returns false past the end. It is Object for callers that keep
// the keys, see StringIn, and that would pay for a function to call.
func (r *Reader) FieldIn(whole string, first bool) (key string, ok bool, err error) {
	if more, err := r.more(first, '{', '}'); !more || err != nil {
		return "", false, err
	}
	if key, err = r.StringIn(whole); err != nil {
		return "", false, err
	}
	return key, true, valid(r.take(':'))
}

// Element is the same for an array.
func (r *Reader) Element(first bool) (bool, error) { return r.more(first, '[', ']') }

// more moves to the next part of a container.
func (r *Reader) more(first bool, begin, end byte) (bool, error) {
	if first && !r.enter(begin) {
		return false, ErrSyntax
	}
	if r.take(end) {
		r.depth--
		return false, nil
	}
	return true, valid(first || r.take(','))
}

// another moves past the comma before one part more, or past the end of the container.
func (r *Reader) another(end byte) (bool, error) {
	switch r.next() {
	case ',':
		return true, nil
	case end:
		r.depth--
		return false, nil
	}
	return false, ErrSyntax
}

// Array calls each before every element; each must move past it.
func (r *Reader) Array(each func() error) error {
	more, err := r.more(true, '[', ']')
	for more && err == nil {
		if err = each(); err == nil {
			more, err = r.another(']')
		}
	}
	return err
}

func (r *Reader) enter(c byte) bool {
	if !r.take(c) {
		return false
	}
	r.depth++
	if r.depth > maxDepth || r.most > 0 && r.depth > r.most {
		r.tooDeep = true
		return false
	}
	return true
}

// LimitDepth makes the reader take nothing that is nested deeper.
func (r *Reader) LimitDepth(most int) { r.most = most }

// TooDeep tells whether the reader failed since the text is nested too deeply.
func (r *Reader) TooDeep() bool { return r.tooDeep }

// Skipped returns how many values were moved past unread, those within them too.
func (r *Reader) Skipped() int { return r.skipped }

// Skip moves past the next value.
func (r *Reader) Skip() error {
	r.skipped++
	switch c := r.Kind(); c {
	case '"':
		_, err := r.skipString()
		return err
	case '{':
		return r.skipObject()
	case '[':
		return r.Array(r.Skip)
	case 't':
		return valid(r.word("true"))
	case 'f':
		return valid(r.word("false"))
	case 'n':
		return valid(r.word("null"))
	default:
		return valid(r.number())
	}
}

func valid(ok bool) error {
	if !ok {
		return ErrSyntax
	}
	return nil
}

// skipObject is Object without keys, which need not be unquoted for it.
func (r *Reader) skipObject() error {
	more, err := r.more(true, '{', '}')
	for more && err == nil {
		if r.Kind() != '"' {
			return ErrSyntax
		}
		if _, err = r.skipString(); err != nil {
			return err
		}
		if r.next() != ':' {
			return ErrSyntax
		}
		if err = r.Skip(); err == nil {
			more, err = r.another('}')
		}
	}
	return err
}

// Raw returns the next value as it stands in the text.
func (r *Reader) Raw() ([]byte, error) {
	r.Kind()
	start := r.at
	if err := r.Skip(); err != nil {
		return nil, err
	}
	return r.text[start:r.at], nil
}

func (r *Reader) number() bool {
	if r.at < len(r.text) && r.text[r.at] == '-' {
		r.at++
	}
	if r.at < len(r.text) && r.text[r.at] == '0' {
		r.at++
	} else if !r.digits() {
		return false
	}
	if r.at < len(r.text) && r.text[r.at] == '.' {
		r.at++
		if !r.digits() {
			return false
		}
	}
	if r.at < len(r.text) && r.text[r.at]|0x20 == 'e' {
		r.at++
		if r.at < len(r.text) && (r.text[r.at] == '+' || r.text[r.at] == '-') {
			r.at++
		}
		return r.digits()
	}
	return true
}

func (r *Reader) digits() bool {
	start := r.at
	for r.at < len(r.text) && r.text[r.at]-'0' < 10 {
		r.at++
	}
	return r.at > start
}

// Eight bytes are looked at in one word: each mask has the highest bit of a byte
// set where that byte is what it looks for. Borrows may set bits above the first
// match, never below, so the lowest one is right.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// notPlain marks quotes, backslashes and control characters.
func notPlain(w uint64) uint64 {
	quote, backslash := w^(ones*'"'), w^(ones*'\\')
	return ((quote-ones)&^quote | (backslash-ones)&^backslash | (w-ones*0x20)&^w) & highs
}

// notCopied marks those and the bytes that are not ASCII. These have the highest bit,
// and so need not be kept from looking like a match.
func notCopied(w uint64) uint64 {
	return (w | (w ^ (ones * '"') - ones) | (w ^ (ones * '\\') - ones) | (w - ones*0x20)) & highs
}

// skipString moves past a string. It returns whether what stands between the quotes
// is not what the string means: it has an escape, or a byte that is not ASCII.
func (r *Reader) skipString() (encoded bool, err error) {
	text, at := r.text, r.at+1
	var seen uint64
	for {
		for at+8 <= len(text) {
			w := binary.LittleEndian.Uint64(text[at:])
			mask := notPlain(w)
			if mask != 0 {
				n := bits.TrailingZeros64(mask) &^ 7
				seen |= w & (1<<n - 1)
				at += n / 8
				break
			}
			seen |= w
			at += 8
		}
		if at >= len(text) {
			return false, ErrSyntax
		}
		switch c := text[at]; {
		case c == '"':
			r.at = at + 1
			return encoded || seen&highs != 0, nil
		case c == '\\':
			n := escapeLength(text[at:])
			if n == 0 {
				return false, ErrSyntax
			}
			at, encoded = at+n, true
		case c < 0x20:
			return false, ErrSyntax
		default: // within eight bytes of the text's end
			seen |= uint64(c)
			at++
		}
	}
}

// escapes are what follows a backslash, but for u.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escapeLength returns the length of the escape that s begins with, or 0.
func escapeLength(s []byte) int {
	if len(s) < 2 {
		return 0
	}
	if escapes[s[1]] != 0 {
		return 2
	}
	if unit(s) < 0 {
		return 0
	}
	return 6
}

// unit returns the UTF-16 unit of an escape \uXXXX that s begins with, or -1.
func unit(s []byte) rune {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return -1
	}
	var u rune
	for _, c := range s[2:6] {
		switch {
		case c-'0' < 10:
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return -1
		}
		u = u<<4 | rune(c)
	}
	return u
}

// String returns what the next value, a string, means. It is borrowed from the text
// where that holds it as it is.
func (r *Reader) String() ([]byte, error) {
	if r.Kind() != '"' {
		return nil, ErrSyntax
	}
	start := r.at
	encoded, err := r.skipString()
	if err != nil {
		return nil, err
	}
	if !encoded {
		return r.text[start+1 : r.at-1], nil
	}
	again := Reader{text: r.text, at: start}
	return again.AppendString(make([]byte, 0, r.at-start+8))
}

// StringIn is String for callers that keep what they read. Whole is the text once
// more, as a string: what it holds as it is is cut from there and costs nothing.
func (r *Reader) StringIn(whole string) (string, error) {
	if r.Kind() != '"' {
		return "", ErrSyntax
	}
	start := r.at
	encoded, err := r.skipString()
	if err != nil {
		return "", err
	}
	if !encoded {
		return whole[start+1 : r.at-1], nil
	}
	again := Reader{text: r.text, at: start}
	text, err := again.AppendString(make([]byte, 0, r.at-start+8))
	return string(text), err
}

// RawIn is Raw for such callers.
func (r *Reader) RawIn(whole string) (string, error) {
	r.Kind()
	start := r.at
	if err := r.Skip(); err != nil {
		return "", err
	}
	return whole[start:r.at], nil
}

// AppendString appends to dst what the next value, a string, means. It is fastest
// where dst has room for the quoted string and eight bytes more.
func (r *Reader) AppendString(dst []byte) ([]byte, error) {
	if r.Kind() != '"' {
		return nil, ErrSyntax
	}
	r.at++
	for {
		dst = r.appendPlain(dst)
		if r.at >= len(r.text) {
			return nil, ErrSyntax
		}
		switch c := r.text[r.at]; {
		case c == '"':
			r.at++
			return dst, nil
		case c == '\\':
			var n int
			if dst, n = appendEscape(dst, r.text[r.at:]); n == 0 {
				return nil, ErrSyntax
			}
			r.at += n
		case c < 0x20:
			return nil, ErrSyntax
		case c < utf8.RuneSelf: // near an end of the text or of dst
			dst = append(dst, c)
			r.at++
		default:
			char, n := utf8.DecodeRune(r.text[r.at:])
			dst = utf8.AppendRune(dst, char)
			r.at += n
		}
	}
}

// appendPlain copies eight bytes at a time, up to the first that means something
// else than itself, as long as the text and dst have eight.
func (r *Reader) appendPlain(dst []byte) []byte {
	text, at, room, n := r.text, r.at, dst[:cap(dst)], len(dst)
	for at+8 <= len(text) && n+8 <= len(room) {
		w := binary.LittleEndian.Uint64(text[at:])
		binary.LittleEndian.PutUint64(room[n:], w)
		mask := notCopied(w)
		if mask == 0 {
			at, n = at+8, n+8
			continue
		}
		plain := bits.TrailingZeros64(mask) / 8
		at, n = at+plain, n+plain
		// Payloads are full of quotes, each of which is two bytes here: going on at
		// once saves most of the returns.
		if at+1 >= len(text) || text[at] != '\\' || escapes[text[at+1]] == 0 || n >= len(room) {
			break
		}
		room[n] = escapes[text[at+1]]
		at, n = at+2, n+1
		// Between two of them there is mostly but a colon or a comma.
		if at+2 < len(text) && n+1 < len(room) && (text[at] == ':' || text[at] == ',') && text[at+1] == '\\' &&
			escapes[text[at+2]] != 0 {
			room[n], room[n+1] = text[at], escapes[text[at+2]]
			at, n = at+3, n+2
		}
	}
	r.at = at
	return room[:n]
}

// appendEscape appends what the escape means that s begins with, and returns its
// length, or 0 where it is none.
func appendEscape(dst, s []byte) ([]byte, int) {
	if len(s) > 1 && escapes[s[1]] != 0 {
		return append(dst, escapes[s[1]]), 2
	}
	first := unit(s)
	if first < 0 {
		return dst, 0
	}
	if !utf16.IsSurrogate(first) {
		return utf8.AppendRune(dst, first), 6
	}
	if pair := utf16.DecodeRune(first, unit(s[6:])); pair != utf8.RuneError {
		return utf8.AppendRune(dst, pair), 12
	}
	return utf8.AppendRune(dst, utf8.RuneError), 6
}
