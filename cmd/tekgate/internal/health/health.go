// Package health reads whether an installation works, and what is installed.
package health

import (
	"context"
	"fmt"
	"time"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/check"
	"github.com/tekgate/tekgate/installer/installed"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/mutator"
)

// Checks are the checks of an installation.
type Checks struct {
	Wait    time.Duration      // how long to repeat checks that time alone may repair
	Waiting func(check.Result) // called before a repetition; nil for none
	Done    func(check.Result) // called after each check; nil for none
	// Registries say how to ask the registries of the images; nil for not at all.
	Registries *registry.Options
}

// Run runs all checks.
func (c Checks) Run(ctx context.Context, cluster *live.Cluster) (*Report, error) {
	options := check.Options{Parse: parse, Now: time.Now(), Wait: c.Wait, Waiting: c.Waiting}
	if c.Registries != nil {
		options.Users = func(
			ctx context.Context, refs []image.Reference, platforms []string,
		) ([][]registry.User, []error) {
			return registry.Users(ctx, refs, platforms, *c.Registries)
		}
		options.Probe = c.probe
	}
	report := &Report{Checks: []result{}}
	report.Success = check.Run(ctx, cluster, options, func(r check.Result) {
		report.add(r)
		if c.Done != nil {
			c.Done(r)
		}
	})
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("checking: %w", err)
	}
	return report, nil
}

// probe asks registries for images as they are named.
func (c Checks) probe(ctx context.Context, refs []image.Reference, platforms []string) []registry.Result {
	request := registry.ProbeRequest{Platforms: platforms}
	for _, ref := range refs {
		request.Images = append(request.Images, []image.Rewritten{{From: ref, To: ref}})
	}
	return registry.Probe(ctx, request, *c.Registries)
}

// parse reads the configuration as the servers do.
func parse(text []byte) (*check.Configuration, error) {
	c, err := config.Parse(text)
	if err != nil {
		return nil, err
	}
	parsed := &check.Configuration{SecretLabel: c.Interceptor.SecretLabel}
	if !c.Mirror.Empty() {
		if parsed.Mirror, err = c.Mirror.Compile(); err != nil {
			return nil, err
		}
	}
	m, err := mutator.New(c.Mutator, parsed.Mirror, nil)
	if err != nil {
		return nil, fmt.Errorf("mutator.%w", err)
	}
	parsed.Hash, parsed.Own, parsed.MostOwn = m.Hash(), m.CheckOverlay, mutator.MaxOverlays
	return parsed, nil
}

// Report has the results of the checks, as JSON.
type Report struct {
	Success bool     `json:"success"`
	Checks  []result `json:"checks"`
}

type result struct {
	ID       string       `json:"id"`
	Category string       `json:"category"`
	Title    string       `json:"title"`
	Fatal    bool         `json:"fatal"`
	Result   check.Status `json:"result"`
	Problems []string     `json:"problems,omitempty"`
	Hint     string       `json:"hint,omitempty"`
}

func (r *Report) add(done check.Result) {
	one := result{
		ID: done.Check.ID, Category: done.Check.Category, Title: done.Check.Title, Fatal: done.Check.Fatal,
		Result: done.Status, Problems: done.Problems,
	}
	if done.Status == check.Warning || done.Status == check.Error {
		one.Hint = done.Check.Hint()
	}
	r.Checks = append(r.Checks, one)
}

// Err returns an error if the installation does not work.
func (r *Report) Err() error {
	if r.Success {
		return nil
	}
	failed := 0
	for _, c := range r.Checks {
		if c.Result == check.Error {
			failed++
		}
	}
	return fmt.Errorf("%d of %d checks failed", failed, len(r.Checks))
}

// Status returns what is installed.
func Status(ctx context.Context, cluster *live.Cluster) (*installed.Status, error) {
	inventory, err := installer.ReadInventory(ctx, cluster.Client())
	if err != nil {
		return nil, err
	}
	return installed.Read(ctx, cluster, inventory)
}
