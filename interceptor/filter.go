package interceptor

import (
	"fmt"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
)

// filters are the params that say which of the verified events a Trigger wants.
type filters struct {
	EventTypes   globs `json:"eventTypes,omitempty"`
	Repositories globs `json:"repositories,omitempty"`
	Branches     globs `json:"branches,omitempty"`
	Tags         globs `json:"tags,omitempty"`
	Paths        globs `json:"paths,omitempty"`
}

// globs are patterns: * is any text without a slash, ** any text, {a,b} either. One
// that begins with ! takes away what those before it matched.
type globs []string

func (f *filters) checkGlobs() error {
	for _, list := range []struct {
		name  string
		globs globs
	}{{"eventTypes", f.EventTypes}, {"repositories", f.Repositories}, {"branches", f.Branches}, {"tags", f.Tags},
		{"paths", f.Paths}} {
		if problem := list.globs.problem(); problem != "" {
			return refusal.New(refusal.Params, codes.InvalidArgument, "param %s %s", list.name, problem)
		}
	}
	return nil
}

func (g globs) problem() string {
	const most, longest, braces = 100, 256, 8
	if g == nil {
		return ""
	}
	if len(g) == 0 {
		return "is an empty list, which nothing matches: name a pattern, or remove it"
	}
	if len(g) > most {
		return fmt.Sprintf("has %d patterns: give %d at most", len(g), most)
	}
	positive := false
	for _, pattern := range g {
		bare, not := strings.CutPrefix(pattern, "!")
		positive = positive || !not
		switch {
		case bare == "" || len(pattern) > longest:
			return fmt.Sprintf("holds %s: give a pattern of 1 to %d bytes", refusal.Quote(pattern), longest)
		case !doublestar.ValidatePattern(bare) || strings.Count(bare, "{") > braces:
			return fmt.Sprintf(
				"holds %s, which is no pattern: close its brackets and braces, and write a backslash before one that is meant itself",
				refusal.Quote(pattern))
		}
	}
	if !positive {
		return fmt.Sprintf("has nothing but exceptions, so nothing matches it: put \"**\" before %s",
			refusal.Quote(g[0]))
	}
	return ""
}

// match says whether one of the names of a thing matches. The last pattern that
// fits counts. What has no name matches nothing, not even **.
func (g globs) match(names ...string) bool {
	matched := false
	for _, pattern := range g {
		bare, not := strings.CutPrefix(pattern, "!")
		if matched != not {
			continue
		}
		for _, name := range names {
			if name != "" && doublestar.MatchUnvalidated(bare, name) {
				matched = !not
			}
		}
	}
	return matched
}

// matchAny reports whether one of several things, each with one name, matches.
func (g globs) matchAny(names []string) bool {
	for _, name := range names {
		if g.match(name) {
			return true
		}
	}
	return false
}

// mayMatchEvent says whether an event could pass, whatever its action turns out to
// be: the header names the event, and only the payload the action.
func (f *filters) mayMatchEvent(event string) bool {
	if f.EventTypes == nil {
		return true
	}
	for _, pattern := range f.EventTypes {
		if strings.HasPrefix(pattern, "!") {
			continue
		}
		if event != "" && doublestar.MatchUnvalidated(pattern, event) {
			return true
		}
		if colon := strings.LastIndex(pattern, ":"); colon > 0 && doublestar.MatchUnvalidated(pattern[:colon], event) {
			return true
		}
	}
	return false
}

// refuseEvent judges the event before anything is verified, which spares reading a
// Secret for those that nobody wants.
func (f *filters) refuseEvent(event string, from *provider.Payload) error {
	if f.mayMatchEvent(event) || event == "delete" && from.DeletesApart() && f.namesDeletion("push") {
		return nil
	}
	return unwanted("the event", event, "eventTypes")
}

func unwanted(what, name, param string) error {
	if name == "" {
		return refusal.New(refusal.Filtered, codes.FailedPrecondition,
			"%s has no name and so none that param %s asks for: remove the param if such events are wanted", what,
			param)
	}
	return refusal.New(refusal.Filtered, codes.FailedPrecondition,
		"%s is %s, and param %s names no such: add it there if it is wanted", what, refusal.Quote(name), param)
}

// refuseGit judges what a verified delivery is about, or returns nil.
func (f *filters) refuseGit(g *provider.Git, x *provider.Extract) error {
	action := g.Event + ":" + g.Action
	asPush := x.AsPush && f.namesDeletion("push") && f.EventTypes.match("push:deleted")
	if f.EventTypes != nil && !asPush && !f.EventTypes.match(g.Event, action) {
		return unwanted("the event", action, "eventTypes")
	}
	if g.Deleted && !asPush && !f.namesDeletion(g.Event) {
		return refusal.New(refusal.Deleted, codes.FailedPrecondition,
			"%s was deleted, and there is nothing left to build: name %q in param eventTypes to hear of deletions",
			g.What(), g.Event+":deleted")
	}
	if f.Repositories != nil && !f.Repositories.match(g.Repository) {
		return unwanted("the repository", g.Repository, "repositories")
	}
	if err := f.refuseRef(g); err != nil {
		return err
	}
	if f.Paths != nil && x.Files.Complete && !f.Paths.matchAny(x.Files.All()) {
		return refusal.New(refusal.Filtered, codes.FailedPrecondition,
			"none of the %d changed files matches param paths", x.Files.Count())
	}
	return nil
}

// namesDeletion says whether a pattern asks for the deletion by name: one for the
// event as such does not mean it.
func (f *filters) namesDeletion(event string) bool {
	for _, pattern := range f.EventTypes {
		if !strings.HasPrefix(pattern, "!") && !doublestar.MatchUnvalidated(pattern, event) &&
			doublestar.MatchUnvalidated(pattern, event+":deleted") {
			return true
		}
	}
	return false
}

func (f *filters) refuseRef(g *provider.Git) error {
	branch := g.Branch
	if branch == "" {
		branch = g.TargetBranch
	}
	switch {
	case f.Branches == nil && f.Tags == nil:
		return nil
	case g.Tag != "":
		if f.Tags.match(g.Tag) {
			return nil
		}
		return unwanted("the tag", g.Tag, "tags")
	case f.Branches.match(branch):
		return nil
	}
	return unwanted("the branch", branch, "branches")
}
