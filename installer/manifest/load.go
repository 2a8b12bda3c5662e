// Package manifest reads the manifests of a release and prepares them for a cluster.
//
// It needs no connection to the cluster: everything that can be found wrong in the
// manifests is found before the first request.
package manifest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/internal/release"
)

// maxManifest bounds what is read from one source: a release has 1.6 MB.
const maxManifest = 64 << 20

// Load returns the objects of a manifest, in their order. source is a file, a
// folder (its .yaml, .yml and .json files by path), an http or https URL, or
// "-" for in.
func Load(ctx context.Context, source string, in io.Reader) ([]*unstructured.Unstructured, error) {
	objects, err := load(ctx, source, in)
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", source, err)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf(
			"reading manifest %s: it holds no object: name a Tekton release file such as release.yaml",
			source,
		)
	}
	return objects, nil
}

// Distinct fails when an object stands in the manifests twice: of two different
// ones the last would win, unnoticed.
func Distinct(objects []*unstructured.Unstructured) error {
	var twice []error
	seen := map[string]bool{}
	for _, obj := range objects {
		id := obj.GroupVersionKind().Group + " " + kube.Name(obj)
		if seen[id] {
			twice = append(
				twice,
				fmt.Errorf(
					"%s stands in the manifests twice: name each manifest once, and leave out what is embedded",
					kube.Name(obj),
				),
			)
		}
		seen[id] = true
	}
	return errors.Join(twice...)
}

func load(ctx context.Context, source string, in io.Reader) ([]*unstructured.Unstructured, error) {
	switch {
	case source == "-":
		return read(in)
	case strings.HasPrefix(source, "http://"), strings.HasPrefix(source, "https://"):
		return loadURL(ctx, source)
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, problems.Reason(err)
	}
	if info.IsDir() {
		return loadFolder(source)
	}
	return loadFile(source)
}

func loadFile(path string) ([]*unstructured.Unstructured, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, problems.Reason(err)
	}
	defer file.Close()
	return read(file)
}

func loadFolder(folder string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		found, err := loadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		objects = append(objects, found...)
		return nil
	})
	return objects, err
}

func loadURL(ctx context.Context, source string) ([]*unstructured.Unstructured, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, source, nil)
	if err != nil {
		return nil, problems.Reason(err)
	}
	client := http.Client{Timeout: 2 * time.Minute}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf(
			"%w: where that host is out of reach, leave the flag out to use the embedded release",
			problems.Reason(err),
		)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s", response.Status)
	}
	return read(response.Body)
}

// read decodes a stream of bounded size, so that a wrong URL fills no memory.
func read(in io.Reader) ([]*unstructured.Unstructured, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("it is larger than %d MiB, which no Tekton release is", maxManifest>>20)
	}
	return decode(text)
}

// separator stands between documents; a comment may follow it on its line.
var separator = []byte("\n---")

// decode reads the parts of a large manifest side by side. Where one of them
// is wrong the whole is read again, for the message that counts documents.
func decode(text []byte) ([]*unstructured.Unstructured, error) {
	parts := split(text, runtime.GOMAXPROCS(0))
	read := make([][]*unstructured.Unstructured, len(parts))
	var group errgroup.Group
	for i, part := range parts {
		group.Go(func() (err error) {
			read[i], err = release.Read(bytes.NewReader(part))
			return err
		})
	}
	if group.Wait() != nil {
		return release.Read(bytes.NewReader(text))
	}
	return slices.Concat(read...), nil
}

// split cuts a manifest between documents into parts of much the same size.
func split(text []byte, n int) [][]byte {
	var parts [][]byte
	for ; n > 1; n-- {
		middle := len(text) / n
		end := bytes.Index(text[middle:], separator)
		if end < 0 {
			break
		}
		parts = append(parts, text[:middle+end+1])
		text = text[middle+end+1:]
	}
	return append(parts, text)
}
