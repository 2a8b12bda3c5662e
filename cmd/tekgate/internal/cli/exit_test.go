package cli

import (
	"errors"
	"fmt"
	"testing"
)

func TestStatus(t *testing.T) {
	err := fmt.Errorf("wrapped: %w", Exit(2, errors.New("x")))
	if Status(err) != 2 || Status(errors.New("x")) != 1 || Status(nil) != 0 {
		t.Error("the exit status is not what it says")
	}
	if Status(Exit(2, Exit(1, errors.New("x")))) != 1 || Exit(2, nil) != nil {
		t.Error("a status does not stay")
	}
}
