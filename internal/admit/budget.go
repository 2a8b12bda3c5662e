package admit

import (
	"net/http"
	"time"

	"github.com/tekgate/tekgate/internal/budget"
)

// Budget bounds the bytes of all reviews that are held at one time. A review that does not
// fit waits for half a second, which leaves its sender most of its time, and is then
// refused, see Webhook.Busy.
type Budget struct {
	bytes *budget.Budget
	alone chan struct{} // held while a review of many values is judged
}

// BudgetBytes fits one of the largest reviews beside a thousand usual ones. In
// memory an object is many times its size: of the large ones, which are reviews of
// many values, one at a time is judged.
const BudgetBytes = 12 << 20

// retryAfter is in seconds, the smallest number that the header knows.
const retryAfter = "1"

// NewBudget returns a budget of so many bytes, a third of which is reserved for small
// reviews. A usual one has a tenth of budget.Small.
func NewBudget(bytes int64) *Budget {
	return &Budget{bytes: budget.New(bytes, bytes/3, time.Second/2), alone: make(chan struct{}, 1)}
}

// Handler returns next, whose requests' bodies are taken from the budget until they
// are answered.
func (b *Budget) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := b.bytes.Meter(w, r)
		defer body.Release()
		r.Body = &metered{body, b.alone}
		next.ServeHTTP(w, r)
	})
}

// metered is the body of a request within a Budget.
type metered struct {
	*budget.Body
	alone chan struct{}
}
