// Command copybench compares `tekgate images copy` with other tools that copy images.
//
// Source and target are servers of this process. The source answers after 30 ms, and sends 20 MB/s
// in each response; the target answers after 10 ms and verifies digests. There are 14 indexes of
// four platforms, 456 MB together. The images of a platform have their lowest layer in common,
// as those that ko builds have.
//
// Each tool copies all images to an empty target, and then once more. Printed are the time, the
// largest resident set of the tool's process, and how many requests source and target counted.
// crane and skopeo copy one image per process, so their time includes the starts, and their memory
// is that of the largest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/e2e/peers"
)

func main() {
	program := flag.String("tekgate", "bin/tekgate", "the `program` that is measured")
	before := flag.String("before", "", "another build of it `program` to compare with")
	rounds := flag.Int("rounds", 3, "how `often` each tool runs; the fastest run of each counts")
	flag.Parse()
	if err := run(context.Background(), *program, *before, *rounds, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "copybench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, program, before string, rounds int, out, log io.Writer) error {
	folder, err := os.MkdirTemp("", "copybench-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	version, err := os.ReadFile("VERSION")
	if err != nil {
		return fmt.Errorf("run it in the checkout's folder: %w", err)
	}
	own := "tekgate:" + strings.TrimSpace(string(version))
	b := &bench{folder: folder, own: own, source: newSource(own)}
	b.from = serve(b.source)
	tools, err := b.tools(ctx, program, before, log)
	if err != nil {
		return err
	}
	results := make([]result, len(tools))
	for range rounds {
		for i, t := range tools {
			fmt.Fprintln(log, t.name)
			got, err := b.measure(t)
			if err != nil {
				return fmt.Errorf("%s: %w", t.name, err)
			}
			results[i].better(got)
		}
	}
	return report(out, tools, results)
}

type bench struct {
	folder string
	own    string // the image that each installation has
	source *source
	from   string
}

// tool is one of those that are compared. copy returns the commands that copy all images to a
// target, one after the other.
type tool struct {
	name string
	copy func(target string) ([]*exec.Cmd, error)
}

func (b *bench) tools(ctx context.Context, program, before string, log io.Writer) ([]tool, error) {
	program, err := filepath.Abs(program)
	if err != nil {
		return nil, err
	}
	regsync, err := peers.Build(ctx, peers.Regsync, log)
	if err != nil {
		return nil, err
	}
	crane, err := peers.Build(ctx, peers.Crane, log)
	if err != nil {
		return nil, err
	}
	tools := []tool{
		{name: "tekgate", copy: func(target string) ([]*exec.Cmd, error) { return b.tekgate(ctx, program, target) }},
		{name: "regsync, parallel 8", copy: func(target string) ([]*exec.Cmd, error) {
			return b.regsync(ctx, regsync, target)
		}},
		{name: "crane", copy: func(target string) ([]*exec.Cmd, error) {
			return b.each(func(from, to string) *exec.Cmd { return exec.CommandContext(ctx, crane, "copy", from, to) },
				target), nil
		}},
	}
	if before != "" {
		tools = append(tools, tool{name: "tekgate, before", copy: func(target string) ([]*exec.Cmd, error) {
			return b.tekgate(ctx, before, target)
		}})
	}
	skopeo, _ := exec.LookPath("skopeo")
	if skopeo == "" {
		fmt.Fprintln(log, "NOT RUN: skopeo, which is not installed")
		return tools, nil
	}
	return append(tools, tool{name: "skopeo", copy: func(target string) ([]*exec.Cmd, error) {
		return b.each(func(from, to string) *exec.Cmd {
			return exec.CommandContext(ctx, skopeo, "copy", "--all", "--src-tls-verify=false", "--dest-tls-verify=false",
				"docker://"+from, "docker://"+to)
		}, target), nil
	}}), nil
}

// tekgate copies the images of a release that has these and no others.
func (b *bench) tekgate(ctx context.Context, program, target string) ([]*exec.Cmd, error) {
	var text strings.Builder
	text.WriteString("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: tekton-pipelines-controller, " +
		"namespace: tekton-pipelines, labels: {app.kubernetes.io/version: v1.15.1}}\n" +
		"spec:\n  template:\n    spec:\n      containers:\n")
	for _, name := range b.source.names() {
		if name != b.own {
			fmt.Fprintf(&text, "      - {name: %q, image: \"ghcr.io/tektoncd/%s\"}\n",
				strings.Split(filepath.Base(name), ":")[0], name)
		}
	}
	pipelines, triggers := filepath.Join(b.folder, "pipelines.yaml"), filepath.Join(b.folder, "triggers.yaml")
	err := errors.Join(os.WriteFile(pipelines, []byte(text.String()), 0o600),
		os.WriteFile(triggers, []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: triggers-info, "+
			"namespace: tekton-pipelines}\ndata: {version: v0.37.0}\n"), 0o600))
	return []*exec.Cmd{exec.CommandContext(ctx, program, "images", "copy", "--pipeline-manifest", pipelines,
		"--triggers-manifest", triggers, "--from", b.from, "--mirror", target)}, err
}

func (b *bench) regsync(ctx context.Context, program, target string) ([]*exec.Cmd, error) {
	var text strings.Builder
	fmt.Fprintf(&text, "version: 1\ncreds:\n- {registry: %q, tls: disabled}\n- {registry: %q, tls: disabled}\n"+
		"defaults: {parallel: 8}\nsync:\n", b.from, target)
	for _, name := range b.source.names() {
		fmt.Fprintf(&text, "- {source: %q, target: %q, type: image}\n", b.from+"/"+name, target+"/"+name)
	}
	file := filepath.Join(b.folder, "regsync.yaml")
	err := os.WriteFile(file, []byte(text.String()), 0o600)
	return []*exec.Cmd{exec.CommandContext(ctx, program, "once", "-c", file)}, err
}

func (b *bench) each(command func(from, to string) *exec.Cmd, target string) (all []*exec.Cmd) {
	for _, name := range b.source.names() {
		all = append(all, command(b.from+"/"+name, target+"/"+name))
	}
	return all
}

// measure copies to an empty target, and once more.
func (b *bench) measure(t tool) (result, error) {
	registry := newTarget()
	target := serve(registry)
	var r result
	for _, p := range []*pass{&r.first, &r.second} {
		commands, err := t.copy(target)
		if err != nil {
			return r, err
		}
		before := b.source.requests.Load() + registry.requests.Load()
		began := time.Now()
		for _, cmd := range commands {
			memory, err := child.Watch(cmd)
			if err != nil {
				return r, err
			}
			p.memory = max(p.memory, memory)
		}
		p.time = time.Since(began)
		p.requests = b.source.requests.Load() + registry.requests.Load() - before
		if err := registry.holds(b.source); err != nil {
			return r, err
		}
	}
	return r, nil
}

// result is what a tool took.
type result struct{ first, second pass }

type pass struct {
	time     time.Duration
	memory   int64 // bytes
	requests int64
}

// better takes over what is better in another run.
func (r *result) better(other result) {
	r.first.better(other.first)
	r.second.better(other.second)
}

func (p *pass) better(other pass) {
	if p.time == 0 || other.time < p.time {
		*p = pass{other.time, max(p.memory, other.memory), max(p.requests, other.requests)}
		return
	}
	p.memory, p.requests = max(p.memory, other.memory), max(p.requests, other.requests)
}

func report(out io.Writer, tools []tool, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TOOL\tFIRST COPY\tRATIO\tMEMORY\tREQUESTS\tSECOND RUN\tRATIO\tMEMORY\tREQUESTS")
	base := results[1]
	for i, t := range tools {
		first, second := results[i].first, results[i].second
		fmt.Fprintf(w, "%s\t%.2f s\t%.2f\t%d MiB\t%d\t%.2f s\t%.2f\t%d MiB\t%d\n", t.name,
			first.time.Seconds(), first.time.Seconds()/base.first.time.Seconds(), first.memory>>20, first.requests,
			second.time.Seconds(), second.time.Seconds()/base.second.time.Seconds(), second.memory>>20, second.requests)
	}
	fmt.Fprintln(w, "\nRatios are those to regsync.")
	return w.Flush()
}
