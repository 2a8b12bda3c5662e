package golden

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Folders returns the folders of all cases, testdata/<rule>/<case>, and nothing
// of the fuzzer's corpus.
func Folders(t testing.TB) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/*/*")
	if err != nil {
		t.Fatal(err)
	}
	var cases []string
	for _, folder := range all {
		info, err := os.Stat(folder)
		if err == nil && info.IsDir() && !strings.HasPrefix(folder, "testdata/fuzz/") {
			cases = append(cases, folder)
		}
	}
	return cases
}

// Chapter renders one rule for a RULES.md.
func Chapter(id, doc string, kinds []schema.GroupVersionKind) string {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		names = append(names, fmt.Sprintf("%s `%s`", kind.Kind, kind.GroupVersion()))
	}
	return fmt.Sprintf("\n## %s\n\nKinds: %s\n\n%s\n", id, strings.Join(names, ", "), doc)
}
