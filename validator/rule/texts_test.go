package rule

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTextsIn(t *testing.T) {
	var value any
	const text = `{"b":[{"c":"1"},[],["2","$(x)"],3],"a":{"d.e":{"f":"4","g":null}},"h":"$(y)","i":{},"j":true}`
	if err := json.Unmarshal([]byte(text), &value); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path, want string
		find       func(any, string) []Text
	}{
		{"", "a[d.e].f=4 b[0].c=1 b[2][0]=2 b[2][1]=$(x) h=$(y)", TextsIn},
		{"spec", "spec.a[d.e].f=4 spec.b[0].c=1 spec.b[2][0]=2 spec.b[2][1]=$(x) spec.h=$(y)", TextsIn},
		{"spec", "spec.b[2][1]=$(x) spec.h=$(y)", ExpressionsIn},
	} {
		var got []string
		for _, found := range c.find(value, c.path) {
			got = append(got, fmt.Sprint(found.Path, "=", found.Value))
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("below %q: %s\nwant %s", c.path, s, c.want)
		}
	}
	if got := TextsIn("text", "at"); !slices.Equal(got, []Text{{"at", "text"}}) {
		t.Errorf("a text itself: %v", got)
	}
}

// BenchmarkTextsIn visits the texts of a list of 1,000 objects.
func BenchmarkTextsIn(b *testing.B) {
	var list []any
	for i := range 1000 {
		list = append(list, map[string]any{"name": "n", "value": fmt.Sprint("$(params.p", i, ")"), "other": 1})
	}
	b.ReportAllocs()
	for b.Loop() {
		if len(TextsIn(map[string]any{"list": list}, "spec")) != 2000 ||
			len(ExpressionsIn(map[string]any{"list": list}, "spec")) != 1000 {
			b.Fatal("texts are missing")
		}
	}
}
