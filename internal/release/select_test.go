package release_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/release"
)

func TestFindLine(t *testing.T) {
	newest := release.Newest()
	older := release.Lines[1]
	tests := []struct {
		text string
		want string   // the line's name
		says []string // in the error
	}{
		{newest.Name, newest.Name, nil},
		{"newest", newest.Name, nil},
		{"latest", newest.Name, nil},
		{older.Name, older.Name, nil},
		{strings.TrimPrefix(older.Name, "v"), older.Name, nil},
		{older.Pipeline, older.Name, nil},
		{"V" + strings.TrimPrefix(older.Pipeline, "v"), older.Name, nil},
		{"v1.12.99", "", []string{"v1.12.99 is not compiled", "it has " + older.Pipeline + " of this line",
			"/pipeline/previous/v1.12.99/release.yaml"}},
		{"1.13", "", []string{"v1.13.0 is not compiled", "nearest lines that it has are v1.15", "v1.12",
			"--pipeline-manifest https://infra.tekton.dev/tekton-releases/pipeline/previous/v1.13.0/release.yaml",
			"--triggers-manifest"}},
		{"v9.0.0", "", []string{"the nearest line that it has is " + newest.Name + " (", "): choose that, or pass"}},
		{"v0.27.3", "", []string{"the nearest line that it has is v1.6 (", "): choose that, or pass"}},
		{"lts", "", []string{`"lts" is neither a line nor a version`, "v1.12 ("}},
		{"", "", []string{"neither"}},
	}
	for _, tt := range tests {
		got, err := release.FindLine(tt.text)
		if got.Name != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%q: line %q, error %v", tt.text, got.Name, err)
		}
		for _, want := range tt.says {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q: error %v lacks %q", tt.text, err, want)
			}
		}
	}
	if _, err := release.FindLine("v0.27.3"); strings.Contains(err.Error(), "v1.9 (") {
		t.Errorf("a line that is not near is named: %v", err)
	}
}

func TestLineOf(t *testing.T) {
	for version, want := range map[string]string{
		"v1.12.0": "v1.12", "v1.12.2": "v1.12", "v1.14.0": "", "devel": "", "": "",
	} {
		if got, ok := release.LineOf(version); got.Name != want || ok != (want != "") {
			t.Errorf("%s: %q", version, got.Name)
		}
	}
}

func TestEnded(t *testing.T) {
	l := release.Line{EndOfLife: "2026-10-31"}
	for day, want := range map[string]bool{"2026-10-30": false, "2026-10-31": false, "2026-11-01": true} {
		now, err := time.Parse(time.DateOnly, day)
		if err != nil {
			t.Fatal(err)
		}
		if l.Ended(now.Add(12*time.Hour)) != want {
			t.Errorf("%s: ended is %v", day, !want)
		}
	}
}
