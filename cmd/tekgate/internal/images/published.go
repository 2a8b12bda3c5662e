package images

import (
	"fmt"
	"io"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// comparePublished compares what the mirror serves with what Tekton published. A line says how
// many images cannot be compared, because nothing says what their digest should be.
func comparePublished(
	errOut io.Writer, images []release.Image, results []registry.Result, published image.Lookup,
) {
	tektons, unknown := 0, 0
	for i := range results {
		digest, tekton := published(images[i].Written)
		if !tekton {
			continue
		}
		tektons++
		if digest == "" && images[i].Upstream.Digest == "" {
			unknown++
		}
		results[i].ComparePublished(digest)
	}
	if unknown > 0 {
		fmt.Fprintf(errOut, "%d of %d Tekton images have no published digest in this tekgate, so nothing proves their content: "+
			"name Tekton's own release files, which pin digests, with --pipeline-manifest and --triggers-manifest\n",
			unknown, tektons)
	}
}
