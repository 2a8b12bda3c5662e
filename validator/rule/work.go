package rule

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tekgate/tekgate/internal/suggest"
)

// ErrBudget says that the judgement of an object takes more time or memory than there is,
// so that what a rule would have found is not known.
var ErrBudget = errors.New("judging the object takes too much time or memory")

// Look is after how many steps the context is asked whether there is time left: a step is
// a visit of a rule to a value, and takes a microsecond at most. What takes longer, such as
// a compilation, is as many.
const Look = 1000

// After so many looks a judgement leaves its processor to others, for at least so long. It
// sleeps, since Go's scheduler asks the network for new requests when a processor has nothing
// to do and every 10 ms otherwise: runtime.Gosched does not make it ask. Where nothing else
// is to be done the sleep takes a millisecond, so objects of usual size never get there.
const (
	looks = 20
	pause = 50 * time.Microsecond
)

// mostSuggestions is for how many misspelt names of one object a likely name is looked
// for. A look compares the name with all that are known, so for thousands of names it
// would take longer than everything else.
const mostSuggestions = 50

// work is what the judgement of an object has cost, those within it included.
type work struct {
	ctx         context.Context
	steps       int // until the context is asked
	looks       int // how often it was asked
	suggestions int
	grown       int            // bytes, see Grow
	templates   map[string]any // see OncePerTemplate
}

// Step counts n steps of work. Walks and loops call it, those within loops above all: once
// the context has ended it stops the rule, and Judge returns ErrBudget.
//
// It panics to do so, and Judge recovers: a rule that had to hand an error through each of
// its walks would sooner or later forget one, and an object that is judged for ever passes.
func (p *Pass) Step(n int) {
	if p.work == nil { // a pass that is not judged
		return
	}
	if p.work.steps -= n; p.work.steps > 0 {
		return
	}
	p.work.steps = Look
	if p.work.looks++; p.work.looks%looks == 0 {
		time.Sleep(pause)
	}
	if p.work.ctx.Err() != nil {
		panic(ErrBudget)
	}
}

// mostGrown is by how many bytes the texts of an object may grow in all. Tekton could not
// store as much: etcd takes 1.5 MiB.
const mostGrown = 16 << 20

// Grow counts bytes that values add to the texts of the object. It stops the rule as Step
// does, once they are too many.
func (p *Pass) Grow(n int) {
	if p.work == nil || n <= 0 {
		return
	}
	p.Step(1 + n/1024)
	if p.work.grown += n; p.work.grown > mostGrown {
		panic(ErrBudget)
	}
}

// GiveUp stops the rule: what it does takes too much time or work, so Judge returns ErrBudget.
func (p *Pass) GiveUp() { panic(ErrBudget) }

// recoverBudget turns what Step panics with into an error.
func recoverBudget(err *error) {
	if cause := recover(); cause == ErrBudget { //nolint:errorlint // a panic is not wrapped
		*err = ErrBudget
	} else if cause != nil {
		panic(cause)
	}
}

// Closest returns the known name that a misspelt one most likely meant, "" for none and
// once enough names have been looked for.
func (p *Pass) Closest(word string, known func() []string) string {
	if p.work != nil {
		if p.work.suggestions++; p.work.suggestions > mostSuggestions {
			return ""
		}
	}
	list := known()
	p.Step(len(list))
	return suggest.Closest(word, list)
}

// OncePerTemplate is Once for what depends on the TriggerTemplate that creates an object,
// and not on the object: it is worked out once for all that the template creates.
func OncePerTemplate[T any](p *Pass, name string, walk func() T) T {
	if p.work == nil {
		return walk()
	}
	template, _, _ := strings.Cut(p.at, "resourcetemplates[")
	key := name + " of " + template
	if known, ok := p.work.templates[key].(T); ok {
		return known
	}
	found := walk()
	if p.work.templates == nil {
		p.work.templates = map[string]any{}
	}
	p.work.templates[key] = found
	return found
}
