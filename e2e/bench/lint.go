package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/tekgate/tekgate/e2e/bench/load"
	"github.com/tekgate/tekgate/e2e/bench/report"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/validator"
)

// The measures of lint.
const (
	documentsPerSecond = "documents per second"
	cpuPerDocument     = "CPU per document"
	peakMemory         = "peak memory"
)

// The repository has lintServices services of ten documents each, of which lintFaults have
// a privileged step with the tag latest.
const (
	lintServices = 1000
	lintFaults   = lintServices / 10
	lintTimeout  = 20 * time.Minute
)

var (
	//go:embed lint/repository.yaml
	lintService string
	//go:embed lint/kyverno.yaml
	lintKyverno string
	//go:embed lint/gatekeeper.yaml
	lintGatekeeper string
)

// linter is a candidate that runs once over all documents.
type linter struct {
	candidate string
	peer      string // the program in package peers; empty for Tekgate
	policy    string // the content of the peer's file of policies
	args      []string
	faults    []string // texts of which the output has one for each fault
	program   string   // path
}

// linters returns them for a directory with the repository and files of policies.
func linters(dir string) []linter {
	repository := filepath.Join(dir, "repository")
	ours := []string{"lint", repository, "--fail-on", "never"}
	ourFaults := []string{"(image-latest)", "(privileged)"}
	return []linter{
		{candidate: tekgate, args: ours, faults: ourFaults},
		{
			candidate: tekgate + ", 3 rules", faults: ourFaults,
			args: append(slices.Clone(ours), "--only", "image-latest,image-registry,privileged"),
		},
		{
			candidate: "kyverno apply", peer: peers.KyvernoCLI, policy: lintKyverno,
			args:   []string{"apply", policyFile(dir, peers.KyvernoCLI), "--resource", repository, "--remove-color"},
			faults: []string{"- latest-tag ", "- privileged "},
		},
		{
			candidate: "gatekeeper gator test", peer: peers.Gator, policy: lintGatekeeper,
			args:   []string{"test", "--filename", policyFile(dir, peers.Gator), "--filename", repository},
			faults: []string{`["steplatesttag"]`, `["stepprivileged"]`},
		},
	}
}

func policyFile(dir, peer string) string { return filepath.Join(dir, peer+".yaml") }

// lint measures command lines that judge files.
func lint(ctx context.Context, e *environment) (figures []report.Figure, err error) {
	if err := e.stopServers(ctx); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tekgate-lint-")
	if err != nil {
		return nil, fmt.Errorf("creating a directory for the repository: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	documents, err := writeRepository(filepath.Join(dir, "repository"))
	if err != nil {
		return nil, err
	}
	built, candidates, err := e.buildLinters(ctx, dir)
	if err != nil {
		return nil, err
	}
	on := 0
	for _, rule := range validator.Rules {
		if rule.DefaultMode() != validator.Off {
			on++
		}
	}
	e.note("Tekgate ran the %d of its %d rules that are on by default, the peers 3 rules each.",
		on, len(validator.Rules))
	return e.measure(ctx, series{
		candidates: candidates, rounds: mostStarts,
		measures: []measure{{documentsPerSecond, "docs/s"}, {cpuPerDocument, "µs"}, {peakMemory, "MiB"}},
		run: func(ctx context.Context, candidate string) (scores, error) {
			return built[candidate].measure(ctx, float64(documents))
		},
	})
}

// writeRepository writes a file for each service, and returns the number of documents.
func writeRepository(dir string) (int, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return 0, fmt.Errorf("writing the repository: %w", err)
	}
	for i := range lintServices {
		tag, privileged := "1.38.0", "false"
		if i%(lintServices/lintFaults) == 0 {
			tag, privileged = "latest", "true"
		}
		name := fmt.Sprintf("service-%d", i)
		text := strings.NewReplacer("SERVICE", name, "TAG", tag, "PRIVILEGED", privileged).Replace(lintService)
		if err := os.WriteFile(filepath.Join(dir, name+".yaml"), []byte(text), 0o600); err != nil {
			return 0, fmt.Errorf("writing the repository: %w", err)
		}
	}
	return lintServices * (strings.Count(lintService, "\n---\n") + 1), nil
}

// buildLinters returns those that can be built. Tekgate must not fail.
func (e *environment) buildLinters(ctx context.Context, dir string) (map[string]linter, []string, error) {
	built, candidates := map[string]linter{}, []string(nil)
	all := linters(dir)
	if e.before != "" {
		l := all[0]
		l.candidate, l.program = l.candidate+" before", e.before
		built[l.candidate], candidates = l, append(candidates, l.candidate)
	}
	for _, l := range all {
		if e.leftOut(l.candidate) {
			continue
		}
		var err error
		if l.peer == "" {
			l.program, err = e.build(ctx, "tekgate")
		} else {
			l.program, err = peers.Build(ctx, l.peer, e.log)
		}
		if err != nil && (ctx.Err() != nil || l.peer == "") {
			return nil, nil, err
		}
		if err != nil {
			e.lacks(l.candidate, err)
			continue
		}
		if l.peer != "" {
			if err := os.WriteFile(policyFile(dir, l.peer), []byte(l.policy), 0o600); err != nil {
				return nil, nil, fmt.Errorf("writing the policies of %s: %w", l.candidate, err)
			}
		}
		built[l.candidate], candidates = l, append(candidates, l.candidate)
	}
	return built, candidates, nil
}

// measure runs the program once. Exit status 1 means that it found faults.
func (l linter) measure(ctx context.Context, documents float64) (scores, error) {
	ctx, cancel := context.WithTimeout(ctx, lintTimeout)
	defer cancel()
	var out, errOut bytes.Buffer
	// Between fork and exec, a child has its parent's peak, which counts as the child's.
	debug.FreeOSMemory()
	if _, err := load.ResetPeak(os.Getpid()); err != nil {
		return nil, err
	}
	run := exec.CommandContext(ctx, l.program, l.args...)
	run.Stdout, run.Stderr = &out, &errOut
	began := time.Now()
	err := run.Run()
	took := time.Since(began)
	if run.ProcessState == nil || ctx.Err() != nil || run.ProcessState.ExitCode() > 1 {
		return nil, fmt.Errorf("running %s: %w: %s", l.candidate, errors.Join(err, ctx.Err()), tail(errOut.String()))
	}
	for _, fault := range l.faults {
		if found := strings.Count(out.String(), fault); found != lintFaults {
			return nil, fmt.Errorf("%s prints %q %d times, but there are %d faults: %s",
				l.candidate, fault, found, lintFaults, tail(errOut.String()))
		}
	}
	usage, ok := run.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, errors.New("the system does not report the memory of a process")
	}
	return scores{
		documentsPerSecond: documents / took.Seconds(),
		cpuPerDocument:     load.Micros(run.ProcessState.UserTime()+run.ProcessState.SystemTime()) / documents,
		peakMemory:         float64(usage.Maxrss) / 1024,
	}, nil
}

// tail is the end of a program's output.
func tail(text string) string {
	const most = 400
	return strings.TrimSpace(text[max(0, len(text)-most):])
}
