package manifest

import (
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
)

// Images returns every place in an object where an image reference stands: those that object.Images
// knows, and the words of arguments and variables that name an image of an upstream registry as a
// whole, with a tag or digest. A release may have flags that this program does not know, and whose
// names do not say that they are images.
func Images(obj map[string]any) []*object.ImageField {
	fields := object.Images(obj)
	known := map[string]bool{}
	for _, field := range fields {
		known[field.Path] = true
	}
	for _, word := range object.Words(obj) {
		ref, err := image.Parse(word.Value)
		if err != nil || known[word.Path] || ref.Tag == "" && ref.Digest == "" || !isUpstream(ref.Host) {
			continue
		}
		if ref.Host == dockerHub && ref.String() != word.Value {
			continue // a short name, such as the text a/b:1
		}
		fields = append(fields, word)
	}
	return fields
}

const dockerHub = "docker.io"
