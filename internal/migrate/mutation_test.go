package migrate_test

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMutated runs what FuzzFiles holds on the cases' inputs with some lines removed,
// repeated, swapped and indented otherwise.
func TestMutated(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*/input.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("%d cases, %v", len(inputs), err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, input := range inputs {
		text, err := os.ReadFile(input)
		if err != nil {
			t.Fatal(err)
		}
		for range rounds {
			lines := strings.SplitAfter(string(text), "\n")
			for range 1 + r.IntN(3) {
				mutateLines(r, &lines)
			}
			holds(t, []byte(strings.Join(lines, "")))
			if t.Failed() {
				t.Fatalf("the input was\n%s", strings.Join(lines, ""))
			}
		}
	}
}

// rounds is how many mutations of each case are tried.
const rounds = 10

func mutateLines(r *rand.Rand, lines *[]string) {
	l := *lines
	i, j := r.IntN(len(l)), r.IntN(len(l))
	switch r.IntN(6) {
	case 0:
		*lines = append(l[:i:i], l[i+1:]...)
	case 1:
		l[i] = l[j]
	case 2:
		l[i], l[j] = l[j], l[i]
	case 3:
		l[i] = "  " + l[i]
	case 4:
		key, _, _ := strings.Cut(l[i], ":")
		l[i] = key + ": [a, {b: c}]\n"
	case 5:
		key, _, _ := strings.Cut(l[i], ":")
		l[i] = key + ":\n"
	}
}
