package node

import (
	"bytes"
	"io"
)

// lines writes whole lines to out, each behind the name of the node that it comes from. An
// unfinished line is kept until its end comes.
type lines struct {
	out  io.Writer
	name string
	rest []byte
}

// Write takes a piece of output, which may end within a line.
func (l *lines) Write(piece []byte) (int, error) {
	l.rest = append(l.rest, piece...)
	end := bytes.LastIndexByte(l.rest, '\n') + 1
	var text bytes.Buffer
	for line := range bytes.Lines(l.rest[:end]) {
		text.WriteString("[" + l.name + "] ")
		text.Write(line)
	}
	l.rest = bytes.Clone(l.rest[end:])
	_, err := l.out.Write(text.Bytes())
	return len(piece), err
}

// end finishes the last line.
func (l *lines) end() error {
	if len(l.rest) == 0 {
		return nil
	}
	_, err := l.Write([]byte("\n"))
	return err
}
