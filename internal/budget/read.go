package budget

import (
	"errors"
	"io"
)

// ReadAll reads a body whose header says that it has length bytes, or -1, into
// buffer as far as that is large enough. A new one grows to at most four times of
// what has come, so that what is announced and never sent costs nothing, and to no
// more than was announced, so that a large body leaves little behind.
func ReadAll(r io.Reader, length int64, buffer []byte) ([]byte, error) {
	const first = 1 << 10
	size := int64(first)
	if 0 <= length && length < first {
		size = length + 1 // with room for the read that says that it is the end
	}
	buffer = buffer[:0]
	if int64(cap(buffer)) < size {
		buffer = make([]byte, 0, size)
	}
	for {
		n, err := r.Read(buffer[len(buffer):cap(buffer)])
		buffer = buffer[:len(buffer)+n]
		if errors.Is(err, io.EOF) {
			return buffer, nil
		}
		if err != nil {
			return buffer, err
		}
		if len(buffer) < cap(buffer) {
			continue
		}
		switch have := int64(len(buffer)); {
		case length < have:
			size = 2 * have
		case length <= 4*have:
			size = length + 1
		default:
			size = 4 * have
		}
		grown := make([]byte, len(buffer), size)
		copy(grown, buffer)
		buffer = grown
	}
}
