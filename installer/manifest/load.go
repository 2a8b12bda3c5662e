// Package manifest reads the manifests of a release and prepares them for a cluster.
//
// It needs no connection to the cluster: everything that can be found wrong in the
// manifests is found before the first request.
package manifest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
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

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/internal/release"
)

// maxManifest bounds what is read from one source: a release has 1.6 MB.
const maxManifest = 64 << 20

// Loader reads manifests.
type Loader struct {
	// In is standard input.
	In io.Reader
	// SHA256 are the hexadecimal digests of the files that may be read; if empty, any
	// file may.
	SHA256 []string
	// PlainHTTP allows sources that begin with http://. Anyone between here and their
	// server can change them.
	PlainHTTP bool
	// Transport of sources that are URLs; nil for the default one.
	Transport http.RoundTripper
}

// Load returns the objects of a manifest, in their order. source is a file, a
// folder (its .yaml, .yml and .json files by path), an http or https URL, or
// "-" for standard input.
func (l Loader) Load(ctx context.Context, source string) ([]*unstructured.Unstructured, error) {
	objects, err := l.load(ctx, source)
	if err != nil {
		return nil, fmt.Errorf("reading manifest %s: %w", printable(source), err)
	}
	if len(objects) == 0 {
		return nil, fmt.Errorf(
			"reading manifest %s: it holds no object: name a Tekton release file such as release.yaml",
			printable(source),
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

func (l Loader) load(ctx context.Context, source string) ([]*unstructured.Unstructured, error) {
	switch {
	case source == "-":
		return l.read(l.In)
	case isURL(source):
		return l.loadURL(ctx, source)
	}
	info, err := os.Stat(source)
	if err != nil {
		return nil, problems.Reason(err)
	}
	if info.IsDir() {
		return l.loadFolder(source)
	}
	return l.loadFile(source)
}

func (l Loader) loadFile(path string) ([]*unstructured.Unstructured, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, problems.Reason(err)
	}
	defer file.Close()
	return l.read(file)
}

func (l Loader) loadFolder(folder string) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(path)) {
			return err
		}
		found, err := l.loadFile(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		objects = append(objects, found...)
		return nil
	})
	return objects, err
}

// read decodes a stream of bounded size, so that a wrong URL fills no memory. Nothing of
// it is decoded before its digest is known to be right.
func (l Loader) read(in io.Reader) ([]*unstructured.Unstructured, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxManifest+1))
	if err != nil {
		return nil, problems.Reason(err)
	}
	if len(text) > maxManifest {
		return nil, fmt.Errorf("it is larger than %d MiB, which no Tekton release is", maxManifest>>20)
	}
	if err := l.verify(text); err != nil {
		return nil, err
	}
	return decode(text)
}

// verify fails if digests are given and the text has none of them.
func (l Loader) verify(text []byte) error {
	sum := sha256.Sum256(text)
	digest := hex.EncodeToString(sum[:])
	if len(l.SHA256) == 0 || slices.ContainsFunc(l.SHA256, func(want string) bool {
		return strings.EqualFold(want, digest)
	}) {
		return nil
	}
	return fmt.Errorf("its SHA-256 is %s, which --sha256 does not name: "+
		"get the file again, or pass that digest if you have checked it", digest)
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
