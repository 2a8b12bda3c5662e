package golden_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/golden"
)

// recorder takes the place of the test that calls Equal, to see what it is told.
type recorder struct {
	testing.TB
	told []string
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.told = append(r.told, fmt.Sprintf(format, args...))
}

func TestEqual(t *testing.T) {
	path := filepath.Join(t.TempDir(), "want.txt")
	if err := os.WriteFile(path, []byte("one\ntwo\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path, got, want string
	}{
		{name: "equal", path: path, got: "one\ntwo\n"},
		{name: "differs", path: path, got: "one\nthree\n", want: "-two\n+three\n"},
		{name: "missing", path: path + ".missing", got: "one\n", want: "run this test with -update"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := &recorder{TB: t}
			golden.Equal(r, tt.path, []byte(tt.got))
			if told := strings.Join(r.told, "\n"); (told == "") != (tt.want == "") || !strings.Contains(told, tt.want) {
				t.Errorf("told %q, want %q in it", told, tt.want)
			}
		})
	}
}
