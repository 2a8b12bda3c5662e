package scan_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/scan"
)

// documents are where readers of JSON go wrong.
var documents = []string{
	``, ` `, `null`, `true`, `tru`, `truee`, `nul`, `"`, `""`, `"a`, `"\"`, `"\\"`, `"\x"`, `"\u12"`, `"\u12G4"`,
	`"\u00e9"`, `"\uD83D\uDE00"`,
	`"\ud83d"`, `"\ud83d\u0041"`, `"\ud83d\ud83d\ude00"`, `"\ude00\ud83d"`, `"\ud83d\`, `"\ud83dx"`, "\"\xff\"",
	"\"\xe4\xb8\"", "\"a\xe4\xb8\xad\"", "\"\xed\xa0\x80\"",
	"\"\x00\"", "\"\x1f\"", "\"\x7f\"", "\"\u2028\"", `"\/\b\f\n\r\t"`, `"12345678"`, `"1234567\"89012345"`,
	`"1234567é89012345"`, "\"1234567\n\"",
	`0`, `-0`, `-`, `01`, `1.`, `.5`, `1.5e`, `1e+`, `1E-7`, `1.0e400`, `+1`, `0x1`, `1 2`, `--1`, `1e5.5`,
	`{}`, `{ }`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{"a":1 "b":2}`, `{a:1}`, `{"a":1}}`,
	`{"a":{"b":[1,2,{"c":null}]}}`, `{"a":1,"a":2}`, `{"\u0061":1}`,
	`[]`, `[ ]`, `[,]`, `[1,]`, `[1 2]`, `[1,2`, `]`, `[[[]]]`, "[\v1]", "\ufeff{}", `{"a":1}x`, "\t[\r\n1 ]\n",
	strings.Repeat("[", 10000) + strings.Repeat("]", 10000), strings.Repeat("[", 10001) + strings.Repeat("]", 10001),
	strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), strings.Repeat(`{"a":`, 10001) + "1" +
		strings.Repeat("}", 10001),
	`"` + strings.Repeat("é<\\\"\\u003c\\\\", 100) + `"`, `"` + strings.Repeat("\xff", 100) + `"`,
}

// check compares every reading of a document with encoding/json's.
func check(t *testing.T, text []byte) {
	t.Helper()
	r := scan.New(text)
	err := r.Skip()
	if err == nil {
		err = r.End()
	}
	if (err == nil) != json.Valid(text) {
		t.Fatalf("%.80q: Skip says %v, encoding/json %v", text, err, json.Valid(text))
	}
	if err != nil {
		return
	}
	checkIn(t, text)
	// encoding/json makes a tree of the raw document; so does build, of strings and
	// raw scalars.
	if got, err := build(scan.New(text)); err != nil {
		t.Fatalf("%.80q: %v", text, err)
	} else if want := tree(t, text); !reflect.DeepEqual(got, want) {
		t.Fatalf("%.80q: got %.200v, want %.200v", text, got, want)
	}
}

// checkIn compares what is cut from a string with what is borrowed.
func checkIn(t *testing.T, text []byte) {
	t.Helper()
	want, err := scan.New(text).Raw()
	got, errIn := scan.New(text).RawIn(string(text))
	if got != string(want) || !errors.Is(errIn, err) {
		t.Fatalf("%.80q: got %.80q, %v; want %.80q, %v", text, got, errIn, want, err)
	}
	want, err = scan.New(text).String()
	got, errIn = scan.New(text).StringIn(string(text))
	if got != string(want) || !errors.Is(errIn, err) {
		t.Fatalf("%.80q: got %.80q, %v; want %.80q, %v", text, got, errIn, want, err)
	}
}

func tree(t *testing.T, text []byte) any {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

func build(r *scan.Reader) (any, error) {
	switch r.Kind() {
	case '"':
		s, err := r.String()
		return string(s), err
	case '{':
		m := map[string]any{}
		err := r.Object(func(key []byte) error {
			k := string(key)
			v, err := build(r)
			m[k] = v
			return err
		})
		return m, err
	case '[':
		l := []any{}
		err := r.Array(func() error {
			v, err := build(r)
			l = append(l, v)
			return err
		})
		return l, err
	}
	if r.Null() {
		return nil, nil
	}
	raw, err := r.Raw()
	switch string(raw) {
	case "true", "false":
		return string(raw) == "true", err
	}
	return json.Number(raw), err
}

// checkAppend reads a string into buffers of each size that matters.
func checkAppend(t *testing.T, text []byte) {
	t.Helper()
	var want string
	invalid := json.Unmarshal(text, &want) != nil || text[0] == 'n'
	for _, room := range []int{0, 1, 7, 8, 9, 31, len(text), len(text) + 8, 4 * len(text)} {
		r := scan.New(text)
		got, err := r.AppendString(append(make([]byte, 0, room+1), '>'))
		if err == nil {
			err = r.End()
		}
		if (err != nil) != invalid || err == nil && string(got) != ">"+want {
			t.Fatalf("%.80q into room for %d: got %.80q, %v; want %.80q, invalid %v", text, room, got, err, want,
				invalid)
		}
	}
}

func TestAgainstEncodingJSON(t *testing.T) {
	for _, d := range documents {
		check(t, []byte(d))
		trimmed := strings.TrimLeft(d, " \t\r\n")
		if strings.HasPrefix(trimmed, `"`) {
			checkAppend(t, []byte(trimmed))
			for pad := range 9 { // every place within a word of eight
				padded := `"` + strings.Repeat("x", pad) + trimmed[1:]
				check(t, []byte(padded))
				checkAppend(t, []byte(padded))
			}
		}
	}
}

// TestCut cuts a document at every byte and changes each.
func TestCut(t *testing.T) {
	whole := []byte(`{"body":"{\"a\":\"\u003c\u0026\ud83d\ude00 中 é\"}\n","header":{"X":["a",null]},"n":[-1.5e+3,true,false,null,{}]}`)
	for i := range whole {
		check(t, whole[:i])
		for _, c := range []byte{0, '"', '\\', '}', 'u', 0xff, '0', ',', ' '} {
			changed := bytes.Clone(whole)
			changed[i] = c
			check(t, changed)
		}
	}
}

func TestAppendQuoted(t *testing.T) {
	for _, s := range []string{"", "a", `"\`, "\x00\n\t\x7f", "é中\U0001F600", "\xff\xe4\xb8", "<&>\u2028"} {
		var got string
		quoted := scan.AppendQuoted(nil, s)
		if err := json.Unmarshal(quoted, &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") &&
			got != string([]rune(s)) {
			t.Errorf("%q became %s: %q, %v", s, quoted, got, err)
		}
	}
}

func FuzzAgainstEncodingJSON(f *testing.F) {
	for _, d := range documents {
		if len(d) < 1000 {
			f.Add([]byte(d))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, text)
		if len(text) > 0 && text[0] == '"' {
			checkAppend(t, text)
		}
		quoted := scan.AppendQuoted(nil, text)
		var back string
		if err := json.Unmarshal(quoted, &back); err != nil || back != string([]rune(string(text))) {
			t.Fatalf("%q became %s", text, quoted)
		}
	})
}
