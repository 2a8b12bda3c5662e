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

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/e2e/peers"
	"github.com/tekgate/tekgate/validator"
)

// The arms of B14: programs that are run once over all documents.
const (
	armThreeRules   = armOurs + ", 3 rules"
	armKyvernoApply = "kyverno apply"
	armGator        = "gatekeeper gator test"
)

const (
	whatDocuments = "documents per second"
	whatPeak      = "peak memory"
	whatRunCPU    = "CPU per document"
)

// lintServices is how many services the repository of B14 has, of ten documents each.
// One in ten builds with a privileged step of the tag latest.
const (
	lintServices = 1000
	lintFaults   = lintServices / 10
	lintPatience = 20 * time.Minute
)

var (
	//go:embed lint/repository.yaml
	lintService string
	//go:embed lint/kyverno.yaml
	lintKyverno string
	//go:embed lint/gatekeeper.yaml
	lintGatekeeper string
)

const manyRules = "the goal counts documents and not rules: Tekgate judges each by forty times as many. With three rules, as they have, see below."

func lintDocuments() benchmark {
	return benchmark{
		ID: "B14", Title: "Judging files without a cluster",
		Load: "A repository of 10,000 documents in 1,000 files: the EventListeners, bindings, templates, Pipelines, Tasks and runs of 1,000 services, one in ten of which has a privileged step of the tag latest. " +
			"`tekgate lint` judges them by all rules that are on by default, and once more by three; `kyverno apply` by one ClusterPolicy of three rules; `gator test` by three templates in CEL: the tag latest, the registry of images, privileged steps, as the three of Tekgate. " +
			"The time is that of the whole process. Each arm has to find all of the faults, or the run fails.",
		Silent: "What as many rules as Tekgate has would cost a peer: they check three. Nor what a peer costs with policies in its other languages, or for other kinds. `kyverno apply` ends in a panic where two objects have a generateName and no name, so that all have names.",
		Goals: []Goal{
			{Text: "documents per second of Tekgate, in multiples of Kyverno's", What: whatDocuments, Over: armOurs, Under: armKyvernoApply, AtLeast: limit(10), Reason: manyRules},
			{Text: "the same with three rules each", What: whatDocuments, Over: armThreeRules, Under: armKyvernoApply, AtLeast: limit(10)},
			{Text: "documents per second of Tekgate, in multiples of gator's", What: whatDocuments, Over: armOurs, Under: armGator, AtLeast: limit(10), Reason: manyRules},
			{
				Text: "the same with three rules each", What: whatDocuments, Over: armThreeRules, Under: armGator, AtLeast: limit(10),
				Reason: "about half of what is left is reading the YAML, strictly, which gator has to read, too.",
			},
		},
		Run: b14,
	}
}

// linter is an arm of B14.
type linter struct {
	program string
	args    []string
	faults  []string // what its output says of each fault, once
}

func b14(ctx context.Context, b *bed) (figures []Figure, err error) {
	if err := b.stopServers(ctx); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "tekgate-lint-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for the repository: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	documents, err := writeRepository(filepath.Join(dir, "repository"))
	if err != nil {
		return nil, err
	}
	linters, arms, err := b.linters(ctx, dir)
	if err != nil {
		return nil, err
	}
	off := func(r *validator.Rule) bool { return r.DefaultMode() == validator.Off }
	rules := len(slices.DeleteFunc(slices.Clone(validator.Rules), off))
	b.note("The peers check 3 rules each, Tekgate the %d of its %d that are on by default. Rounds are not guarded by the null arm: these are programs that run once.", rules, len(validator.Rules))
	return b.measure(ctx, Series{
		ID: "B14", Arms: arms, Rounds: mostStarts,
		Units: []Unit{{whatDocuments, "docs/s"}, {whatRunCPU, "µs"}, {whatPeak, "MiB"}},
		Measure: func(ctx context.Context, arm string) (Sample, error) {
			return linters[arm].measured(ctx, float64(documents))
		},
	})
}

// writeRepository writes one file per service, and returns how many documents they hold.
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

// linters returns those that can be built. Without Tekgate there is nothing to compare.
func (b *bed) linters(ctx context.Context, dir string) (map[string]linter, []string, error) {
	repository := filepath.Join(dir, "repository")
	linters, arms := map[string]linter{}, []string(nil)
	for _, one := range []struct {
		arm, program, policy string
		args                 []string
		faults               []string
	}{
		{armOurs, "", "", []string{"lint", repository, "--fail-on", "never"}, []string{"(image-latest)", "(privileged)"}},
		{armThreeRules, "", "", []string{"lint", repository, "--fail-on", "never", "--only", "image-latest,image-registry,privileged"}, []string{"(image-latest)", "(privileged)"}},
		{armKyvernoApply, peers.KyvernoCLI, lintKyverno, []string{"apply", filepath.Join(dir, peers.KyvernoCLI+".yaml"), "--resource", repository, "--remove-color"}, []string{"- latest-tag ", "- privileged "}},
		{armGator, peers.Gator, lintGatekeeper, []string{"test", "--filename", filepath.Join(dir, peers.Gator+".yaml"), "--filename", repository}, []string{"[\"steplatesttag\"]", "[\"stepprivileged\"]"}},
	} {
		if b.leftOut(one.arm) {
			continue
		}
		program, err := b.lintProgram(ctx, dir, one.program)
		if err != nil && (ctx.Err() != nil || one.program == "") {
			return nil, nil, err
		}
		if err != nil {
			b.lacks(one.arm, err)
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, one.program+".yaml"), []byte(one.policy), 0o600); err != nil {
			return nil, nil, fmt.Errorf("writing the policies of %s: %w", one.arm, err)
		}
		linters[one.arm], arms = linter{program, one.args, one.faults}, append(arms, one.arm)
	}
	return linters, arms, nil
}

// lintProgram builds a peer, or Tekgate's own command line where none is named.
func (b *bed) lintProgram(ctx context.Context, dir, peer string) (string, error) {
	if peer != "" {
		return peers.Build(ctx, peer, b.talk)
	}
	root, err := cluster.Root(ctx)
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "tekgate")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "./cmd/tekgate")
	build.Dir, build.Env = root, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building tekgate: %w: %s", err, out)
	}
	return program, nil
}

// measured runs the program once. An exit status of 1 says that it has found something.
func (l linter) measured(ctx context.Context, documents float64) (Sample, error) {
	ctx, cancel := context.WithTimeout(ctx, lintPatience)
	defer cancel()
	var out, talk bytes.Buffer
	// Until it runs another program, a child has the peak of its parent, which the system
	// counts as the child's.
	debug.FreeOSMemory()
	if _, err := resetPeak(os.Getpid()); err != nil {
		return nil, err
	}
	run := exec.CommandContext(ctx, l.program, l.args...)
	run.Stdout, run.Stderr = &out, &talk
	begin := time.Now()
	err := run.Run()
	took := time.Since(begin)
	if run.ProcessState == nil || ctx.Err() != nil || run.ProcessState.ExitCode() > 1 {
		return nil, fmt.Errorf("running %s: %w: %s", filepath.Base(l.program), errors.Join(err, ctx.Err()), lastLines(talk.String()))
	}
	for _, fault := range l.faults {
		if found := strings.Count(out.String(), fault); found != lintFaults {
			return nil, fmt.Errorf("%s says %q %d times, and there are %d faults: %s", filepath.Base(l.program), fault, found, lintFaults, lastLines(talk.String()))
		}
	}
	usage, ok := run.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return nil, errors.New("the system does not say how much memory a process took")
	}
	return Sample{
		whatDocuments: documents / took.Seconds(),
		whatRunCPU:    micros(run.ProcessState.UserTime()+run.ProcessState.SystemTime()) / documents,
		whatPeak:      float64(usage.Maxrss) / 1024,
	}, nil
}

// lastLines is the end of what a program said.
func lastLines(text string) string {
	const most = 400
	return strings.TrimSpace(text[max(0, len(text)-most):])
}
