// Package check says whether an installation works, and if not, why.
//
// A check is a value: it asks the cluster one question that has a yes, and a no
// that says which object, what about it, and where to read what to do. Nothing
// is ever written: the one thing sent is a TaskRun that the server is told not to
// keep, because whether a webhook answers cannot be seen from outside it.
package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
)

// Check is one question about an installation.
type Check struct {
	// ID names it for machines and is the anchor of its hint.
	ID string
	// Category is the part of the installation that it is about.
	Category string
	// Title is the answer that one hopes for, as a clause.
	Title string
	// Doc says why it matters and what to do.
	Doc string
	// Fatal says that the installation does not do its work unless it passes.
	Fatal bool
	// Retry says that time alone may make it pass.
	Retry bool
	// Needs names an earlier check without which this one means nothing.
	Needs string

	run func(context.Context, *state) error
}

// Checks are all checks in their order.
var Checks = slicesOf(
	kubernetesChecks,
	tektonChecks,
	componentChecks,
	imageChecks,
	tekgateChecks,
	certificateChecks,
	webhookChecks,
	interceptorChecks,
	configurationChecks,
)

func slicesOf(groups ...[]Check) []Check {
	var all []Check
	for _, group := range groups {
		all = append(all, group...)
	}
	return all
}

// Configuration is what the checks need of Tekgate's configuration.
type Configuration struct {
	// Mirror are the rules that images were rewritten by; nil where there are
	// none.
	Mirror *image.Rules
	// Hash is what the admission server calls it, see mutator.Mutator.Hash.
	Hash string
	// SecretLabel is the label that the Secrets of webhooks must have, as key or
	// key=value; "" for none.
	SecretLabel string
	// Own returns how much memory the settings of a Namespace take, or why they are not
	// used. MostOwn is how much those of all Namespaces may take.
	Own     func(text string) (int, error)
	MostOwn int
}

// Options say what to check with.
type Options struct {
	// Parse reads the text of Tekgate's configuration.
	Parse func(text []byte) (*Configuration, error)
	// Users reads the users of images, see registry.Users; nil where no registry may be asked.
	Users func(ctx context.Context, refs []image.Reference, platforms []string) ([][]registry.User, []error)
	// Probe asks registries for images, see registry.Probe; nil where no registry may be asked.
	Probe func(ctx context.Context, refs []image.Reference, platforms []string) []registry.Result
	// Now is the time by which certificates are judged.
	Now time.Time
	// Wait is for how long checks that may pass later are tried again.
	Wait time.Duration
	// Waiting hears, once per reason, what is waited for; nil for nobody.
	Waiting func(Result)
}

// Status is the outcome of a check.
type Status string

// What a check ends with.
const (
	Success Status = "success"
	Warning Status = "warning"
	Error   Status = "error"
	Skipped Status = "skipped"
)

// Result is a check and its outcome.
type Result struct {
	Check    Check
	Status   Status
	Problems []string // why it did not pass, or was skipped
}

// Docs is where the hints lie; an anchor follows.
const Docs = "https://github.com/tekgate/tekgate/blob/main/docs/checks.md"

// Hint is where to read what to do about a check that did not pass.
func (c Check) Hint() string { return Docs + "#" + c.ID }

// state is what one check sees.
type state struct {
	*live.Cluster
	options Options
}

// Run asks everything in order and tells each result to report. It returns
// whether nothing fatal is wrong.
func Run(ctx context.Context, cluster *live.Cluster, options Options, report func(Result)) bool {
	deadline := time.Now().Add(options.Wait)
	passed, healthy := map[string]bool{}, true
	for _, check := range Checks {
		var result Result
		if check.Needs != "" && !passed[check.Needs] {
			result = Result{
				Check:    check,
				Status:   Skipped,
				Problems: []string{"it means nothing before " + check.Needs + " passes"},
			}
		} else {
			result = persist(ctx, check, &state{Cluster: cluster, options: options}, deadline)
		}
		passed[check.ID] = result.Status == Success
		healthy = healthy && result.Status != Error
		report(result)
	}
	return healthy && ctx.Err() == nil
}

const retryEvery = 500 * time.Millisecond

// persist asks again while there is hope and time.
func persist(ctx context.Context, check Check, s *state, deadline time.Time) Result {
	said := ""
	for {
		result := ask(ctx, check, s)
		hopeful := check.Retry && (result.Status == Error || result.Status == Warning)
		if !hopeful || time.Now().After(deadline) || ctx.Err() != nil {
			return result
		}
		if reason := strings.Join(result.Problems, "\n"); reason != said && s.options.Waiting != nil {
			said = reason
			s.options.Waiting(result)
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryEvery):
		}
	}
}

// perQuestion bounds one question, so that a server that hangs is an answer too.
const perQuestion = 30 * time.Second

func ask(ctx context.Context, check Check, s *state) Result {
	ctx, cancel := context.WithTimeout(ctx, perQuestion)
	defer cancel()
	err := check.run(ctx, s)
	switch problem := err.(type) { //nolint:errorlint // checks return these bare
	case nil:
		return Result{Check: check, Status: Success}
	case skip:
		return Result{Check: check, Status: Skipped, Problems: []string{string(problem)}}
	}
	result := Result{Check: check, Status: Error, Problems: strings.Split(err.Error(), "\n")}
	if !check.Fatal {
		result.Status = Warning
	}
	return result
}

// skip is a reason why a question does not arise.
type skip string

func (s skip) Error() string { return string(s) }

// problems collects what is wrong, a line each.
type problems []string

func (p *problems) add(format string, args ...any) {
	*p = append(*p, fmt.Sprintf(format, args...))
}

// err is nil where nothing was added.
func (p *problems) err() error {
	if len(*p) == 0 {
		return nil
	}
	return *p
}

func (p problems) Error() string { return strings.Join(p, "\n") }
