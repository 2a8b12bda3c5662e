package object

import (
	"reflect"
	"strings"
	"testing"
)

// documents are where readers of JSON go wrong, within an object and beside one.
var documents = []string{
	``, ` `, `null`, `[]`, `"x"`, `{`, `{} {}`, `{}x`, `{} `, "\n{}\n", `{"a":1}`, `{"a":1,}`, `{"a":1 "b":2}`, `{a:1}`,
	`{"a"}`, `{"a":}`,
	`{"status":{"a":1},"metadata":{"managedFields":[{}],"a":{"managedFields":1,"status":2}},"spec":{"status":1,"metadata":{"managedFields":2}}}`,
	`{"metadata":{"managedFields":[1],"a":1},"metadata":{"b":2},"status":1,"status":{}}`,
	`{"metadata":{"a":1},"metadata":[{"managedFields":1}]}`, `{"status":}`,
	`{"metadata":null,"status":"\x"}`, `{"metadata":{"managedFields":[}}`,
	`{"metadata":{"managed\u0046ields":1},"st\u0061tus":1}`,
	`{"a":1,"a":{"b":2},"a":[3]}`, `{"a":{"b":1},"a":{"c":2}}`, `{"a":[1,2],"a":null}`, `{"\u0061":1,"a":2}`,
	`{"":{"":[]}}`,
	`{"a":[],"b":{},"c":[[],[{}],[[1,[2,3]],4]]}`, `{"a":[1,]}`, `{"a":[1 2]}`, `{"a":[1,2}`, `{"a":tru}`, `{"a":nul}`,
	`{"a":truefalse}`,
	`{"a":-0,"b":1E400,"c":1.10,"d":9007199254740993}`, `{"a":01}`, `{"a":-}`, `{"a":1.}`, `{"a":+1}`, `{"a":.5}`,
	`{"a":"\ud83d\ude00","b":"\ud83d","c":"\ude00\ud83d","d":"\u12"}`, `{"a":"\x"}`,
	"{\"a\":\"\xff\",\"\xff\":1,\"\xfe\":2}", "{\"a\":\"\n\"}",
	`{"a":"<&>\/\"\\\u2028é"}`, "\ufeff{}", "{\"\xed\xa0\x80\":\"\xe4\xb8\"}",
	strings.Repeat(`{"a":`, 10000) + "1" + strings.Repeat("}", 10000), strings.Repeat(`{"a":`, 10001) + "1" +
		strings.Repeat("}", 10001),
	`{"a":` + strings.Repeat("[", 9999) + strings.Repeat("]", 9999) + "}", `{"a":` + strings.Repeat("[", 10000) +
		strings.Repeat("]", 10000) + "}",
}

// agree holds Decode to what encoding/json makes of a text, errors included, and
// to making it itself: the slow way is for errors alone.
func agree(t *testing.T, raw string) {
	t.Helper()
	want, wantErr := decodeSlowly([]byte(raw))
	got, err := Decode([]byte(raw))
	if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("%.80q: got %.200v, %v; want %.200v, %v", raw, got, err, want, wantErr)
	}
	leaveOut(want)
	trace := Trace{Complete: true}
	authored, err := DecodeAuthored([]byte(raw), &trace)
	if !reflect.DeepEqual(authored, want) || !reflect.DeepEqual(err, wantErr) {
		t.Fatalf("%.80q: got %.200v, %v; want %.200v, %v", raw, authored, err, want, wantErr)
	}
	if err == nil && trace.Complete {
		if at := retrace(t, &trace, 0, authored); at != len(trace.Entries) {
			t.Fatalf("%.80q: the trace has %d entries after its end", raw, len(trace.Entries)-at)
		}
	}
	want = got
	if fast, ok := decodeQuickly([]byte(raw)); ok != (wantErr == nil) || ok && !reflect.DeepEqual(fast, want) {
		t.Fatalf("%.80q: the quick way says %v, %.200v", raw, ok, fast)
	}
}

// retrace holds the entries from an index on to the value that they are of, and
// returns the index after them.
func retrace(t *testing.T, trace *Trace, at int, value any) int {
	t.Helper()
	entry, next, size := trace.Entries[at], at+1, 0
	switch value := value.(type) {
	case map[string]any:
		for range value {
			next = retrace(t, trace, next, value[trace.Entries[next].Key])
		}
		size = len(value)
	case []any:
		for size = range value {
			next = retrace(t, trace, next, value[size])
		}
		size = len(value)
	default:
		if !reflect.DeepEqual(entry.Value, value) {
			t.Fatalf("entry %d is %v, want %v", at, entry.Value, value)
		}
	}
	if reflect.TypeOf(entry.Value) != reflect.TypeOf(value) || entry.Next != next || entry.Size != size {
		t.Fatalf("entry %d is %+v, want the next %d and the size %d of %v", at, entry, next, size, value)
	}
	return next
}

// TestTraceIsComplete holds that all objects have traces but those with a field twice.
func TestTraceIsComplete(t *testing.T) {
	for raw, want := range map[string]bool{
		`{}`: true, `{"a":[1,{"b":null,"c":true}],"status":1,"status":2}`: true, `{"a":1,"a":2}`: false,
		`{"a":[{"b":{},"b":{}}]}`: false, `{"a":"\x"}`: false,
	} {
		trace := Trace{Complete: true}
		_, _ = DecodeAuthored([]byte(raw), &trace)
		if trace.Complete != want {
			t.Errorf("%s: complete is %v", raw, trace.Complete)
		}
	}
}

func TestDecodeAgrees(t *testing.T) {
	for _, raw := range documents {
		agree(t, raw)
	}
	whole := `{"a":[-1.5e+3,true,false,null,{"b\n":"\u00e9中","b":{}}],"c":{"d":[[],""]}} `
	for i := range whole { // cut and changed at each byte
		agree(t, whole[:i])
		for _, c := range []string{"\x00", `"`, `\`, "}", "]", "u", "\xff", "0", ",", " "} {
			agree(t, whole[:i]+c+whole[i+1:])
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, raw := range documents {
		if len(raw) < 1000 {
			f.Add(raw)
		}
	}
	f.Fuzz(agree)
}
