package registry

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/iotest"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// TestBodyFails holds that an upload whose source fails ends with that error. net/http compares the errors
// of a body with others, which panics where their type cannot be compared.
func TestBodyFails(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	}))
	defer server.Close()
	failed := &blobError{blob: ocispec.Descriptor{URLs: []string{"a"}}, cause: io.ErrUnexpectedEOF}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, server.URL, iotest.ErrReader(failed))
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = 10
	response, err := http.DefaultClient.Do(request)
	if err == nil {
		_ = response.Body.Close()
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got error %v, want that of the source", err)
	}
}
