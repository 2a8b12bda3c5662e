package lint

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bmatcuk/doublestar/v4"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/findings"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator"
)

// suppressionsName is how the file is called that says what lint does not show.
const suppressionsName = ".tekgatelint"

// suppressions are what that file says. Its globs are those of the folder that it lies
// in; ** stands for any folders, and one without a slash for a name at any depth.
type suppressions struct {
	// Suppress lists findings that are not shown.
	Suppress []suppression `json:"suppress,omitempty"`
	// Elsewhere names objects that exist though they are in none of the files, by
	// kind; * stands for any characters.
	Elsewhere map[string][]string `json:"elsewhere,omitempty"`
	// Exclude are globs of files and folders that are not read.
	Exclude []string `json:"exclude,omitempty"`

	file     string // its name as it is shown, "" where there is none
	folder   string // absolute
	document *document.Document
	now      time.Time
	ids      []string    // of all rules
	whole    bool        // whether all of the folder is judged
	judged   []*lintFile // the files that are
}

// suppression keeps the findings of a rule from being shown.
type suppression struct {
	Rule   string `json:"rule"`
	Path   string `json:"path,omitempty"`   // glob of files, "" for all
	Object string `json:"object,omitempty"` // Kind/name, in which * stands for any characters, "" for all
	Reason string `json:"reason"`
	Until  string `json:"until,omitempty"` // the last day on which it holds, as 2027-03-31; "" for ever
}

// loadSuppressions reads the file that is named, or the one that is found.
func loadSuppressions(file string, rules []*validator.Rule, now time.Time) (*suppressions, error) {
	s := &suppressions{now: now, ids: []string{findings.DuplicateRule.ID, findings.UnresolvedRule.ID,
		findings.RemoteRule.ID}}
	for _, rule := range rules {
		s.ids = append(s.ids, rule.ID)
	}
	if file == "" {
		if file = findSuppressions(); file == "" {
			return s, nil
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the suppressions: %w", err)
	}
	if err := s.parse(file, text); err != nil {
		return nil, fmt.Errorf("suppressions %s: %w", file, err)
	}
	folder, err := filepath.Abs(filepath.Dir(file))
	if err != nil {
		return nil, fmt.Errorf("reading the suppressions: %w", err)
	}
	s.file, s.folder = file, folder
	return s, nil
}

func (s *suppressions) parse(file string, text []byte) error {
	documents, problems := document.Parse(file, text)
	switch {
	case len(problems) > 0:
		return fmt.Errorf("line %d: %w", problems[0].Line, problems[0].Err)
	case len(documents) == 0:
		return nil // nothing but comments
	case len(documents) > 1:
		return errors.New("it holds several documents: write one")
	}
	s.document = documents[0]
	if err := strict.UnmarshalJSON(s.document.JSON, s); err != nil {
		return err
	}
	return s.validate()
}

// findSuppressions looks in the current folder and above it, up to the root of the
// repository. Outside of a repository it looks in the current folder alone.
func findSuppressions() string {
	found, folder := "", "."
	for range 64 {
		if file := filepath.Join(folder, suppressionsName); found == "" && exists(file) {
			found = file
		}
		if exists(filepath.Join(folder, ".git")) {
			return found
		}
		folder = filepath.Join("..", folder)
	}
	if exists(suppressionsName) {
		return suppressionsName
	}
	return ""
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func (s *suppressions) validate() error {
	var problems []error
	for i, one := range s.Suppress {
		problems = append(problems, one.validate(fmt.Sprintf("suppress[%d]", i), s.ids))
	}
	for i, glob := range s.Exclude {
		problems = append(problems, validGlob(fmt.Sprintf("exclude[%d]", i), glob))
	}
	for kind, names := range s.Elsewhere {
		for i, name := range names {
			if _, err := path.Match(name, ""); err != nil || name == "" {
				problems = append(problems,
					fmt.Errorf("elsewhere.%s[%d]: %q is not a pattern: write a name, with * for any characters", kind,
						i, name))
			}
		}
	}
	return errors.Join(problems...)
}

func (s suppression) validate(at string, ids []string) error {
	var problems []error
	if !slices.Contains(ids, s.Rule) {
		remedy := "`tekgate lint --rules` lists them"
		if best := suggest.Closest(s.Rule, ids); best != "" {
			remedy = fmt.Sprintf("did you mean %q?", best)
		}
		problems = append(problems, fmt.Errorf("%s.rule: there is no rule %q: %s", at, s.Rule, remedy))
	}
	if strings.TrimSpace(s.Reason) == "" {
		problems = append(problems, fmt.Errorf("%s.reason: it is missing: say why, for whoever wants to remove it", at))
	}
	if _, err := time.Parse(time.DateOnly, s.Until); err != nil && s.Until != "" {
		problems = append(problems,
			fmt.Errorf("%s.until: %q is not a date: write the last day, such as 2027-03-31", at, s.Until))
	}
	if kind, name, ok := strings.Cut(s.Object, "/"); s.Object != "" && (!ok || kind == "" || name == "") {
		problems = append(problems, fmt.Errorf("%s.object: %q is not Kind/name, such as Task/build", at, s.Object))
	} else if _, err := path.Match(s.Object, ""); err != nil {
		problems = append(problems,
			fmt.Errorf("%s.object: %q is not a pattern: write Kind/name, with * for any characters", at, s.Object))
	}
	if s.Path != "" {
		problems = append(problems, validGlob(at+".path", s.Path))
	}
	return errors.Join(problems...)
}

func validGlob(at, glob string) error {
	if glob == "" || !doublestar.ValidatePattern(glob) {
		return fmt.Errorf("%s: %q is not a glob: write a path, with * and ** for any characters", at, glob)
	}
	return nil
}

// expired tells whether the last day is over.
func (s suppression) expired(now time.Time) bool {
	until, err := time.Parse(time.DateOnly, s.Until)
	return err == nil && !now.Before(until.AddDate(0, 0, 1))
}

// within returns a file's path in the folder of the suppressions, with slashes.
func (s *suppressions) within(file string) (string, bool) {
	absolute, err := filepath.Abs(file)
	if err != nil || s.file == "" {
		return "", false
	}
	relative, err := filepath.Rel(s.folder, absolute)
	relative = filepath.ToSlash(relative)
	return relative, err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

// matchesFile tells whether a glob stands for a file.
func (s *suppressions) matchesFile(glob, file string) bool {
	name, ok := s.within(file)
	return ok && matchesGlob(glob, name)
}

func matchesGlob(glob, name string) bool {
	glob = strings.TrimPrefix(glob, "./")
	if !strings.Contains(glob, "/") {
		name = path.Base(name)
	}
	return doublestar.MatchUnvalidated(glob, name)
}

// excludes tells whether a file, or a folder that it lies in, is excluded.
func (s *suppressions) excludes(file string) bool {
	name, ok := s.within(file)
	if !ok || file == "-" {
		return false
	}
	for ; name != "."; name = path.Dir(name) {
		if slices.ContainsFunc(s.Exclude,
			func(glob string) bool { return matchesGlob(strings.TrimSuffix(glob, "/"), name) }) {
			return true
		}
	}
	return false
}

// begin tells what is judged, so that a suppression is called useless only where its
// finding would have been seen.
func (s *suppressions) begin(paths []string, files []*lintFile) {
	s.judged = files
	for _, p := range paths {
		absolute, err := filepath.Abs(p)
		if err != nil || p == "-" {
			continue
		}
		relative, err := filepath.Rel(absolute, s.folder)
		s.whole = s.whole || (err == nil && (relative == "." || !strings.HasPrefix(relative, "..")))
	}
}

// holding is what becomes of suppressions while findings are reported.
type holding struct {
	*suppressions
	asked   []string // the ids of the rules that are asked
	used    []bool   // of each suppression
	ignores map[string][]*ignore
}

// ignore is a comment that suppresses a rule on one line.
type ignore struct {
	rule   string
	line   int // for which it holds
	at     document.Comment
	used   bool
	broken string // what is wrong with it
}

func (s *suppressions) fresh(rules []*validator.Rule) *holding {
	h := &holding{suppressions: s, used: make([]bool, len(s.Suppress)), ignores: map[string][]*ignore{}}
	for _, rule := range rules {
		h.asked = append(h.asked, rule.ID)
	}
	return h
}

// commentWord is what a comment begins with that is for Tekgate.
const commentWord = "tekgate:"

// comments reads those of a file. One that has a line to itself is for the next line
// that holds anything else.
func (h *holding) comments(f *lintFile) {
	for _, d := range f.documents {
		alone := map[int]bool{}
		var found []*ignore
		for _, c := range d.Comments(commentWord) {
			alone[c.Line] = c.Alone
			found = append(found, h.ignore(c))
		}
		for _, one := range found {
			for one.at.Alone && (one.line == one.at.Line || alone[one.line]) {
				one.line++
			}
		}
		h.ignores[f.name] = append(h.ignores[f.name], found...)
	}
}

func (h *holding) ignore(c document.Comment) *ignore {
	one := &ignore{line: c.Line, at: c}
	words := strings.Fields(c.Text)
	switch {
	case len(words) == 0 || words[0] != "ignore":
		one.broken = "it is not understood: write `# tekgate: ignore RULE the reason`"
	case len(words) == 1:
		one.broken = "it names no rule: write `# tekgate: ignore RULE the reason`"
	case !slices.Contains(h.ids, words[1]):
		one.broken = fmt.Sprintf("there is no rule %q", words[1])
		if best := suggest.Closest(words[1], h.ids); best != "" {
			one.broken += fmt.Sprintf(": did you mean %q?", best)
		}
	case len(words) == 2:
		one.broken = fmt.Sprintf("it gives no reason: write one after %s, for whoever wants to remove it", words[1])
	default:
		one.rule = words[1]
	}
	return one
}

// holds tells whether a finding is suppressed.
func (h *holding) holds(p *problem) bool {
	held := false
	for _, one := range h.ignores[p.File] {
		if one.rule == p.Rule && one.line == p.Line && one.broken == "" {
			one.used, held = true, true
		}
	}
	for i, s := range h.Suppress {
		if s.Rule == p.Rule && !s.expired(h.now) && h.covers(s, p.File, p.Kind, p.Name) {
			h.used[i], held = true, true
		}
	}
	return held
}

func (h *holding) covers(s suppression, file, kind, name string) bool {
	if s.Path != "" && !h.matchesFile(s.Path, file) {
		return false
	}
	matched, _ := path.Match(s.Object, kind+"/"+name)
	return s.Object == "" || matched
}

// problems are the findings about suppressions themselves.
func (h *holding) problems() []*problem {
	var found []*problem
	report := func(file string, line, column int, format string, args ...any) {
		found = append(found,
			&problem{File: file, Line: line, Column: column, Rule: findings.SuppressionRule.ID,
				Severity: findings.SuppressionRule.Severity, Message: fmt.Sprintf(format, args...)})
	}
	for i, s := range h.Suppress {
		at := fmt.Sprintf("suppress[%d]", i)
		switch {
		case s.expired(h.now):
			line, column := h.document.Position(at + ".until")
			report(h.file, line, column,
				"the suppression of %s has not held since %s was over: mend what it hides, or give it another date",
				s.Rule, s.Until)
		case !h.used[i] && slices.Contains(h.asked, s.Rule) && h.inScope(s):
			line, column := h.document.Position(at)
			report(h.file, line, column, "the suppression of %s matches nothing: remove it", s.Rule)
		}
	}
	for _, f := range h.judged {
		for _, one := range h.ignores[f.name] {
			switch {
			case one.broken != "":
				report(f.name, one.at.Line, one.at.Column, "the comment suppresses nothing: %s", one.broken)
			case !one.used && slices.Contains(h.asked, one.rule):
				report(f.name, one.at.Line, one.at.Column,
					"the comment suppresses nothing: %s finds nothing at line %d: remove it", one.rule, one.line)
			}
		}
	}
	return found
}

// inScope tells whether what a suppression is for has been judged.
func (h *holding) inScope(s suppression) bool {
	return h.whole || slices.ContainsFunc(h.judged, func(f *lintFile) bool {
		return slices.ContainsFunc(f.objects, func(o *linted) bool {
			return (s.Path != "" || s.Object != "") &&
				h.covers(s, f.name, o.subject.Kind.Kind, objects.Name(objects.Metadata(o.fields())))
		})
	})
}
