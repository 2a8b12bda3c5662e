package budget

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

// TestReadAll reads bodies of many sizes whose headers tell the truth, nothing, or
// a lie, and holds how large the buffer gets.
func TestReadAll(t *testing.T) {
	const most = 7 << 20
	for _, size := range []int{0, 1, 4095, 16<<10 - 1, 16 << 10, 16<<10 + 1, 1 << 20, most} {
		body := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		for _, length := range []int64{int64(size), -1, int64(size) / 2, int64(size) * 2, most} {
			for _, reader := range []io.Reader{bytes.NewReader(body), iotest.DataErrReader(bytes.NewReader(body)),
				iotest.HalfReader(bytes.NewReader(body))} {
				got, err := ReadAll(reader, length, nil)
				if err != nil || !bytes.Equal(got, body) {
					t.Fatalf("%d bytes, announced as %d: got %d, error %v", size, length, len(got), err)
				}
				if cap(got) > 4*max(size, 16<<10)+1 {
					t.Errorf("%d bytes, announced as %d, are in a buffer of %d", size, length, cap(got))
				}
				if length == int64(size) && cap(got) > size+1 && size > 16<<10 {
					t.Errorf("%d bytes that were announced are in a buffer of %d", size, cap(got))
				}
			}
		}
	}
	used := []byte("what was there before")
	if got, err := ReadAll(bytes.NewReader([]byte("new")), 3, used); err != nil || string(got) != "new" ||
		&got[0] != &used[0] {
		t.Errorf("into a buffer: got %q, error %v", got, err)
	}
	broken := errors.New("broken")
	if _, err := ReadAll(io.MultiReader(bytes.NewReader(make([]byte, 100)), iotest.ErrReader(broken)), 200,
		nil); !errors.Is(err, broken) {
		t.Errorf("got error %v", err)
	}
}
