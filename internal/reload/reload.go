// Package reload keeps in force what a configuration file says.
//
// The file is read again and again: the kubelet replaces a mounted ConfigMap within
// a minute or so, by a symbolic link that no watch of the file itself would notice,
// and a file that is edited by hand is noticed the same way. A file that is wrong,
// or gone, changes nothing but what is told, once for each state of it.
package reload

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// File is a configuration file. It is not safe for use by several goroutines: Load
// comes first, and then Run or Look.
type File struct {
	Path     string        // none: Use is called once, with nothing
	Interval time.Duration // between two looks
	// Use puts what a text says in force, or returns what is wrong with it and
	// changes nothing.
	Use func(text []byte) error
	// Changed hears after the file has changed: nil where it is in force now, and
	// otherwise why what was is still.
	Changed func(ctx context.Context, err error)

	seen [sha256.Size]byte
}

// Load reads the file for the first time, when being wrong is fatal.
func (f *File) Load() error {
	text, err := f.read()
	if err != nil {
		return err
	}
	f.seen = sha256.Sum256(text)
	return f.use(text)
}

// Run looks at the file until ctx ends.
func (f *File) Run(ctx context.Context) {
	if f.Path == "" {
		return
	}
	_ = wait.PollUntilContextCancel(ctx, f.Interval, false, func(ctx context.Context) (bool, error) {
		f.Look(ctx)
		return false, nil
	})
}

// Look uses the file if it has changed since it was read the last time.
func (f *File) Look(ctx context.Context) {
	text, err := f.read()
	state := sha256.Sum256(text)
	if err != nil {
		state = sha256.Sum256([]byte("error: " + err.Error()))
	}
	if state == f.seen {
		return
	}
	f.seen = state
	if err == nil {
		err = f.use(text)
	}
	f.Changed(ctx, err)
}

func (f *File) read() ([]byte, error) {
	if f.Path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(f.Path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return text, nil
}

func (f *File) use(text []byte) error {
	if err := f.Use(text); err != nil {
		return fmt.Errorf("configuration %s: %w", f.Path, err)
	}
	return nil
}

// OneLine returns the text of an error as an Event can hold it.
func OneLine(err error) string {
	const longest = 900 // an Event's note may have 1,024 bytes
	text := strings.ReplaceAll(err.Error(), "\n", "; ")
	if len(text) > longest {
		text = strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
