package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

// ExitError is an error with an exit status of its own.
type ExitError struct {
	Status int
	Err    error
}

func (e *ExitError) Error() string { return e.Err.Error() }

// Unwrap returns the error without its status.
func (e *ExitError) Unwrap() error { return e.Err }

// Exit gives an error an exit status; nil stays nil. An error that has a status keeps it.
func Exit(status int, err error) error {
	var has *ExitError
	if err == nil || errors.As(err, &has) {
		return err
	}
	return &ExitError{Status: status, Err: err}
}

// FlagErrors gives the errors of a command's flags an exit status.
func FlagErrors(cmd *cobra.Command, status int) {
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Exit(status, cmd.Parent().FlagErrorFunc()(cmd, err))
	})
}

// Status returns the exit status of an error: 0 for nil, 1 unless Exit gave it another.
func Status(err error) int {
	var own *ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &own):
		return own.Status
	}
	return 1
}
