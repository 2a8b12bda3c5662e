package record

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
)

// TestRemember holds Remember to the simple way, which encodes all that is known
// each time, around the length at which the annotation is full.
func TestRemember(t *testing.T) {
	for _, long := range []int{1, 100, 700, 1300, 2600} {
		for _, mark := range []string{"x", "<", "\xff"} {
			o, want := Originals{}, map[string]string(nil)
			for i := range 40 {
				before, now := fmt.Sprint(strings.Repeat(mark, long), i),
					fmt.Sprint("m/", strings.Repeat(mark, long/2), i)
				if i%5 == 4 { // what took a place is replaced itself
					before = fmt.Sprint("m/", strings.Repeat(mark, long/2), i-2)
				}
				o.Remember(now, before)
				if want = rememberSimply(want, now, before); len(o.became)+len(want) > 0 &&
					!reflect.DeepEqual(o.became, want) {
					t.Fatalf("%d of %q, image %d: got %d, want %d", long, mark, i, len(o.became), len(want))
				}
			}
		}
	}
}

func rememberSimply(known map[string]string, now, before string) map[string]string {
	originals := maps.Clone(known)
	if originals == nil {
		originals = map[string]string{}
	}
	replaced := false
	for author, became := range originals {
		if became == before {
			originals[author] = now
			replaced = true
		}
	}
	if !replaced {
		originals[before] = now
	}
	if text, err := json.Marshal(originals); err != nil || len(text) > MaxOriginals {
		return known
	}
	return originals
}
