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

// TestRememberTakesBack holds that an image that its author gets back leaves the record.
func TestRememberTakesBack(t *testing.T) {
	o := ReadOriginals(map[string]any{"tekgate.dev/original-images": `{"a":"m/a","b":"m/x","c":"m/x"}`})
	if got := o.Authors("m/x"); !reflect.DeepEqual(got, []string{"b", "c"}) {
		t.Errorf("the authors of m/x are %v", got)
	}
	o.Remember("n/a", "m/a")
	o.Remember("n/a", "m/a") // in another step
	if o.Of("m/a") != "a" || o.Of("n/a") != "a" {
		t.Errorf("the author of m/a is %s, and of n/a %s", o.Of("m/a"), o.Of("n/a"))
	}
	o.Remember("b", "m/x")
	if text, changed := o.Text(); text != `{"a":"n/a","c":"b"}` || !changed {
		t.Errorf("got %s %v", text, changed)
	}
	o.Remember("a", "n/a")
	o.Remember("c", "b")
	o.Remember("d", "d")
	if text, changed := o.Text(); text != "" || !changed {
		t.Errorf("got %q %v", text, changed)
	}
	if len(o.Authors("n/a")) > 0 {
		t.Error("what was taken back is known still")
	}
}
