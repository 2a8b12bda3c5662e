package budget_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tekgate/tekgate/internal/budget"
)

// body returns a metered body that holds size bytes.
func body(t *testing.T, b *budget.Budget, size int) *budget.Body {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(make([]byte, size)))
	m := b.Meter(httptest.NewRecorder(), r.WithContext(t.Context()))
	t.Cleanup(m.Release)
	return m
}

// read reads n bytes.
func read(m *budget.Body, n int) error {
	_, err := io.ReadFull(m, make([]byte, n))
	return err
}

// TestReserve holds that large bodies leave the reserve to small ones, and that what is
// released is free again.
func TestReserve(t *testing.T) {
	b := budget.New(10*budget.Small, 4*budget.Small, 0)
	large := body(t, b, 10*budget.Small)
	if err := read(large, 6*budget.Small); err != nil {
		t.Fatal(err)
	}
	if err := read(large, 1); !errors.Is(err, budget.ErrBusy) {
		t.Errorf("a large body gets something of the reserve: error %v", err)
	}
	for i := range 5 {
		want := error(nil)
		if i == 4 {
			want = budget.ErrBusy
		}
		if err := read(body(t, b, budget.Small), budget.Small); !errors.Is(err, want) {
			t.Errorf("small body %d: got error %v, want %v", i, err, want)
		}
	}
	large.Release()
	if err := read(body(t, b, 2*budget.Small), 2*budget.Small); err != nil {
		t.Errorf("after a release: %v", err)
	}
}

// TestWait holds that a body waits for others, and in the order of their first bytes.
func TestWait(t *testing.T) {
	b := budget.New(4*budget.Small, 0, time.Minute)
	first, second, third := body(t, b, 9*budget.Small), body(t, b, 4*budget.Small), body(t, b, 4*budget.Small)
	for _, m := range []*budget.Body{first, second, third} {
		if err := read(m, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := read(first, 4*budget.Small-4); err != nil {
		t.Fatal(err)
	}
	order := make(chan string, 2)
	wait := func(name string, m *budget.Body) {
		if err := read(m, 4*budget.Small-4); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		order <- name
		m.Release()
	}
	go wait("third", third)
	for !b.Waits(1) {
		time.Sleep(time.Millisecond)
	}
	go wait("second", second)
	for !b.Waits(2) {
		time.Sleep(time.Millisecond)
	}
	first.Release()
	if a, b := <-order, <-order; a != "second" || b != "third" {
		t.Errorf("got %s before %s", a, b)
	}
}

// TestStuck holds that bodies that wait for each other do not do so until the wait is over:
// the newest is refused, and the others are read.
func TestStuck(t *testing.T) {
	b := budget.New(6*budget.Small, 0, time.Hour)
	older, newer := body(t, b, 6*budget.Small), body(t, b, 6*budget.Small)
	for _, m := range []*budget.Body{older, newer} {
		if err := read(m, 3*budget.Small); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan error)
	go func() { done <- read(older, 3*budget.Small) }()
	for !b.Waits(1) {
		time.Sleep(time.Millisecond)
	}
	if err := read(newer, 1); !errors.Is(err, budget.ErrBusy) {
		t.Errorf("got error %v", err)
	}
	newer.Release()
	if err := <-done; err != nil {
		t.Errorf("the older body: %v", err)
	}
}

// TestTimeout holds that a body that waits in vain is refused.
func TestTimeout(t *testing.T) {
	b := budget.New(100, 0, time.Millisecond)
	if err := read(body(t, b, 100), 100); err != nil {
		t.Fatal(err)
	}
	if err := read(body(t, b, 1), 1); !errors.Is(err, budget.ErrBusy) {
		t.Errorf("got error %v", err)
	}
}

// TestCharge holds that a short body counts for more than its bytes, and once.
func TestCharge(t *testing.T) {
	b := budget.New(100, 0, 0)
	first := body(t, b, 10)
	if err := errors.Join(read(first, 10), first.Charge(60), first.Charge(60), first.Charge(5)); err != nil {
		t.Fatal(err)
	}
	if err := body(t, b, 0).Charge(41); !errors.Is(err, budget.ErrBusy) {
		t.Errorf("got error %v", err)
	}
	if err := body(t, b, 0).Charge(40); err != nil {
		t.Error(err)
	}
}

// TestSlow holds that a body that stops, whatever it has sent before, is given up soon, and
// that one that has arrived does not end the request later.
func TestSlow(t *testing.T) {
	b := budget.New(1<<20, 0, 0)
	results := make(chan error, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := b.Meter(w, r)
		defer m.Release()
		_, err := budget.ReadAll(r.Body, r.ContentLength, nil)
		if err == nil {
			select {
			case <-r.Context().Done():
				err = r.Context().Err()
			case <-time.After(3 * time.Second): // longer than a block may take
			}
		}
		results <- err
	}))
	defer server.Close()
	for name, tt := range map[string]struct {
		send int
		want error
	}{"nothing": {0, budget.ErrSlow}, "much": {300_000, budget.ErrSlow}, "everything": {500_000, nil}} {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n")
		conn.Write(make([]byte, tt.send))
		select {
		case err := <-results:
			if !errors.Is(err, tt.want) {
				t.Errorf("%s is sent: got error %v, want %v", name, err, tt.want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s is sent: the request is not given up", name)
		}
	}
}
