package golden

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
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

// Read returns the content of a case's file.
func Read(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// ReadOptional returns nil where the file is not there.
func ReadOptional(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return data
}

// JSON turns a case's YAML into the JSON that an API server would send.
func JSON(t testing.TB, in []byte) []byte {
	t.Helper()
	out, err := yaml.YAMLToJSONStrict(in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Chapter renders one rule for a RULES.md.
func Chapter(id, doc string, kinds []schema.GroupVersionKind) string {
	names := make([]string, 0, len(kinds))
	for _, kind := range kinds {
		names = append(names, fmt.Sprintf("%s `%s`", kind.Kind, kind.GroupVersion()))
	}
	return fmt.Sprintf("\n## %s\n\nKinds: %s\n\n%s\n", id, strings.Join(names, ", "), doc)
}
