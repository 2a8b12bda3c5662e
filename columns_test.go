package tekgate_test

import (
	"bytes"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

const (
	// maxColumns is the most that a line of Go may have, with tabs of four columns.
	maxColumns = 120
	// longText is the width from which the literals of a line are text, which is not broken
	// into pieces and does not count.
	longText = 60
)

// TestColumns fails for each line that is too wide. golangci-lint's lll does not know which
// lines belong to a raw string, so this test reads the files with Go's own scanner.
func TestColumns(t *testing.T) {
	checked := 0
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		hidden := strings.HasPrefix(d.Name(), ".") && path != "."
		switch {
		case err != nil:
			return err
		case d.IsDir() && (hidden || path == "bin"):
			return fs.SkipDir
		case d.IsDir() || filepath.Ext(path) != ".go":
			return nil
		}
		checked++
		source, err := os.ReadFile(path)
		for _, line := range wide(source) {
			t.Errorf("%s:%d: the line has more than %d columns", path, line, maxColumns)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if checked == 0 {
		t.Error("no file was checked")
	}
}

// wide returns the numbers of the lines that are too wide, literal texts aside.
func wide(source []byte) []int {
	text := texts(source)
	var found []int
	for i, line := range strings.Split(string(source), "\n") {
		// A directive must stay on one line, and an address cannot be broken.
		comment := strings.HasPrefix(strings.TrimSpace(line), "//")
		if comment && (strings.Contains(line, "//go:") || strings.Contains(line, "://")) {
			continue
		}
		if columns(line)-text[i+1] > maxColumns {
			found = append(found, i+1)
		}
	}
	return found
}

// texts returns, for each line, the columns of its literals, if they are long together.
// Every line of a literal that has several is text.
func texts(source []byte) map[int]int {
	files := token.NewFileSet()
	file := files.AddFile("", files.Base(), len(source))
	var s scanner.Scanner
	s.Init(file, source, func(token.Position, string) {}, 0)
	found, raw := map[int]int{}, map[int]bool{}
	for {
		pos, tok, _ := s.Scan()
		if tok == token.EOF {
			maps.DeleteFunc(found, func(line, n int) bool { return n < longText && !raw[line] })
			return found
		}
		if tok != token.STRING {
			continue
		}
		// The literal as it stands in the file: the scanner drops carriage returns.
		literal := source[file.Offset(pos):]
		lines := bytes.Split(literal[:end(literal)], []byte("\n"))
		for i, line := range lines {
			found[file.Line(pos)+i] += columns(string(line))
			raw[file.Line(pos)+i] = raw[file.Line(pos)+i] || len(lines) > 1
		}
	}
}

// end returns the length of the literal that source begins with.
func end(source []byte) int {
	quote := source[0]
	for i := 1; i < len(source); i++ {
		switch {
		case source[i] == '\\' && quote == '"':
			i++
		case source[i] == quote:
			return i + 1
		}
	}
	return len(source)
}

func columns(line string) int {
	return utf8.RuneCountInString(line) + 3*strings.Count(line, "\t")
}

func TestWide(t *testing.T) {
	code := "x := " + strings.Repeat("a", maxColumns-5)
	short, long := strings.Repeat("t", longText-3), strings.Repeat("t", longText-2)
	for _, c := range []struct {
		name, source string
		want         []int
	}{
		{"as wide as may be", code, nil},
		{"too wide", "\n" + code + "a\n" + code, []int{2}},
		{"a tab has four columns", "\t" + code[4:] + "\n\t" + code[3:], []int{2}},
		{"a column is a character, not a byte", strings.Replace(code, "a", "ä", 9), nil},
		{"a comment", "// " + code, []int{1}},
		{"a comment with an address", "// https://example.com/" + code, nil},
		{"a directive", "//go:generate " + code, nil},
		{"a directive's name in code", code + " //go:", []int{1}},
		{"a short literal", fmt.Sprintf("%s + %q", code, short), []int{1}},
		{"a long literal and code that fits", fmt.Sprintf("f(%q, %s)", long, code[15:]), nil},
		{"a long literal and code that does not", fmt.Sprintf("f(%q, %s)", long, code), []int{1}},
		{"literals that are long together", fmt.Sprintf("f(%q, %q, %s)", short, short, code[15:]), nil},
		{"a quote within a literal", fmt.Sprintf("f(%q, %s)", `"`+long+`\`, code[15:]), nil},
		{"a struct's tag", "a string `json:\"" + long + code + "\"`", nil},
		{"lines of a raw string", "s := `\n" + code + code + "\n`", nil},
		{"a raw string's last line", "s := `\n" + code + "` + " + code, []int{2}},
		{"a raw string with carriage returns", "s := `\r\n\r\n" + code + code + "\n`", nil},
		{"quotes in a comment", "// `" + code + "`", []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := wide([]byte(c.source)); !slices.Equal(got, c.want) {
				t.Errorf("too wide are the lines %v of\n%s\nwant %v", got, c.source, c.want)
			}
		})
	}
}
