package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxInput is the size that a Secret can have: 1 MiB.
const maxInput = 1 << 20

// ReadFile reads a small file that must not be empty, or standard input for "-". Errors
// call its content what.
func (s Streams) ReadFile(what, path string) ([]byte, error) {
	in := s.In
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", what, err)
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading %s from %s: %w", what, path, err)
	case len(text) > maxInput:
		return nil, fmt.Errorf("reading %s from %s: it is larger than a Secret may be", what, path)
	case len(bytes.TrimSpace(text)) == 0:
		return nil, fmt.Errorf("reading %s from %s: it is empty", what, path)
	}
	return text, nil
}
