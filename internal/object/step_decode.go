package object

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// Decode returns one JSON object. Numbers stay as they are written, as
// json.Number, since a float64 has no room for the integers of Kubernetes.
//
// The error says what else raw is.
func Decode(raw []byte) (map[string]any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var fields map[string]any
	if err := decoder.Decode(&fields); err != nil {
		return nil, err
	}
	if fields == nil {
		return nil, errors.New("null is not an object")
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the object")
	}
	return fields, nil
}
