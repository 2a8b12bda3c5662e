package support

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// bundleWriter takes files.
type bundleWriter interface {
	add(name string, text []byte) error
	close() error
}

// openBundle makes an archive, or a folder where the name is none of an archive. Nobody
// else may read either: logs may hold anything.
func openBundle(name string) (bundleWriter, error) {
	if !strings.HasSuffix(name, ".tar.gz") && !strings.HasSuffix(name, ".tgz") {
		if err := os.MkdirAll(name, 0o700); err != nil {
			return nil, fmt.Errorf("making the bundle's folder: %w", err)
		}
		return folderBundle(name), nil
	}
	file, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("making the bundle's file: %w", err)
	}
	zip := gzip.NewWriter(file)
	root := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(name), ".tar.gz"), ".tgz")
	return &archiveBundle{root: root, file: file, zip: zip, tar: tar.NewWriter(zip)}, nil
}

type folderBundle string

func (f folderBundle) add(name string, text []byte) error {
	file := filepath.Join(string(f), filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("making a folder of the bundle: %w", err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

func (f folderBundle) close() error { return nil }

// archiveBundle has everything below a folder of its name.
type archiveBundle struct {
	root string
	file *os.File
	zip  *gzip.Writer
	tar  *tar.Writer
}

func (a *archiveBundle) add(name string, text []byte) error {
	header := &tar.Header{Typeflag: tar.TypeReg, Name: path.Join(a.root, name), Mode: 0o600, Size: int64(len(text)),
		ModTime: time.Now()}
	if err := a.tar.WriteHeader(header); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	if _, err := a.tar.Write(text); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

func (a *archiveBundle) close() error {
	if err := errors.Join(a.tar.Close(), a.zip.Close(), a.file.Close()); err != nil {
		return fmt.Errorf("writing the bundle: %w", err)
	}
	return nil
}

// cleanForBundle takes away what only fills pages, and values that are secret by the
// names of their variables.
func cleanForBundle(object *unstructured.Unstructured) {
	object.SetManagedFields(nil)
	if annotations := object.GetAnnotations(); annotations != nil {
		delete(annotations, "kubectl.kubernetes.io/last-applied-configuration")
		object.SetAnnotations(annotations)
	}
	hideValues(object.Object)
}

// secretName is what people call variables with secrets in them.
var secretName = lazyregexp.New(`(?i)passw|passphrase|token|secret|credential|(private|access|api)[-_]?key`)

// hiddenValue stands in the place of a value.
const hiddenValue = "(left out of the bundle)"

// hideValues goes through all name and value pairs, wherever steps and containers stand.
// References to Secrets have no value, and stay.
func hideValues(value any) {
	switch value := value.(type) {
	case map[string]any:
		name, named := value["name"].(string)
		if text, has := value["value"].(string); named && has && text != "" && secretName.MatchString(name) {
			value["value"] = hiddenValue
		}
		for _, inner := range value {
			hideValues(inner)
		}
	case []any:
		for _, inner := range value {
			hideValues(inner)
		}
	}
}
