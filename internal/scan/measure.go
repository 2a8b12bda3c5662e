package scan

// Measure returns how deeply JSON text is nested and how many values it has, without
// a look at whether it is JSON and without memory for its depth. Of what is no JSON
// the figures mean nothing, but they are no lower than what a decoder could build
// before it notices.
func Measure(text []byte) (depth, values int) {
	now := 0
	for at := 0; at < len(text); at++ {
		switch text[at] {
		case '"':
			for at++; at < len(text) && text[at] != '"'; at++ {
				if text[at] == '\\' {
					at++
				}
			}
		case '{', '[':
			now++
			values++
			depth = max(depth, now)
		case '}', ']':
			now--
		case ',':
			values++
		}
	}
	return depth, values + 1
}
