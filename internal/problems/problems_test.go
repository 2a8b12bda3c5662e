package problems_test

import (
	"errors"
	"io"
	"testing"

	"github.com/tekgate/tekgate/internal/problems"
)

func TestPrefix(t *testing.T) {
	if err := problems.Prefix("a.", nil); err != nil {
		t.Errorf("no problem became %v", err)
	}
	if err := problems.Prefix("a.", io.EOF); err.Error() != "a.EOF" || !errors.Is(err, io.EOF) {
		t.Errorf("got %v", err)
	}
	joined := errors.Join(io.EOF, errors.Join(io.ErrNoProgress, errors.New("x")))
	if got, want := problems.Prefix("a.", joined).Error(), "a.EOF\na."+io.ErrNoProgress.Error()+"\na.x"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFlatten(t *testing.T) {
	err := problems.Flatten(errors.Join(io.EOF, errors.Join(io.ErrNoProgress, io.ErrClosedPipe)))
	if got := len(problems.Split(err)); got != 3 {
		t.Errorf("%d problems, want 3", got)
	}
	if joined, ok := err.(interface{ Unwrap() []error }); !ok || len(joined.Unwrap()) != 3 {
		t.Errorf("%v is not flat", err)
	}
}
