package tekgate_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	// namedTest is a test in the last column of the threat model. A folder counts for the
	// tests that follow it.
	namedTest = regexp.MustCompile("`((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	folder    = regexp.MustCompile("`([a-z][a-z/]*)`")
)

// TestThreatModel holds that every threat of docs/threat-model.md has a test, and that the
// tests exist.
func TestThreatModel(t *testing.T) {
	text, err := os.ReadFile("docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	threats := 0
	for line := range strings.Lines(string(text)) {
		columns := strings.Split(line, "|")
		if len(columns) != 5 || strings.HasPrefix(line, "|---") || strings.HasPrefix(line, "| threat") {
			continue
		}
		threats++
		if !namedTest.MatchString(columns[3]) {
			t.Errorf("no test is named for %s", columns[1])
		}
		in := ""
		for _, word := range strings.Fields(strings.ReplaceAll(columns[3], ",", " ")) {
			if match := folder.FindStringSubmatch(word); match != nil {
				in = match[1]
			}
			if match := namedTest.FindStringSubmatch(word); match != nil && !declares(t, in, match[1]) {
				t.Errorf("%s has no test %s", in, match[1])
			}
		}
	}
	if threats < 20 {
		t.Errorf("%d threats were read", threats)
	}
}

// declares reports whether a test file of a folder declares a function.
func declares(t *testing.T, folder, function string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(text), "\nfunc "+function+"(") {
			return true
		}
	}
	return false
}
