package reload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/tekgate/tekgate/internal/reload"
)

// subject is a file whose texts are good unless they say bad.
type subject struct {
	reload.File
	inForce string
	heard   []error
}

func newSubject(t *testing.T, text string) *subject {
	t.Helper()
	s := &subject{}
	s.File = reload.File{
		Path: filepath.Join(t.TempDir(), "config.yaml"), Interval: 2 * time.Second,
		Use: func(text []byte) error {
			if strings.Contains(string(text), "bad") {
				return errors.New("it is bad")
			}
			s.inForce = string(text)
			return nil
		},
		Changed: func(_ context.Context, err error) { s.heard = append(s.heard, err) },
	}
	s.write(t, text)
	return s
}

func (s *subject) write(t *testing.T, text string) {
	t.Helper()
	if err := os.WriteFile(s.Path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLook(t *testing.T) {
	s := newSubject(t, "first")
	if err := s.Load(); err != nil || s.inForce != "first" {
		t.Fatalf("%q is in force, error %v", s.inForce, err)
	}
	for _, step := range []struct {
		name, inForce, heard string // heard is a part of the error, "" for none
		change               func()
		silent               bool
	}{
		{name: "nothing", change: func() {}, inForce: "first", silent: true},
		{name: "another good one", change: func() { s.write(t, "second") }, inForce: "second"},
		{name: "a bad one", change: func() { s.write(t, "bad") }, inForce: "second", heard: "config.yaml: it is bad"},
		{name: "another bad one", change: func() { s.write(t, "bad too") }, inForce: "second", heard: "it is bad"},
		{name: "none", change: func() { os.Remove(s.Path) }, inForce: "second", heard: "reading the configuration"},
		{name: "the one in force again", change: func() { s.write(t, "second") }, inForce: "second"},
	} {
		s.heard = nil
		step.change()
		for range 3 {
			s.Look(t.Context())
		}
		if s.inForce != step.inForce {
			t.Errorf("%s: %q is in force, want %q", step.name, s.inForce, step.inForce)
		}
		if want := 1; step.silent && len(s.heard) > 0 || !step.silent && len(s.heard) != want {
			t.Errorf("%s: told %d times: %v", step.name, len(s.heard), s.heard)
			continue
		}
		if !step.silent && ((s.heard[0] == nil) != (step.heard == "") || s.heard[0] != nil &&
			!strings.Contains(s.heard[0].Error(), step.heard)) {
			t.Errorf("%s: told %v, want %q", step.name, s.heard[0], step.heard)
		}
	}
}

func TestLoadFails(t *testing.T) {
	s := newSubject(t, "bad")
	if err := s.Load(); err == nil || !strings.Contains(err.Error(), s.Path) || s.inForce != "" {
		t.Errorf("%q is in force, error %v", s.inForce, err)
	}
	s.Path += ".none"
	if err := s.Load(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestRun replaces the file as the kubelet does: the name is a symbolic link, to
// another file each time.
func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSubject(t, "")
		dir := filepath.Dir(s.Path)
		link := func(to, text string) {
			t.Helper()
			target, fresh := filepath.Join(dir, to), filepath.Join(dir, "fresh")
			if err := errors.Join(os.WriteFile(target, []byte(text), 0o600), os.Symlink(target, fresh),
				os.Rename(fresh, s.Path)); err != nil {
				t.Fatal(err)
			}
		}
		link("one", "first")
		if err := s.Load(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go s.Run(ctx)
		link("two", "second")
		time.Sleep(s.Interval + time.Second)
		if s.inForce != "second" || len(s.heard) != 1 {
			t.Errorf("%q is in force, told %v", s.inForce, s.heard)
		}
		cancel()
		synctest.Wait()
		link("three", "third")
		time.Sleep(time.Hour)
		if s.inForce != "second" {
			t.Error("the file is read after the end")
		}
	})
}

// Without a file there is one configuration, the built-in one.
func TestNoFile(t *testing.T) {
	used := 0
	f := reload.File{Use: func(text []byte) error {
		used++
		if text != nil {
			t.Errorf("got %q", text)
		}
		return nil
	}}
	if err := f.Load(); err != nil {
		t.Error(err)
	}
	f.Run(t.Context())
	if used != 1 {
		t.Errorf("used %d times", used)
	}
}

func TestOneLine(t *testing.T) {
	if got := reload.OneLine(errors.Join(errors.New("a"), errors.New("b"))); got != "a; b" {
		t.Errorf("got %q", got)
	}
	got := reload.OneLine(errors.New("x" + strings.Repeat("é", 800)))
	if len(got) > 1000 || !utf8.ValidString(got) || !strings.HasSuffix(got, "é…") {
		t.Errorf("got %d bytes: %q", len(got), got)
	}
}
