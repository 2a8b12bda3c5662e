package interceptor

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/internal/budget"
)

// loose is Tekton's type with the two fields that this package does not look into
// kept raw: params of another kind than an object are refused later, with a better
// sentence.
type loose struct {
	v1beta1.InterceptorRequest
	Params     json.RawMessage `json:"interceptor_params"`
	Extensions json.RawMessage `json:"extensions"`
}

// requests are envelopes where readers of JSON could differ.
var requests = []string{
	`{}`, `null`, ` null `, `nul`, ``, `[]`, `{"body":"a"}`,
	`{"body":null,"header":null,"context":null,"interceptor_params":null,"extensions":null}`,
	`{"body":"\u00e9\ud83d\ude00\ud800x\n\"\\\/"}`, "{\"body\":\"\xff\xfe\xe4\xb8\"}", "{\"body\":\"\u2028<>&\"}",
	`{"body":"a","other":{"body":"b"}}`,
	`{"b\u006fdy":"escaped"}`, `{"body":1}`, `{"body":{}}`, `{"body":["a"]}`, `{"body":"a"} x`, `{"body":"a"}{}`,
	`{"body":"a",}`,
	`{"header":{"X":["a","b"],"y":[],"Z":null,"n":[null,"c"]}}`, `{"header":{"X":"a"}}`, `{"header":{"X":[1]}}`,
	`{"header":[]}`, `{"header":{"X":["a"],"X":["b"]}}`,
	"{\"header\":{\"X\\u00e9\":[\"\\ud800\",\"\xff\"]}}", `{"header":{"":[""]}}`,
	`{"context":{"event_url":"/x","event_id":"e","trigger_id":"t"}}`,
	`{"context":{"event_id":null,"trigger_id":"t","more":[]}}`, `{"context":{"event_id":1}}`, `{"context":[]}`,
	`{"context":"x"}`,
	`{"interceptor_params":{"a":1,"a":2}}`, `{"interceptor_params":[1]}`, `{"interceptor_params": "x" }`,
	`{"extensions":{"a":{"b":[1,2,3]}}}`, `{"extensions":7}`, `{"extensions":{"a":01}}`,
	`{"body":"a","body":"b"}`, `{"Body":"a"}`, `{"BODY":"a","body":"b"}`, `{"interceptor_paramſ":{}}`,
	`{"context":{"Trigger_ID":"t"}}`, `{"context":{"trigger_id":"t","trigger_id":"u"}}`,
	`{"header":{"a":["` + strings.Repeat("x", 100) + `"]},"body":"` + strings.Repeat(`\"é<`, 50) + `"}`,
}

// checkDecode compares our reading of an envelope with encoding/json's. Where it
// passes, all must agree; where it is refused, encoding/json must refuse it, too,
// or it must be one of the two things that are refused on purpose.
func checkDecode(t *testing.T, raw []byte) {
	t.Helper()
	var want loose
	wantErr := json.Unmarshal(raw, &want)
	b := &buffers{raw: raw}
	got, err := b.decode()
	if err != nil {
		if wantErr == nil && !ambiguous(raw) {
			t.Fatalf("%.200q is refused, and encoding/json reads %+v", raw, want)
		}
		return
	}
	if wantErr != nil {
		t.Fatalf("%.200q is read, and encoding/json says %v", raw, wantErr)
	}
	if string(got.body) != want.Body {
		t.Fatalf("%.200q: body %.100q, want %.100q", raw, got.body, want.Body)
	}
	if got.context != (want.Context != nil) {
		t.Fatalf("%.200q: context %v", raw, got.context)
	}
	if want.Context != nil {
		ours := v1beta1.TriggerContext{EventURL: string(got.eventURL), EventID: string(got.eventID),
			TriggerID: string(got.triggerID)}
		if ours != *want.Context {
			t.Fatalf("%.200q: context %+v, want %+v", raw, ours, *want.Context)
		}
	}
	if wantParams := string(bytes.TrimSpace(want.Params)); string(got.params) != wantParams {
		t.Fatalf("%.200q: params %q, want %q", raw, got.params, wantParams)
	}
	compareHeaders(t, got.headers, want.Header)
}

// compareHeaders looks up each name of want as the forge would have sent it.
func compareHeaders(t *testing.T, got provider.Headers, want map[string][]string) {
	t.Helper()
	ours := map[string][]string{}
	for _, f := range got {
		ours[string(f.Name)] = append(ours[string(f.Name)], string(f.Value))
	}
	total := 0
	for name, values := range want {
		total += len(values)
		if len(values) > 0 && len(got) <= provider.MaxHeaderFields && !reflect.DeepEqual(ours[name], values) &&
			!repeated(ours[name], values) {
			t.Fatalf("header %q: got %q, want %q", name, ours[name], values)
		}
	}
	if len(got) < min(total, provider.MaxHeaderFields) {
		t.Fatalf("got %d header values, want %d", len(got), total)
	}
}

// repeated says that a name came twice: encoding/json keeps the last list, and
// here all values count, so that two different ones are refused.
func repeated(ours, last []string) bool {
	return len(ours) > len(last) && reflect.DeepEqual(ours[len(ours)-len(last):], last)
}

// ambiguous says that a field comes twice, or in another case.
func ambiguous(raw []byte) bool {
	for _, fields := range [][]string{envelopeFields, contextFields} {
		for _, field := range fields {
			n := 0
			d := json.NewDecoder(bytes.NewReader(raw))
			for {
				token, err := d.Token()
				if err != nil {
					break
				}
				word, isText := token.(string)
				if isText && strings.EqualFold(word, field) {
					if n++; word != field {
						return true
					}
				}
			}
			if n > 1 {
				return true
			}
		}
	}
	return false
}

func TestDecodeAgainstEncodingJSON(t *testing.T) {
	for _, raw := range requests {
		checkDecode(t, []byte(raw))
		for i := range raw {
			checkDecode(t, []byte(raw[:i]))
		}
	}
}

// TestAmbiguousRequests are refused, whatever encoding/json makes of them.
func TestAmbiguousRequests(t *testing.T) {
	for _, raw := range []string{
		`{"body":"a","body":"b"}`, `{"Body":"a"}`, `{"body":"a","BODY":"b"}`, `{"interceptor_paramſ":{}}`,
		`{"context":{"Trigger_ID":"t"}}`, `{"context":{},"context":{}}`, `{"header":{},"header":{}}`,
	} {
		b := &buffers{raw: []byte(raw)}
		if e, err := b.decode(); err == nil {
			t.Errorf("%s is read as %+v", raw, e)
		}
	}
}

// TestBuffersAreUsedAgain reads requests of all sizes into the same buffers.
func TestBuffersAreUsedAgain(t *testing.T) {
	b := &buffers{}
	for _, size := range []int{10, 10000, 100, 0, 50000, 7} {
		body := strings.Repeat("é\"", size/3)
		raw, err := json.Marshal(v1beta1.InterceptorRequest{Body: body,
			Header: map[string][]string{"A": {fmt.Sprint(size)}}, Context: &v1beta1.TriggerContext{EventID: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		for _, length := range []int64{int64(len(raw)), -1} {
			if b.raw, err = budget.ReadAll(bytes.NewReader(raw), length, b.raw); err != nil {
				t.Fatal(err)
			}
			e, err := b.decode()
			if err != nil || string(e.body) != body {
				t.Fatalf("size %d: got %.50q, %v", size, e.body, err)
			}
			if v, err := e.headers.Value("a"); err != nil || v != fmt.Sprint(size) {
				t.Fatalf("size %d: header %q, %v", size, v, err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, raw := range requests {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkDecode(t, raw) })
}

// Every name of up to three bytes out of those that matter, and the longest.
func TestIsLabel(t *testing.T) {
	compare := func(name string) {
		if got, want := isLabel(name), len(validation.IsDNS1123Label(name)) == 0; got != want {
			t.Errorf("isLabel(%q) = %v, and the API server's is %v", name, got, want)
		}
	}
	const bytes = "a-z09A._/ \n\x00\xc3`{:@"
	var grow func(name string)
	grow = func(name string) {
		compare(name)
		if len(name) < 3 {
			for i := range len(bytes) {
				grow(name + bytes[i:i+1])
			}
		}
	}
	grow("")
	for n := 62; n < 66; n++ {
		compare(strings.Repeat("a", n))
	}
}
