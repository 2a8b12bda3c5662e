// Package problems takes errors apart for the messages that contain them: a joined error
// has one error per problem of an input.
package problems

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
)

// Split returns the single problems of an error: the errors that errors.Join put
// together, also of joins within joins; err itself if it is not joined; none for nil.
func Split(err error) []error {
	if err == nil {
		return nil
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, Split(e)...)
	}
	return all
}

// Flatten returns a single join of all problems of err, so that each prints as a line.
func Flatten(err error) error { return errors.Join(Split(err)...) }

// Prefix puts prefix before each problem of err, and joins them again. Each problem
// stays reachable by errors.Is and errors.As.
func Prefix(prefix string, err error) error {
	all := Split(err)
	for i, e := range all {
		all[i] = fmt.Errorf("%s%w", prefix, e)
	}
	return errors.Join(all...)
}

// Reason returns the cause of an error about a path or URL without that path or URL,
// which the message around it contains already.
func Reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	var request *url.Error
	if errors.As(err, &request) {
		return request.Err
	}
	return err
}
