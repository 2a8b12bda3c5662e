package child

import "testing"

func TestEnd(t *testing.T) {
	l := &Log{}
	for _, line := range []string{"first\n", "second\n", "third\n"} {
		if _, err := l.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	for size, want := range map[int]string{100: "first\nsecond\nthird\n", 12: "third\n", 6: ""} {
		if got := l.End(size); got != want {
			t.Errorf("the end of %d bytes is %q, want %q", size, got, want)
		}
	}
}
