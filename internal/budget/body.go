package budget

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"time"
)

// The minimum rate. Each block of a body must arrive within blockTime: Small bytes, or an
// eighth of what has arrived, so that a sender cannot fill the budget quickly and then keep
// it filled by sending little. bodyTime is the limit for the whole body; clients of both
// servers wait no longer for their answers.
const (
	blockTime = 2 * time.Second
	blockPart = 8
	bodyTime  = 20 * time.Second
)

// ErrSlow is the error of a body that arrives more slowly than the minimum rate.
var ErrSlow = errors.New("the body arrives too slowly, or not at all: send it again")

// Body is the body of a request, whose bytes are taken from a budget as they are read.
type Body struct {
	io.ReadCloser
	budget  *Budget
	ctx     context.Context
	control *http.ResponseController
	end     time.Time // of bodyTime
	read    int64
	block   int64 // the value of read at which a block ends

	// The budget's mutex guards these.
	number uint64 // in the order of the first bytes
	taken  int64
}

// Meter replaces the request's body by one that takes its bytes from the budget. Release
// must be called when the request is answered.
func (b *Budget) Meter(w http.ResponseWriter, r *http.Request) *Body {
	m := &Body{ReadCloser: r.Body, budget: b, ctx: r.Context(), control: http.NewResponseController(w),
		end: time.Now().Add(bodyTime)}
	r.Body = m
	return m
}

// Read implements io.Reader. Its error is ErrBusy if the budget has no room, and ErrSlow if
// the minimum rate is not met.
func (m *Body) Read(p []byte) (int, error) {
	if m.read >= m.block {
		m.block = m.read + max(Small, m.read/blockPart)
		m.setDeadline(time.Now().Add(blockTime))
	}
	n, err := m.ReadCloser.Read(p)
	m.read += int64(n)
	if n > 0 {
		if busy := m.budget.take(m.ctx, m, int64(n)); busy != nil {
			return 0, busy
		}
	}
	switch {
	case errors.Is(err, io.EOF):
		// net/http goes on reading, to notice when the client leaves: a deadline that
		// expires then would cancel the request.
		m.setDeadline(time.Time{})
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrSlow
	}
	return n, err
}

// setDeadline sets when a read fails. Only tests have connections without deadlines.
func (m *Body) setDeadline(at time.Time) {
	if at.After(m.end) {
		at = m.end
	}
	_ = m.control.SetReadDeadline(at)
}

// Charge makes the body count for n bytes at least. A request costs memory even if its body
// is short, so this bounds the number of requests.
func (m *Body) Charge(n int64) error {
	if n <= m.taken {
		return nil
	}
	return m.budget.take(m.ctx, m, n-m.taken)
}

// Release returns the bytes to the budget.
func (m *Body) Release() { m.budget.release(m) }
