package installer

import (
	"strings"
	"testing"
	"time"

	lines "github.com/tekgate/tekgate/internal/release"
)

func TestCheckLine(t *testing.T) {
	newest, oldest := lines.Newest(), lines.Lines[len(lines.Lines)-1]
	day := func(text string) time.Time {
		at, err := time.Parse(time.DateOnly, text)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	tests := []struct {
		name               string
		pipeline, triggers string
		now                time.Time
		want               []string // in the findings, one each
	}{
		{"the newest", newest.Pipeline, newest.Triggers, day(newest.Released), nil},
		{"its last day", oldest.Pipeline, oldest.Triggers, day(oldest.EndOfLife), nil},
		{"the day after", oldest.Pipeline, oldest.Triggers, day(oldest.EndOfLife).AddDate(0, 0, 1),
			[]string{"ended on " + oldest.EndOfLife}},
		{"another patch release", "v1.6.0", oldest.Triggers, day(oldest.EndOfLife).AddDate(1, 0, 0),
			[]string{"`tekgate upgrade --to " + newest.Name + "`"}},
		{"no time", oldest.Pipeline, oldest.Triggers, time.Time{}, nil},
		{"old Triggers", newest.Pipeline, oldest.Triggers, time.Time{},
			[]string{"install Triggers " + newest.Triggers}},
		{"a patch of Triggers", newest.Pipeline, newest.Triggers + "-rc1", time.Time{}, nil},
		{"newer Triggers", oldest.Pipeline, newest.Triggers, time.Time{}, nil},
		{"no line", "v1.14.0", "v0.20.0", day("2030-01-01"), nil},
		{"no version", "devel", "", day("2030-01-01"), nil},
	}
	for _, tt := range tests {
		found := checkLine(Release{Versions: Versions{Pipeline: tt.pipeline, Triggers: tt.triggers}}, tt.now)
		if len(found) != len(tt.want) {
			t.Errorf("%s: %v", tt.name, found)
			continue
		}
		for i, want := range tt.want {
			if found[i].Fatal || !strings.Contains(found[i].String(), want) {
				t.Errorf("%s: %v lacks %q", tt.name, found[i], want)
			}
		}
	}
}

func TestBecomes(t *testing.T) {
	was := Versions{Pipeline: "v1.9.6", Triggers: "v0.37.0", Tekgate: "v0.2.0"}
	is := Versions{Pipeline: "v1.15.1", Triggers: "v0.37.0", Tekgate: "v0.1.0"}
	got := strings.Join(becomes(was, is), "; ")
	want := "this upgrades Tekton Pipelines from v1.9.6 to v1.15.1; this downgrades Tekgate from v0.2.0 to v0.1.0"
	if got != want {
		t.Errorf("%q", got)
	}
	if got := becomes(Versions{}, is); got != nil {
		t.Errorf("a new installation: %q", got)
	}
	if got := becomes(Versions{Pipeline: "devel"}, is); len(got) != 1 || !strings.Contains(got[0], "replaces") {
		t.Errorf("an unknown version: %q", got)
	}
}
