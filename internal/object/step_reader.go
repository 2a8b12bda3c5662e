package object

// Reader reads fields of decoded JSON and remembers whether one of them had a
// type other than the one asked for. So a caller asks all its questions first
// and checks Odd once, instead of an error after each.
//
// A field that is absent reads as the zero value, and so does an explicit null,
// which Kubernetes takes for absent. A nil map may be read: it has no fields.
type Reader struct {
	Odd bool // whether a field of another type has been read
}

// Fields reads an object.
func (r *Reader) Fields(in map[string]any, key string) map[string]any {
	return read[map[string]any](r, in, key)
}

// List reads an array of anything.
func (r *Reader) List(in map[string]any, key string) []any {
	return read[[]any](r, in, key)
}

// Text reads a string.
func (r *Reader) Text(in map[string]any, key string) string {
	return read[string](r, in, key)
}

// Flag reads a boolean.
func (r *Reader) Flag(in map[string]any, key string) bool {
	return read[bool](r, in, key)
}

// FieldsList reads an array of objects. An element of another type, null
// included, is odd and reads as nil, so that positions stay what they are.
func (r *Reader) FieldsList(in map[string]any, key string) []map[string]any {
	return elements[map[string]any](r, r.List(in, key))
}

// AppendFieldsList is FieldsList that appends to out.
func (r *Reader) AppendFieldsList(out []map[string]any, in map[string]any, key string) []map[string]any {
	for _, element := range r.List(in, key) {
		value, is := element.(map[string]any)
		if !is {
			r.Odd = true
		}
		out = append(out, value)
	}
	return out
}

// TextList reads an array of strings, with "" for an element of another type.
func (r *Reader) TextList(in map[string]any, key string) []string {
	return elements[string](r, r.List(in, key))
}

func read[T any](r *Reader, in map[string]any, key string) T {
	value, is := in[key].(T)
	if !is && in[key] != nil {
		r.Odd = true
	}
	return value
}

func elements[T any](r *Reader, list []any) []T {
	out := make([]T, len(list))
	for i, element := range list {
		value, is := element.(T)
		if !is {
			r.Odd = true
		}
		out[i] = value
	}
	return out
}
