package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/published"
	"github.com/tekgate/tekgate/internal/release"
)

// digestOf returns a digest that tells an image from others.
func digestOf(ref image.Reference) string {
	return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(ref.String())))
}

// manifest returns a release file that names images, the second half of them in arguments.
func manifest(images []image.Reference) string {
	var containers, args []string
	for i, ref := range images {
		pinned := ref.String() + "@" + digestOf(ref)
		if i >= len(images)/2 {
			args = append(args, fmt.Sprintf("-x%d-image, '%s'", i, pinned))
			continue
		}
		containers = append(containers, fmt.Sprintf("{name: c%d, image: '%s'}", i, pinned))
	}
	containers = append(containers,
		fmt.Sprintf("{name: last, image: 'quay.io/a/b:1', args: [%s]}", strings.Join(args, ", ")))
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: tekton}\n---\napiVersion: apps/v1\nkind: Deployment\n" +
		"metadata: {name: deployed}\nspec: {template: {spec: {containers: [" + strings.Join(containers, ", ") + "]}}}\n"
}

// site serves release files at the addresses of GitHub.
func site(t *testing.T, files map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		fmt.Fprint(w, text)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

const earlier = "gcr.io/tekton-releases/github.com/tektoncd/pipeline/cmd/nop:v0.27.0\tsha256:" +
	"96c203f18b3eba750fcbf9c018ac1c97a68860053035524f3629ef7093a64d9c\thttps://example.com/release.yaml\n"

// renewed runs the command on a table, and returns what the table is then.
func renewed(t *testing.T, before string, args ...string) (after *published.Table, log string, err error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "table.tsv")
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err = run(t.Context(), append([]string{"--table", file}, args...), &out)
	text, readErr := os.ReadFile(file)
	if readErr != nil {
		t.Fatal(readErr)
	}
	after, parseErr := published.Parse(string(text))
	if parseErr != nil {
		t.Fatal(parseErr)
	}
	return after, out.String(), err
}

// path returns where GitHub has the file of a line.
func path(l line) string { return strings.TrimPrefix(l.url, "https://github.com") }

func lines(t *testing.T) []line {
	t.Helper()
	all, err := embedded(t.Context(), "https://github.com")
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != len(release.Lines)*len(release.Manifests) ||
		path(all[0]) != "/tektoncd/pipeline/releases/download/"+all[0].version+"/release.yaml" ||
		path(all[1]) != "/tektoncd/triggers/releases/download/"+all[1].version+"/release.yaml" ||
		path(all[2]) != "/tektoncd/triggers/releases/download/"+all[2].version+"/interceptors.yaml" {
		t.Fatalf("lines %+v", all)
	}
	return all
}

func TestDownload(t *testing.T) {
	all := lines(t)
	files := map[string]string{}
	for _, l := range all {
		files[path(l)] = manifest(l.images)
	}
	url := site(t, files)
	after, log, err := renewed(t, earlier, "--releases", url)
	if err != nil {
		t.Fatal(err, log)
	}
	for _, l := range all {
		for _, ref := range l.images {
			if got, _ := after.Digest(ref); got != digestOf(ref) {
				t.Errorf("%s has digest %q", ref, got)
			}
		}
	}
	sources := map[string]int{}
	for _, row := range after.Rows {
		sources[row.Source]++
	}
	if sources["https://example.com/release.yaml"] != 1 || sources[url+path(all[0])] != len(all[0].images) {
		t.Errorf("sources %v", sources)
	}
	// Once more, with a file that says something else of one image.
	first := path(all[0])
	files[first] = strings.Replace(files[first], digestOf(all[0].images[0]), digestOf(all[0].images[1]), 1)
	again, _, err := renewed(t, published.Format(after.Rows), "--releases", site(t, files))
	if err == nil || !strings.Contains(err.Error(), "find out why, and remove the wrong row") {
		t.Errorf("another digest: %v", err)
	}
	if got, _ := again.Digest(all[0].images[0]); got != digestOf(all[0].images[0]) {
		t.Errorf("the digest became %s", got)
	}
}

// TestDownloadFails holds that what cannot be had leaves rows empty, says so, and keeps the rest.
func TestDownloadFails(t *testing.T) {
	all := lines(t)
	tests := []struct{ name, file, want string }{
		{"not there", "", "answered 404 Not Found"},
		{"a web page", "<!DOCTYPE html>\n<html>\n", "not a Kubernetes object"},
		{"other images", manifest(all[0].images[1:]), "the file lacks [" + all[0].images[0].String() + "]"},
		{"a digest is missing", strings.Replace(manifest(all[0].images), "@"+digestOf(all[0].images[0]), "", 1),
			"has tag and digest of each image"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			files := map[string]string{}
			var images []image.Reference
			for _, l := range all {
				files[path(l)] = manifest(l.images)
				images = append(images, l.images...)
			}
			delete(files, path(all[0]))
			if tt.file != "" {
				files[path(all[0])] = tt.file
			}
			after, _, err := renewed(t, earlier, "--releases", site(t, files))
			want := fmt.Sprintf("%d of its %[1]d rows are empty", len(all[0].images))
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), want) {
				t.Errorf("error %v, want %q and %q", err, tt.want, want)
			}
			for _, ref := range all[0].images {
				if got, _ := after.Digest(ref); got != "" {
					t.Errorf("%s has digest %q", ref, got)
				}
			}
			if got, _ := after.Digest(all[1].images[0]); got != digestOf(all[1].images[0]) {
				t.Errorf("%s has digest %q", all[1].images[0], got)
			}
			if len(after.Rows) != 1+len(images) {
				t.Errorf("%d rows, want %d", len(after.Rows), 1+len(images))
			}
		})
	}
}

func TestFrom(t *testing.T) {
	all := lines(t)
	folder := t.TempDir()
	other := all[0].images[0]
	other.Tag = "v1.14.0"
	for name, images := range map[string][]image.Reference{"a.yaml": {other}, "b.yml": all[1].images} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(manifest(images)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "README.md"), []byte("no manifest"), 0o600); err != nil {
		t.Fatal(err)
	}
	after, log, err := renewed(t, earlier, "--from", folder, "--source", "https://example.com/x")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range append([]image.Reference{other}, all[1].images...) {
		if got, _ := after.Digest(ref); got != digestOf(ref) {
			t.Errorf("%s has digest %q", ref, got)
		}
	}
	if strings.Count(log, " images of Tekton") != 2 {
		t.Errorf("log:\n%s", log)
	}

	strange := all[0].images[0]
	strange.Path = "tektoncd/pipeline/github.com/tektoncd/pipeline/cmd/new"
	file := filepath.Join(t.TempDir(), "strange.yaml")
	if err := os.WriteFile(file, []byte(manifest([]image.Reference{strange})), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"belong together":                   {"--from", folder},
		"no image of the embedded manifest": {"--from", file, "--source", "x"},
		"no such file":                      {"--from", filepath.Join(folder, "nothing"), "--source", "x"},
		"unknown argument":                  {"x"},
	} {
		after, _, err := renewed(t, earlier, args...)
		if err == nil || !strings.Contains(err.Error(), want) || len(after.Rows) != 1 {
			t.Errorf("%v: error %v, %d rows", args, err, len(after.Rows))
		}
	}
}
