package document

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// StandardInput is what a document's file is called that came from there.
const StandardInput = "standard input"

// extensions are the endings of files that are read from a folder.
var extensions = []string{".yaml", ".yml", ".json"}

// Files returns the names of the files that a path stands for: itself, or the
// files with one of the extensions in the folder and those below it, by name.
// "-" stands for standard input.
func Files(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, reason(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	err = filepath.WalkDir(path, func(file string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fmt.Errorf("reading %s: %w", file, reason(err))
		case entry.IsDir() && entry.Name() == ".git":
			return fs.SkipDir
		case !entry.IsDir() && slices.Contains(extensions, filepath.Ext(file)):
			files = append(files, file)
		}
		return nil
	})
	return files, err
}

// ReadFile reads the documents of a file, those of in for "-".
func ReadFile(file string, in io.Reader) ([]*Document, error) {
	if file == "-" {
		return Read(StandardInput, in)
	}
	opened, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", file, reason(err))
	}
	defer opened.Close()
	return Read(file, opened)
}

// reason strips from an error the path, which the message around it says.
func reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// ReplaceFile puts a text into a file in one step, so that nobody reads half of it. Of
// a symbolic link the target is replaced; the file keeps its mode.
func ReplaceFile(name string, text []byte) error {
	target, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(target)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return err
	}
	_, err = temporary.Write(text)
	err = errors.Join(err, temporary.Chmod(info.Mode().Perm()), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), target)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
	}
	return err
}
