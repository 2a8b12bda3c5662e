package provider

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/interceptor/refusal"
)

// payloads are where forges and liars differ.
var payloads = []string{
	`{}`, `[]`, `null`, `x`, ``, `{"ref":"refs/heads/a"}`, `{"ref":null,"ref_type":"branch"}`,
	`{"repository":{"full_name":"a/b","clone_url":"https://h/a"},"sender":{"login":"l"}}`,
	`{"commits":[{"added":["a"],"removed":[],"modified":[null,1,"b"]},null,7,[]],"before":"0","after":"1"}`,
	`{"commits":{}}`, `{"ref":{"a":[]},"deleted":true,"number":1e3}`,
	`{"ref":"a","ref":"b"}`, `{"repository":{"full_name":1},"repository":2}`, "{\"ref\":\"\xff\\ud800\"}",
	`{"ref":"\u0061"}`, `{"ref":""}`, `{"ref":"a"`, `{"commits":[{"added":"x"}]}`,
}

// checkPayload compares what is read of a payload with what encoding/json finds at
// the same paths.
func checkPayload(t *testing.T, p *Payload, rows []path, raw []byte) {
	t.Helper()
	x := &Extract{}
	err := p.Read(raw, x)
	var tree any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if !json.Valid(raw) || !bytes.HasPrefix(bytes.TrimLeft(raw, " \t\r\n"), []byte("{")) {
		if x.isObject && err == nil {
			t.Fatalf("%.100q was read", raw)
		}
		return
	}
	if err != nil {
		if err != ErrTwice { //nolint:errorlint // it is returned as it is
			t.Fatalf("%.100q is refused: %v", raw, err)
		}
		return
	}
	if d.Decode(&tree) != nil {
		t.Fatalf("%.100q cannot be decoded", raw)
	}
	want := map[field]string{}
	for _, row := range rows {
		if _, found := want[row.field]; found || strings.Contains(row.path, "[]") || row.field >= fields {
			continue
		}
		if value, found := lookUp(tree, row.path); found {
			want[row.field] = value
		}
	}
	for f := field(1); f < fields; f++ {
		if got := text(x.raw[f]); got != want[f] {
			t.Fatalf("%.100q: field %d is %q, want %q", raw, f, got, want[f])
		}
	}
}

// lookUp returns the scalar at a path, unless it is null or empty.
func lookUp(tree any, path string) (string, bool) {
	for key := range strings.SplitSeq(path, ".") {
		object, isObject := tree.(map[string]any)
		if !isObject {
			return "", false
		}
		tree = object[key]
	}
	switch v := tree.(type) {
	case string:
		return v, v != ""
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// plainRows is a table without lists of changes, for the comparison.
var plainRows = []path{
	{"ref", fRef}, {"ref_type", fRefType}, {"before", fBefore}, {"after", fAfter}, {"deleted", fDeleted},
	{"commits[]", fCommit}, {"commits[].added", fFiles}, {"commits[].removed", fFiles}, {"commits[].modified", fFiles},
	{"repository.full_name", fRepository}, {"project.full_name", fRepository}, {"repository.clone_url", fCloneURL},
	{"sender.login", fSender}, {"number", fNumber},
}

func TestPayloadAgainstEncodingJSON(t *testing.T) {
	p := &Payload{root: compile(plainRows)}
	for _, raw := range payloads {
		checkPayload(t, p, plainRows, []byte(raw))
		for i := range raw {
			checkPayload(t, p, plainRows, []byte(raw[:i]))
		}
	}
}

func FuzzPayload(f *testing.F) {
	p := &Payload{root: compile(plainRows)}
	for _, raw := range payloads {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkPayload(t, p, plainRows, raw) })
}

// FuzzGit builds extensions of every provider's payloads: nothing that a shell
// would run may be in them.
func FuzzGit(f *testing.F) {
	for _, raw := range payloads {
		f.Add([]byte(raw), "push")
	}
	f.Add([]byte(`{"push":{"changes":[{"new":{"name":"a","type":"branch"}},{"old":{"name":"b"},"closed":true}]}}`),
		"repo:push")
	f.Add([]byte(`{"object_attributes":{"iid":1,"action":"open","source_branch":"a;b"},"action_desc":"x","per_iid":"!7"}`),
		"note")
	f.Fuzz(func(t *testing.T, raw []byte, event string) {
		for _, from := range All {
			x := &Extract{}
			if from.Payload.Read(raw, x) != nil {
				continue
			}
			changes := []*Values{nil}
			for i := range x.Changes {
				changes = append(changes, &x.Changes[i])
			}
			for _, change := range changes {
				g, err := from.Payload.Build(x, change, Git{Provider: from.Name, Event: event})
				if err != nil {
					continue
				}
				g.WithFiles(&x.Files)
				checkHarmless(t, &g)
			}
		}
	})
}

func checkHarmless(t *testing.T, g *Git) {
	t.Helper()
	v := reflect.ValueOf(*g)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		words := []string{}
		switch f := v.Field(i); {
		case name == "Event": // checked where the header is read
		case f.Kind() == reflect.String:
			words = append(words, f.String())
		case f.Kind() == reflect.Slice:
			words = append(words, g.ChangedFiles...)
		}
		for _, w := range words {
			if strings.ContainsAny(w, "$`\"'\\;&|<>(){}*?! \t\r\n\x00") || strings.HasPrefix(w, "-") || len(w) > 1024 {
				t.Fatalf("%s is %q", name, w)
			}
		}
	}
	raw := g.AppendJSON(nil)
	var back Git
	if err := json.Unmarshal(raw, &back); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	again, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	var a, b any
	if json.Unmarshal(raw, &a) != nil || json.Unmarshal(again, &b) != nil || !reflect.DeepEqual(a, b) {
		t.Fatalf("%s is not %s", raw, again)
	}
}

// FuzzRead gives each provider's readers headers of any kind. They must not panic,
// and claim nothing without a digest.
func FuzzRead(f *testing.F) {
	f.Add("X-Gitee-Token", "a", "X-Gitee-Timestamp", "1754049600123")
	f.Add("x-hub-signature-256", "sha256=00", "X-GitHub-Event", "push")
	f.Add("webhook-signature", "v1,AAAA v1,", "webhook-timestamp", "1754049600")
	f.Add("X-Gitlab-Token", "t", "X-Gitlab-Event", "Push Hook")
	f.Add("Authorization", "Basic Og==", "X-Event-Key", "repo:push")
	schemes := []*Sender{}
	for _, from := range All {
		for _, mode := range from.Modes {
			schemes = append(schemes, &Sender{From: from, Mode: from.Implemented(mode),
				Scheme: &Scheme{Header: "Authorization", EventHeader: "X-Event-Key", algorithm: sha256Hash,
					parts: []part{{kind: partBody}}}})
		}
	}
	f.Fuzz(func(t *testing.T, name, value, other, second string) {
		d := Delivery{Headers: Headers{{[]byte(name), []byte(value)}, {[]byte(other), []byte(second)}}, URL: value}
		for _, p := range schemes {
			said, err := p.Read(d)
			if err != nil {
				if r := refusal.Of(err); r.Reason == refusal.Internal || strings.ContainsAny(r.Message, "\n\r") {
					t.Fatalf("%s %s: %v", p.From.Name, p.Mode.Name, err)
				}
				continue
			}
			if len(said.Digests) == 0 || said.MAC == nil || words.flaw(said.Event) != "" ||
				ids.flaw(said.DeliveryID) != "" {
				t.Fatalf("%s %s claims %+v", p.From.Name, p.Mode.Name, said)
			}
			for _, digest := range said.Digests {
				if len(digest) < sha1Hash.Size {
					t.Fatalf("%s %s: a digest of %d bytes", p.From.Name, p.Mode.Name, len(digest))
				}
			}
			if _, err := said.MAC([]byte("secret"), []byte("body")); err != nil && p.Mode.Name != "signing-token" {
				t.Fatal(err)
			}
		}
	})
}
