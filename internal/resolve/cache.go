package resolve

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// cache is a folder with contents by their SHA-256. "" keeps nothing.
type cache string

func (c cache) file(digest string) string { return filepath.Join(string(c), "sha256", digest) }

// errCached says that the cache does not have a content, or has another.
var errCached = errors.New("not in the cache")

// read returns a content, whose digest it verifies: other programs may write to the folder.
func (c cache) read(digest string) ([]byte, error) {
	if c == "" || !digestPattern.MatchString(digest) {
		return nil, errCached
	}
	info, err := os.Stat(c.file(digest))
	if err != nil || !info.Mode().IsRegular() || info.Size() > MaxSize {
		return nil, errCached
	}
	text, err := os.ReadFile(c.file(digest))
	if err != nil || sum(text) != digest {
		return nil, errCached
	}
	return text, nil
}

// write keeps a content, in one step: another run may read it at the same time.
func (c cache) write(text []byte) error {
	if c == "" {
		return nil
	}
	digest := sum(text)
	if _, err := c.read(digest); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Join(string(c), "sha256"), 0o700); err != nil {
		return err
	}
	return replace(c.file(digest), text, 0o600)
}

// replace writes a file in one step.
func replace(name string, text []byte, mode os.FileMode) error {
	file, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Chmod(mode), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), name)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(file.Name()))
	}
	return nil
}
