package admit

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// Budget bounds the bytes of all bodies that are held at one time. A body that does
// not fit is refused with 429 rather than made to wait: its sender has a deadline,
// and an API server tries again by itself, after the second that it is told.
//
// Bytes are taken as they are read, whatever the header says of their number, so
// that neither a length that is a lie nor a body without one gets past it, and a
// large body that never comes keeps nobody out. Nor do large bodies that come: a
// third of the budget is for the others alone.
type Budget struct {
	free    atomic.Int64
	reserve int64
	alone   chan struct{} // held while a review of many values is judged
}

// BudgetBytes fits one of the largest reviews beside a thousand usual ones. In
// memory an object is many times its size: of the large ones, which are reviews of
// many values, one at a time is judged.
const BudgetBytes = 12 << 20

// large is a body that gets nothing of the reserve. A usual one has a tenth of it.
const large = 64 << 10

// retryAfter is in seconds, the smallest number that the header knows.
const retryAfter = "1"

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget {
	b := &Budget{reserve: bytes / 3, alone: make(chan struct{}, 1)}
	b.free.Store(bytes)
	return b
}

// Handler returns next, whose requests' bodies are taken from the budget until they
// are answered.
func (b *Budget) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := &metered{ReadCloser: r.Body, budget: b}
		defer body.release()
		r.Body = body
		next.ServeHTTP(w, r)
	})
}

// errBusy is what reading a body ends with that the budget has no room for.
var errBusy = errors.New("too many requests are being answered: send it again later")

// metered is a body that is paid for as it is read.
type metered struct {
	io.ReadCloser
	budget *Budget
	taken  int64
}

func (m *metered) Read(p []byte) (int, error) {
	n, err := m.ReadCloser.Read(p)
	m.taken += int64(n)
	free := m.budget.free.Add(-int64(n))
	if free < 0 || m.taken > large && free < m.budget.reserve {
		return 0, errBusy
	}
	return n, err
}

func (m *metered) release() { m.budget.free.Add(m.taken) }
