package release

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// PackedExt is the ending of a packed manifest's name.
const PackedExt = ".json.gz"

// Pack compresses objects, one JSON document a line. JSON decodes some ten
// times faster than the YAML that is published. The same objects always give
// the same bytes.
func Pack(objects []*unstructured.Unstructured) ([]byte, error) {
	var packed bytes.Buffer
	zip, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	lines := json.NewEncoder(zip)
	lines.SetEscapeHTML(false)
	for _, obj := range objects {
		if err := lines.Encode(obj.Object); err != nil {
			return nil, fmt.Errorf("packing %s %s: %w", obj.GetKind(), obj.GetName(), err)
		}
	}
	if err := zip.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// Unpack returns the objects that Pack compressed, in their order.
func Unpack(packed []byte) ([]*unstructured.Unstructured, error) {
	zip, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("unpacking: %w", err)
	}
	lines := bufio.NewReader(zip)
	var objects []*unstructured.Unstructured
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) && len(line) == 0 {
			return objects, nil
		}
		if err != nil {
			return nil, fmt.Errorf("unpacking: %w", err)
		}
		obj := &unstructured.Unstructured{}
		if err := obj.UnmarshalJSON(line); err != nil {
			return nil, fmt.Errorf("unpacking document %d: %w", len(objects)+1, err)
		}
		objects = append(objects, obj)
	}
}
