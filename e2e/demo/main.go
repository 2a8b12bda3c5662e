// Command demo shows what Tekgate does, on a real API server. It starts one,
// installs Tekton and Tekgate from a mirror, and runs the two servers as
// processes. A TaskRun is completed, a broken EventListener is refused, and a
// forged event is distinguished from a signed one.
//
// There is no node: no image is pulled and no Pod runs. The servers run outside
// the cluster, so the webhook configurations have a loopback URL instead of a
// Service; nothing else differs from an installation.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/cluster"
	"github.com/tekgate/tekgate/internal/kube"
)

func main() { os.Exit(start()) }

func start() int {
	bin := flag.String("bin", "bin", "the directory with tekgate, webhook and interceptor")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *bin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	return 0
}

// demo is the state that the steps share.
type demo struct {
	out     io.Writer
	bin     string
	dir     string // its own files; removed at the end
	cluster *cluster.Cluster
	client  client.Client
	servers []*server
	secret  string
	ports   ports
	created []*unstructured.Unstructured
}

// step is one part of the demo.
type step struct {
	title string
	do    func(*demo, context.Context) error
}

var steps = []step{
	{"start etcd and kube-apiserver on loopback", (*demo).startCluster},
	{"install Tekton and Tekgate, images from registry.example.com/tekton", (*demo).install},
	{"start the admission server and the interceptor as processes", (*demo).startServers},
	{"create a Kaniko TaskRun; what Tekgate adds to it", (*demo).createTaskRun},
	{"apply an EventListener whose binding and template are missing", (*demo).refuseEventListener},
	{"apply them, then the EventListener again", (*demo).acceptEventListener},
	{"deliver a push that Gitee signed", (*demo).deliverSigned},
	{"deliver the same push with a forged signature", (*demo).deliverForged},
}

// run runs all steps, prints each with its duration, and ends everything that it
// started.
func run(ctx context.Context, bin string, out io.Writer) (err error) {
	bin, err = filepath.Abs(bin)
	if err != nil {
		return err
	}
	d := &demo{out: out, bin: bin}
	if d.dir, err = os.MkdirTemp("", "tekgate-demo-"); err != nil {
		return fmt.Errorf("creating a directory: %w", err)
	}
	defer func() { err = errors.Join(err, d.cleanUp()) }()

	began := time.Now()
	for i, s := range steps {
		fmt.Fprintf(out, "\n[%d/%d] %s\n", i+1, len(steps), s.title)
		started := time.Now()
		if err := s.do(d, ctx); err != nil {
			return fmt.Errorf("step %d, %s: %w%s", i+1, s.title, err, d.serverLogs())
		}
		fmt.Fprintf(out, "      done in %s\n", time.Since(started).Round(10*time.Millisecond))
	}
	fmt.Fprintf(out, "\nAll of it in %s.\n", time.Since(began).Round(100*time.Millisecond))
	return nil
}

func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "      "+format+"\n", args...)
}

func (d *demo) startCluster(ctx context.Context) error {
	c, err := cluster.New(ctx, indented{d.out})
	if err != nil {
		return err
	}
	d.cluster = c
	if d.client, err = kube.Client(c.Config); err != nil {
		return err
	}
	d.say("the API server answers at %s", c.Config.Host)
	return nil
}

func (d *demo) cleanUp() error {
	var problems []error
	for _, s := range d.servers {
		problems = append(problems, s.stop())
	}
	if d.cluster != nil && d.cluster.Existing() {
		problems = append(problems, d.removeObjects())
	}
	if d.cluster != nil {
		problems = append(problems, d.cluster.Stop())
	}
	problems = append(problems, os.RemoveAll(d.dir))
	return errors.Join(problems...)
}
