package registry

import (
	"errors"
	"io"
	"reflect"
	"testing"
)

// TestBlobErrorsCompare holds that the error of an upload whose source fails can be compared: net/http
// compares the errors of a request's body, which panics where their type does not allow that.
func TestBlobErrorsCompare(t *testing.T) {
	s := &stream{err: io.ErrUnexpectedEOF, moved: func(int64) {}}
	err := s.reason(io.ErrClosedPipe)
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v, want that of the source", err)
	}
	if !reflect.TypeOf(err).Comparable() {
		t.Errorf("errors of type %T cannot be compared", err)
	}
}
