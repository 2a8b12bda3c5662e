package release

import (
	"context"
	"fmt"
)

// Line is a long-term line of Tekton Pipelines, with the release of Triggers that is made
// for it: the one whose go.mod asks for that line.
type Line struct {
	// Name is the line's minor version, such as "v1.12".
	Name string
	// Pipeline and Triggers are the versions of the modules, with their v: the newest patch
	// releases of the line that the Go module proxy serves.
	Pipeline, Triggers string
	// Released and EndOfLife are the days of the line's first release and of the end of its
	// support, as YYYY-MM-DD (releases.md of tektoncd/pipeline; one year for long-term lines).
	Released, EndOfLife string
}

// Lines are the lines that are compiled into tekgate, the newest first. The versions of the
// newest are those of go.mod, which the command generate checks.
var Lines = []Line{
	{Name: "v1.15", Pipeline: "v1.15.1", Triggers: "v0.37.0", Released: "2026-07-31", EndOfLife: "2027-07-31"},
	{Name: "v1.12", Pipeline: "v1.12.2", Triggers: "v0.36.0", Released: "2026-05-04", EndOfLife: "2027-05-04"},
	{Name: "v1.9", Pipeline: "v1.9.6", Triggers: "v0.35.0", Released: "2026-01-30", EndOfLife: "2027-01-30"},
	{Name: "v1.6", Pipeline: "v1.6.6", Triggers: "v0.34.0", Released: "2025-10-31", EndOfLife: "2026-10-31"},
}

// Newest is the line that is installed unless another is asked for.
func Newest() Line { return Lines[0] }

// Version returns the line's version of a manifest.
func (l Line) Version(m Manifest) string {
	if m.Module == pipelineModule {
		return l.Pipeline
	}
	return l.Triggers
}

const (
	pipelineModule = "github.com/tektoncd/pipeline"
	triggersModule = "github.com/tektoncd/triggers"
)

// sums are the checksums of the modules that go.mod does not pin, as go.sum would have them.
var sums = map[string]string{
	pipelineModule + "@v1.12.2": "h1:pVip2g/FIMpB7cdrh4M2d/eXD8JhgzKc9yEtxSEqqAY=",
	pipelineModule + "@v1.9.6":  "h1:j/yUWklZwuhF6HaM6jyjlf+pmLMcW8+WLksqhb2/j9I=",
	pipelineModule + "@v1.6.6":  "h1:A3JfwekyXRNVTddEZtVGYCU95FrowJqGMi3f5hIbs7g=",
	triggersModule + "@v0.36.0": "h1:nyNkMN3L+TvpRHQXDIXc8hqicj494Xx9Dv2+8wgjxe8=",
	triggersModule + "@v0.35.0": "h1:9Z5Cqn7RZTgyspWgWYFHz6AtWUUhd/awJeaisjZdF98=",
	triggersModule + "@v0.34.0": "h1:CuhG1moThPGEMlxPUcoBDDplJ3FAczzF8MMAjGScRY0=",
}

// Module returns the module of a line's manifest, whose checksum is pinned: by go.sum for the
// newest line, and by this package for the others.
func (l Line) Module(ctx context.Context, m Manifest) (Module, error) {
	version := l.Version(m)
	if l == Newest() {
		found, err := Pinned(ctx, m.Module)
		if err == nil && found.Version != version {
			err = fmt.Errorf("go.mod asks for %s %s, and the line %s has %s: change Lines", m.Module, found.Version,
				l.Name, version)
		}
		return found, err
	}
	return fetchPinned(ctx, m.Module, version, sums[m.Module+"@"+version])
}
