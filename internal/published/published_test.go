package published_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/golden"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/published"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/manifests"
)

func embedded(t *testing.T) *published.Table {
	t.Helper()
	table, err := published.Embedded()
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// allObjects returns the objects of all lines.
func allObjects(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	var objects []*unstructured.Unstructured
	for _, line := range release.Lines {
		for _, m := range release.Manifests {
			r, err := manifests.TektonOf(line, m.Name)
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, r.Objects...)
		}
	}
	return objects
}

// TestTable holds that each image of Tekton that is compiled in has a row, and that the file is
// as the program writes it.
func TestTable(t *testing.T) {
	table := embedded(t)
	rows := map[image.Reference]bool{}
	for _, row := range table.Rows {
		rows[row.Image] = true
	}
	tektons := 0
	for _, obj := range allObjects(t) {
		for _, field := range object.Images(obj.Object) {
			ref, err := image.Parse(field.Value)
			if err != nil {
				t.Fatal(err)
			}
			if !published.IsTekton(ref) {
				continue
			}
			if tektons++; !rows[ref] {
				t.Errorf("%s has no row: run go run ./internal/published/renew", ref)
			}
		}
	}
	if tektons < 12*len(release.Lines) {
		t.Errorf("only %d images of Tekton were looked up", tektons)
	}
	golden.Equal(t, "digests.tsv", []byte(published.Format(table.Rows)))
}

// TestDigest holds that an image is found by its name of then and by the one that it has today.
func TestDigest(t *testing.T) {
	const nop = "sha256:96c203f18b3eba750fcbf9c018ac1c97a68860053035524f3629ef7093a64d9c"
	const path = "github.com/tektoncd/pipeline/cmd/nop:v0.27.0"
	tests := []struct {
		ref, want string
		tekton    bool
	}{
		{"gcr.io/tekton-releases/" + path, nop, true},
		{"ghcr.io/tektoncd/" + path, nop, true},
		{"asia.gcr.io/tekton-releases/" + path, nop, true},
		{"gcr.io/tekton-releases/" + path + "@sha256:" + strings.Repeat("0", 64), nop, true},
		{"ghcr.io/tektoncd/triggers/webhook-dd1edc925ee1772a9f76e2c1bc291ef6:v0.36.0",
			"sha256:02d25a89d4b58e7cf341ea32c44d4938eaa3a43b6eafb61d88b9abb0d8a6f67d", true},
		{"gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.1.0", "", true},
		{"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop@" + nop, nop, true},
		{"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/webhook@" + nop, "", true},
		{"ghcr.io/tektoncd/github.com/tektoncd/pipeline/cmd/nop", "", true},
		{"cgr.dev/chainguard/busybox:latest", "", false},
		{"r.example.com/tektoncd/x:v1", "", false},
	}
	for _, tt := range tests {
		ref, err := image.Parse(tt.ref)
		if err != nil {
			t.Fatal(err)
		}
		if got, tekton := embedded(t).Digest(ref); got != tt.want || tekton != tt.tekton {
			t.Errorf("%s: %q, %v", tt.ref, got, tekton)
		}
	}
}

func TestParse(t *testing.T) {
	digest := "sha256:" + strings.Repeat("ab", 32)
	const old = "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.0"
	living := strings.Replace(old, "gcr.io/tekton-releases", "ghcr.io/tektoncd", 1)
	tests := []struct{ text, want string }{
		{"# a comment\n\n" + old + "\t" + digest + "\thttps://x\n", ""},
		{old + "\t\tnot obtained\n", ""},
		{old + "\t" + digest + "\thttps://x\n" + living + "\t\tnot obtained\n", "line 2: image " + living + " has two rows"},
		{old + "\t" + digest, "line 1: 2 fields"},
		{old + "\tsha256:12\thttps://x", "not a SHA-256 digest"},
		{old + "\t" + digest + "\t", "does not fit"},
		{old + "\t" + digest + "\tnot obtained", "does not fit"},
		{old + "\t\thttps://x", "does not fit"},
		{old + "@" + digest + "\t" + digest + "\thttps://x", "want a full name with a tag"},
		{"ghcr.io/tektoncd/x\t" + digest + "\thttps://x", "want a full name with a tag"},
		{"quay.io/a/b:v1\t" + digest + "\thttps://x", "is not Tekton's"},
		{"A B\t" + digest + "\thttps://x", "parsing image"},
	}
	for _, tt := range tests {
		_, err := published.Parse(tt.text)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: error %v, want %q", tt.text, err, tt.want)
		}
	}
}

// TestDocs compares the table of releases in docs/mirrors.md with the digests. With -update it
// writes the table.
func TestDocs(t *testing.T) {
	type count struct{ images, digests int }
	releases := map[string]*count{}
	for _, row := range embedded(t).Rows {
		component, _, ok := row.Image.Tekton()
		if !ok {
			t.Errorf("%s is of no component", row.Image)
		}
		name := component + " " + row.Image.Tag
		if releases[name] == nil {
			releases[name] = &count{}
		}
		releases[name].images++
		if row.Digest != "" {
			releases[name].digests++
		}
	}
	var table strings.Builder
	table.WriteString("| release | images of Tekton | digests |\n|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(releases)) {
		fmt.Fprintf(&table, "| %s | %d | %d |\n", name, releases[name].images, releases[name].digests)
	}
	page := filepath.Join("..", "..", "docs", "mirrors.md")
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	const head = "<!-- published: checked by a test -->\n"
	before, rest, found := strings.Cut(string(text), head)
	_, after, closed := strings.Cut(rest, "<!-- end -->")
	if !found || !closed {
		t.Fatalf("%s has no place for the releases", page)
	}
	golden.Equal(t, page, []byte(before+head+table.String()+"<!-- end -->"+after))
}
