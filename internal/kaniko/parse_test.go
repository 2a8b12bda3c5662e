package kaniko_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/kaniko"
)

func TestParse(t *testing.T) {
	for _, c := range []struct{ words, want string }{
		{"--destination=a --insecure", "destination=a@0 insecure=true@1"},
		{"--destination a -d b -dc -d=e", "destination=a@0 d=b@2 d=c@4 d=e@5"},
		{"--insecure false --cache=false", "insecure=true@0 cache=false@2"},
		{"--snapshotMode redo word --nonsense -v", "snapshotMode=redo@0 nonsense=@3 v=@4"},
		{"--context dir:///x -- --insecure", "context=dir:///x@0"},
		{"- -- --insecure", ""},
	} {
		var got []string
		for _, s := range kaniko.Parse(strings.Fields(c.words)) {
			got = append(got, fmt.Sprintf("%s=%s@%d", s.Name, s.Value, s.At))
			if (s.Flag == nil) != (s.Name == "nonsense") {
				t.Errorf("%s: flag %q is found as %v", c.words, s.Name, s.Flag)
			}
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: got %q, want %q", c.words, text, c.want)
		}
	}
}

func TestFlagsAreComplete(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range kaniko.Flags {
		if seen[f.Name] {
			t.Errorf("--%s is there twice", f.Name)
		}
		seen[f.Name] = true
		if (f.Since == "") == (f.Never == "") {
			t.Errorf("--%s has to have either a release or a reason", f.Name)
		}
	}
}
