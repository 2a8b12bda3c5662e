package registry_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// layers is an image with layers of a media type.
func layers(t *testing.T, mediaType string, contents ...string) v1.Image {
	t.Helper()
	var all []v1.Layer
	for _, content := range contents {
		all = append(all, static.NewLayer([]byte(content), types.MediaType(mediaType)))
	}
	img, err := mutate.AppendLayers(mutate.MediaType(empty.Image, types.OCIManifestSchema1), all...)
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// TestStatements holds that a signature is found whatever lies beside it and whatever the registry
// answers to other questions, and that what could not be read is reported.
func TestStatements(t *testing.T) {
	const kind = registry.SimpleSigning
	large := make([]string, 20)
	for i := range large {
		large[i] = fmt.Sprint(i) + strings.Repeat("x", 1<<20-10)
	}
	many := make([]string, 150)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for name, c := range map[string]struct {
		beside v1.Image // under the tag of attestations
		answer int      // to the question for it, unless zero
		err    string
	}{
		"nothing":                 {},
		"a refusal":               {answer: http.StatusForbidden, err: "403"},
		"an error of the server":  {answer: http.StatusInternalServerError, err: "500"},
		"other artifacts":         {beside: layers(t, "text/spdx+json", many...)},
		"one that is too large":   {beside: layers(t, kind, strings.Repeat("x", 1<<20+1))},
		"large ones":              {beside: layers(t, kind, large...), err: "too many"},
		"more than anybody needs": {beside: layers(t, kind, many...), err: "too many"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			digest := s.push(t, "app:v1", single(t, "linux/amd64"))
			tag := "app:" + strings.Replace(digest, ":", "-", 1)
			s.push(t, tag+".sig", layers(t, kind, "the signature"))
			if c.beside != nil {
				s.push(t, tag+".att", c.beside)
			}
			s.answer(func(w http.ResponseWriter, r *http.Request) bool {
				if c.answer == 0 || !strings.HasSuffix(r.URL.Path, ".att") {
					return false
				}
				w.WriteHeader(c.answer)
				return true
			})
			probed := registry.Probe(t.Context(), registry.ProbeRequest{
				Images: [][]image.Rewritten{{to(t, "from.io/app:v1", s.host+"/app:v1")}}}, quick)
			found, errs := registry.Statements(t.Context(), probed, quick)
			if len(found[0]) == 0 || string(found[0][0].Content) != "the signature" {
				t.Errorf("found %d, the first is not the signature", len(found[0]))
			}
			if got := fmt.Sprint(errs[0]); (errs[0] == nil) != (c.err == "") || !strings.Contains(got, c.err) {
				t.Errorf("error %s", got)
			}
		})
	}
}
