package validator_test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tekgate/tekgate/validator"
)

// TestPolicyPage holds that docs/policy.md lists the rules that judge at the point of use,
// and names no rule that does not exist in its table of guarantees.
func TestPolicyPage(t *testing.T) {
	text, err := os.ReadFile("../docs/policy.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	name := regexp.MustCompile("`([a-z][a-z-]*)`")
	_, listed, _ := strings.Cut(page, "\nThese rules are ")
	listed, _, _ = strings.Cut(listed, ".\n")
	var got, want, known []string
	for _, match := range name.FindAllStringSubmatch(listed, -1) {
		got = append(got, match[1])
	}
	for _, r := range validator.Rules {
		known = append(known, r.ID)
		if r.AtUse {
			want = append(want, r.ID)
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/policy.md lists as judging at the point of use\n%v\nwant\n%v", got, want)
	}
	_, table, _ := strings.Cut(page, "\nRules differ in what they can know:\n")
	table, _, _ = strings.Cut(table, "\n## ")
	rows := 0
	for row := range strings.SplitSeq(table, "\n") {
		cells := strings.Split(row, "|")
		if len(cells) < 3 {
			continue
		}
		rows++
		for _, match := range name.FindAllStringSubmatch(cells[1], -1) {
			if !slices.Contains(known, match[1]) {
				t.Errorf("docs/policy.md says what the rule %s guarantees, which does not exist", match[1])
			}
		}
	}
	if rows < 10 {
		t.Errorf("docs/policy.md says what rules guarantee in %d rows", rows)
	}
}
