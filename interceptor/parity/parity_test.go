package parity_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	coreserver "github.com/tektoncd/triggers/pkg/interceptors/server"
	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/interceptor"
)

// secrets are the values of the one Secret hook.
type secrets map[string]string

func (s secrets) Get(_ context.Context, _, name string) (*interceptor.Secret, error) {
	if name != "hook" {
		return nil, apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
	}
	held := &interceptor.Secret{Data: map[string][]byte{}}
	for key, value := range s {
		held.Data[key] = []byte(value)
	}
	return held, nil
}

// core serves them to Tekton's interceptors.
type core struct{ interceptor.SecretGetter }

func (c core) Get(ctx context.Context, namespace string, ref *v1beta1.SecretRef) ([]byte, error) {
	held, err := c.SecretGetter.Get(ctx, namespace, ref.SecretName)
	if err != nil {
		return nil, err
	}
	value, found := held.Data[ref.SecretKey]
	if !found {
		return nil, errors.New("no such key")
	}
	return value, nil
}

// file is testdata/cases.json.
type file struct {
	Secret secrets
	Cases  []struct {
		Name, Core         string
		CoreSays, OursSays bool
		Request            json.RawMessage
	}
}

func read(t *testing.T) (f file) {
	t.Helper()
	text, err := os.ReadFile("testdata/cases.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	if len(f.Cases) < 40 {
		t.Fatalf("there are %d cases", len(f.Cases))
	}
	return f
}

// both returns Tekton's server and ours. None of the cases is signed for a time.
func both(t *testing.T, held secrets) (theirs, ours http.Handler) {
	t.Helper()
	theirs, err := coreserver.NewWithCoreInterceptors(core{held}, zap.NewNop().Sugar())
	if err != nil {
		t.Fatal(err)
	}
	return theirs, interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: held, Log: logr.Discard(),
		Now: time.Now})
}

// instantly is time.After for tests that need not wait.
func instantly(time.Duration) <-chan time.Time {
	c := make(chan time.Time)
	close(c)
	return c
}

// anyone believes every caller: which there are is not compared here.
type anyone struct{}

func (anyone) Check(context.Context, string, interceptor.ParamsDigest) error { return nil }

// TestParity sends the same bytes to Tekton's interceptors and to ours.
func TestParity(t *testing.T) {
	f := read(t)
	theirs, ours := both(t, f.Secret)
	for _, c := range f.Cases {
		t.Run(c.Name, func(t *testing.T) {
			if got := ask(t, theirs, "/"+c.Core, c.Request); got.Continue != c.CoreSays {
				t.Errorf("Tekton's %s says %+v, want continue %v", c.Core, got, c.CoreSays)
			}
			if got := ask(t, ours, interceptor.Path, c.Request); got.Continue != c.OursSays {
				t.Errorf("ours says %+v, want continue %v", got, c.OursSays)
			}
		})
	}
}

func ask(t *testing.T, h http.Handler, path string, request []byte) *v1beta1.InterceptorResponse {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, bytes.NewReader(request)))
	got := &v1beta1.InterceptorResponse{}
	if err := json.Unmarshal(w.Body.Bytes(), got); err != nil || w.Code != http.StatusOK {
		t.Fatalf("got status %d: %s", w.Code, w.Body)
	}
	return got
}

// TestPaths: what Tekton's server does with other paths and bodies.
func TestPaths(t *testing.T) {
	theirs, ours := both(t, read(t).Secret)
	status := func(h http.Handler, path, body string) int {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
		return w.Code
	}
	for _, tt := range []struct {
		name, corePath, oursPath, body string
		core, ours                     int
	}{
		{"unknown path", "/nobody", "/nobody", "{}", http.StatusBadRequest, http.StatusNotFound},
		{"path in capitals", "/GitHub", "/Verify", "{}", http.StatusOK, http.StatusNotFound},
		// 200 and continue false: no noise in the EventListener's log
		{"no JSON", "/github", "/verify", "x", http.StatusBadRequest, http.StatusOK},
	} {
		if got := status(theirs, tt.corePath, tt.body); got != tt.core {
			t.Errorf("%s: Tekton's says %d, want %d", tt.name, got, tt.core)
		}
		if got := status(ours, tt.oursPath, tt.body); got != tt.ours {
			t.Errorf("%s: ours says %d, want %d", tt.name, got, tt.ours)
		}
	}
}
