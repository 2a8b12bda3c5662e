package admit_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
)

const small = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u"}}`

// held answers once it may, and says when it is asked.
type held struct{ asked, goOn chan struct{} }

func (h *held) Handle(context.Context, admission.Request) admission.Response {
	h.asked <- struct{}{}
	<-h.goOn
	return admission.Allowed("")
}

// TestBudget holds one review while others come: those that do not fit are refused
// and told when to come again, and fit when it is answered.
func TestBudget(t *testing.T) {
	h := &held{make(chan struct{}, 9), make(chan struct{})}
	budget := admit.NewBudget(int64(len(small)) + 100)
	server := httptest.NewServer(budget.Handler(&admit.Webhook{Handler: h}))
	defer server.Close()
	var first sync.WaitGroup
	first.Go(func() {
		if res := send(t, server.URL, strings.NewReader(small)); res.StatusCode != http.StatusOK {
			t.Errorf("the first is answered with %s", res.Status)
		}
	})
	<-h.asked
	for name, body := range map[string]io.Reader{
		"with a length": strings.NewReader(small + strings.Repeat(" ", 100)),
		"without":       io.MultiReader(strings.NewReader(small), strings.NewReader(strings.Repeat(" ", 100))),
	} {
		res := send(t, server.URL, body)
		if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") != "1" {
			t.Errorf("a body %s that does not fit is answered with %s, Retry-After %q", name, res.Status,
				res.Header.Get("Retry-After"))
		}
	}
	close(h.goOn)
	first.Wait()
	for range 3 { // whatever was taken has been given back
		if res := send(t, server.URL, strings.NewReader(small+strings.Repeat(" ",
			100))); res.StatusCode != http.StatusOK {
			t.Errorf("afterwards the answer is %s", res.Status)
		}
	}
}

// TestBusy holds that a review for which there is no memory, or no turn, is answered by Busy
// with its uid, while its sender still waits.
func TestBusy(t *testing.T) {
	const head = `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u","namespace":"ci",` +
		`"object":{"spec":[1`
	many := head + strings.Repeat(",1", 10_000) + "]}}}"
	large := head + "]}}}" + strings.Repeat(" ", 200_000)
	h := &held{make(chan struct{}, 9), make(chan struct{})}
	server := httptest.NewServer(admit.NewBudget(300_000).Handler(&admit.Webhook{Handler: h,
		Busy: func(_ context.Context, req admission.Request) admission.Response {
			return admission.Denied("busy with others than " + req.Namespace)
		}}))
	defer server.Close()
	var first sync.WaitGroup
	first.Go(func() { send(t, server.URL, strings.NewReader(many)) })
	<-h.asked
	for name, body := range map[string]string{"many values": many, "many bytes": large} {
		began := time.Now()
		res, err := http.Post(server.URL+"?timeout=2s", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK ||
			!strings.Contains(string(text), "busy with others than ci") ||
			!strings.Contains(string(text), `"uid":"u"`) {
			t.Errorf("%s: got %s %s, error %v", name, res.Status, text, err)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("%s: answered after %s", name, took)
		}
	}
	close(h.goOn)
	first.Wait()
}

// TestReserve holds that large bodies leave room for small ones.
func TestReserve(t *testing.T) {
	const most = 3 << 20
	h := &held{make(chan struct{}, 9), make(chan struct{})}
	server := httptest.NewServer(admit.NewBudget(most).Handler(&admit.Webhook{Handler: h}))
	defer server.Close()
	var first sync.WaitGroup
	first.Go(func() { send(t, server.URL, strings.NewReader(small+strings.Repeat(" ", most/2))) })
	<-h.asked
	for _, size := range []int{most / 3, most / 2} {
		if res := send(t, server.URL, strings.NewReader(small+strings.Repeat(" ",
			size))); res.StatusCode != http.StatusTooManyRequests {
			t.Errorf("a second large body is answered with %s", res.Status)
		}
	}
	first.Go(func() {
		if res := send(t, server.URL, strings.NewReader(small+strings.Repeat(" ",
			10_000))); res.StatusCode != http.StatusOK {
			t.Errorf("a small body is answered with %s", res.Status)
		}
	})
	<-h.asked
	close(h.goOn)
	first.Wait()
}

// TestBudgetIsTakenAsRead holds that a body that is announced and does not come
// keeps nobody out.
func TestBudgetIsTakenAsRead(t *testing.T) {
	h := &held{make(chan struct{}, 9), make(chan struct{})}
	close(h.goOn)
	server := httptest.NewServer(admit.NewBudget(4096).Handler(&admit.Webhook{Handler: h}))
	defer server.Close()
	stalled, writer := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		res, err := http.Post(server.URL, "application/json", stalled)
		if err == nil {
			res.Body.Close()
		}
	}()
	if _, err := io.WriteString(writer, "{"); err != nil {
		t.Fatal(err)
	}
	if res := send(t, server.URL, strings.NewReader(small)); res.StatusCode != http.StatusOK {
		t.Errorf("beside one that stalls the answer is %s", res.Status)
	}
	writer.Close()
	<-done
}

// TestStoppedBody holds that a large body that stops arriving is given up, and that its bytes
// are free again.
func TestStoppedBody(t *testing.T) {
	const most = 300_000
	h := &held{make(chan struct{}, 9), make(chan struct{})}
	close(h.goOn)
	server := httptest.NewServer(admit.NewBudget(most).Handler(&admit.Webhook{Handler: h}))
	defer server.Close()
	stopped, writer := io.Pipe()
	defer writer.Close()
	answered := make(chan int, 1)
	go func() {
		res, err := http.Post(server.URL, "application/json", stopped)
		if err != nil {
			t.Error(err)
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	if _, err := writer.Write(make([]byte, 190_000)); err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-answered:
		if status != http.StatusRequestTimeout {
			t.Errorf("the body that stopped is answered with %d", status)
		}
	case <-time.After(time.Minute):
		t.Fatal("the body that stopped is still waited for")
	}
	large := strings.NewReader(small + strings.Repeat(" ", 150_000))
	if res := send(t, server.URL, large); res.StatusCode != http.StatusOK {
		t.Errorf("afterwards the answer is %s", res.Status)
	}
}

func send(t *testing.T, url string, body io.Reader) *http.Response {
	t.Helper()
	res, err := http.Post(url, "application/json", body)
	if err != nil {
		t.Error(err)
		return &http.Response{}
	}
	defer res.Body.Close()
	return res
}
