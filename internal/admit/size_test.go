package admit_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/tekgate/tekgate/internal/admit"
)

// TestSize holds what is refused for its depth or for how many values it has, in the
// form that API servers write and in another, and what is not.
func TestSize(t *testing.T) {
	server := serve(t)
	nested := func(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }
	wide := func(values int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", values), ",") + "]" }
	for name, tt := range map[string]struct {
		object, refused string
	}{
		"deep":        {object: nested(990)},
		"too deep":    {nested(1001), "nested deeper than 1000 levels"},
		"much deeper": {nested(20_000), "nested deeper than 1000 levels"},
		"wide":        {object: wide(49_990)},
		"too wide":    {wide(50_001), "hold 500"},
	} {
		for _, form := range []string{`{"uid":"u","object":`, `{"uid":"u","ofTomorrow":1,"object":`} {
			status, body := post(t, server.URL, review(form+tt.object+"}"))
			if tt.refused == "" {
				if status != http.StatusOK || !strings.Contains(body, `"allowed":true`) {
					t.Errorf("%s: got %d %s", name, status, body)
				}
				continue
			}
			if status != http.StatusOK || !strings.Contains(body, `"allowed":false`) ||
				!strings.Contains(body, tt.refused) || !strings.Contains(body, `"uid":"u"`) {
				t.Errorf("%s: got %d %s", name, status, body)
			}
		}
	}
	if status, body := post(t, server.URL, nested(3<<20)); status != http.StatusBadRequest ||
		!strings.Contains(body, "nested deeper") {
		t.Errorf("nothing but depth: got %d %s", status, body)
	}
}

// TestAlone holds that reviews of many values are judged one after another, beside
// which others are judged.
func TestAlone(t *testing.T) {
	var judged, most, at atomic.Int32
	handler := admission.HandlerFunc(func(_ context.Context, req admission.Request) admission.Response {
		if req.Name == "small" {
			return admission.Allowed("")
		}
		at.Add(1)
		defer at.Add(-1)
		if now := at.Load(); now > most.Load() {
			most.Store(now)
		}
		time.Sleep(10 * time.Millisecond)
		judged.Add(1)
		return admission.Allowed("")
	})
	server := httptest.NewServer(admit.NewBudget(admit.BudgetBytes).Handler(&admit.Webhook{Handler: handler}))
	defer server.Close()
	many := review(`{"uid":"u","object":[` + strings.TrimSuffix(strings.Repeat("0,", 9000), ",") + `]}`)
	var sending sync.WaitGroup
	for range 5 {
		sending.Go(func() {
			if status, body := post(t, server.URL, many); status != http.StatusOK {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
	if status, body := post(t, server.URL, review(`{"uid":"u","name":"small"}`)); status != http.StatusOK {
		t.Errorf("beside them: got %d %s", status, body)
	}
	sending.Wait()
	if judged.Load() != 5 || most.Load() != 1 {
		t.Errorf("%d were judged, up to %d at a time", judged.Load(), most.Load())
	}
}
