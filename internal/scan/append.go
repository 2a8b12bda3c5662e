package scan

import (
	"encoding/json"
	"slices"
	"unicode/utf8"
)

// AppendQuoted appends s as a JSON string. Bytes that are no UTF-8 become U+FFFD.
func AppendQuoted[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, '"')
	start := 0 // of what is to be copied as it is
	for i := 0; i < len(s); {
		if plain[s[i]] {
			i++
			continue
		}
		dst = append(dst, s[start:i]...)
		var n int
		dst, n = appendQuotedRune(dst, s[i:])
		i += n
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}

// plain are the bytes that stand for themselves in a string.
var plain = func() (table [256]bool) {
	for c := byte(' '); c < 0x7f; c++ {
		table[c] = c != '"' && c != '\\'
	}
	return table
}()

// appendQuotedRune appends what a string begins with that does not stand for itself,
// and returns its length.
func appendQuotedRune[T string | []byte](dst []byte, s T) ([]byte, int) {
	const digits = "0123456789abcdef"
	switch c := s[0]; {
	case c == '"' || c == '\\':
		return append(dst, '\\', c), 1
	case c < utf8.RuneSelf:
		return append(dst, '\\', 'u', '0', '0', digits[c>>4], digits[c&15]), 1
	}
	char, n := utf8.DecodeRuneInString(string(s[:min(len(s), utf8.UTFMax)]))
	return utf8.AppendRune(dst, char), n
}

// AppendValue appends decoded JSON, the fields of objects in the order of their keys.
// All but texts, lists and objects it leaves to encoding/json, whose error it returns.
func AppendValue(dst []byte, value any) ([]byte, error) {
	switch value := value.(type) {
	case string:
		return AppendQuoted(dst, value), nil
	case []any:
		if value != nil {
			return appendList(dst, value)
		}
	case map[string]any:
		if value != nil {
			return appendFields(dst, value)
		}
	}
	text, err := json.Marshal(value)
	return append(dst, text...), err
}

func appendList(dst []byte, list []any) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, element := range list {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = AppendValue(dst, element); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

func appendFields(dst []byte, fields map[string]any) (_ []byte, err error) {
	var room [8]string
	dst = append(dst, '{')
	for i, key := range SortedKeys(room[:0], fields) {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(AppendQuoted(dst, key), ':')
		if dst, err = AppendValue(dst, fields[key]); err != nil {
			return nil, err
		}
	}
	return append(dst, '}'), nil
}

// SortedKeys appends the keys of a map to keys, so that those of a small one need no
// memory but the caller's stack.
func SortedKeys[V any](keys []string, fields map[string]V) []string {
	for key := range fields {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
