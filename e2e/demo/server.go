package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/child"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// ports are the loopback addresses that the servers listen on.
type ports struct{ webhook, interceptor string }

// server is one of Tekgate's servers, run as a process.
type server struct {
	name   string
	cmd    *exec.Cmd
	exited chan error
	log    *bytes.Buffer // to be read once the process has ended
}

func (d *demo) install(ctx context.Context) error {
	var err error
	if d.ports.webhook, err = child.FreeAddress(ctx); err != nil {
		return err
	}
	if d.ports.interceptor, err = child.FreeAddress(ctx); err != nil {
		return err
	}
	config, err := d.file("tekgate.yaml", map[string]string{"$WEBHOOK": d.ports.webhook})
	if err != nil {
		return err
	}
	d.say("$ tekgate install --wait=false --skip-probe --config tekgate.yaml")
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "tekgate"), "install", "--wait=false", "--skip-probe",
		"--config", config, "--kubeconfig", d.cluster.Kubeconfig)
	var errOut bytes.Buffer
	cmd.Stderr = &errOut
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(errOut.String()))
	}
	d.summary(&errOut)
	return d.showImages(ctx)
}

// summary prints install's output without the lines about single objects.
func (d *demo) summary(errOut io.Reader) {
	lines := bufio.NewScanner(errOut)
	for lines.Scan() {
		if !strings.HasPrefix(lines.Text(), "  ") {
			d.say("%s", lines.Text())
		}
	}
}

// showImages prints the images of Tekton's controller, including those in its
// arguments.
func (d *demo) showImages(ctx context.Context) error {
	deployment := object("apps/v1", "Deployment", wellknown.PipelinesNamespace, "tekton-pipelines-controller")
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(deployment), deployment); err != nil {
		return err
	}
	containers, _, err := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if err != nil {
		return err
	}
	container, _ := containers[0].(map[string]any)
	d.say("Tekton's controller now has image %v", container["image"])
	args, _ := container["args"].([]any)
	for i := 0; i+1 < len(args); i++ {
		if flag := fmt.Sprint(args[i]); strings.Contains(flag, "-image") {
			d.say("  %-26s %v", flag, args[i+1])
		}
	}
	return nil
}

func (d *demo) startServers(ctx context.Context) error {
	config := filepath.Join(d.dir, "tekgate.yaml")
	common := []string{
		"--kubeconfig", d.cluster.Kubeconfig, "--config", config, "--namespace", wellknown.TekgateNamespace,
		"--health-bind-address", "127.0.0.1:0", "--metrics-bind-address", "0",
	}
	webhook := slices.Concat(common, []string{"--bind-address", d.ports.webhook})
	if err := d.startServer(ctx, "webhook", webhook...); err != nil {
		return err
	}
	interceptor := slices.Concat(common, []string{
		"--bind-address", d.ports.interceptor, "--url", "https://" + d.ports.interceptor,
		"--deliveries-bind-address", "0",
	})
	if err := d.startServer(ctx, "interceptor", interceptor...); err != nil {
		return err
	}
	return d.waitUntilRegistered(ctx)
}

func (d *demo) startServer(ctx context.Context, name string, args ...string) error {
	// ctx does not kill the server, because it ends by SIGTERM, as in a cluster.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(d.bin, name), args...)
	s := &server{name: name, cmd: cmd, exited: make(chan error, 1), log: &bytes.Buffer{}}
	cmd.Stdout, cmd.Stderr = s.log, s.log
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("starting %s: %w", name, err)
	}
	go func() { s.exited <- cmd.Wait() }()
	d.servers = append(d.servers, s)
	d.say("$ %s %s", name, strings.Join(args[2:], " "))
	return nil
}

// waitUntilRegistered waits until both servers have made their certificates and
// registered their CAs.
func (d *demo) waitUntilRegistered(ctx context.Context) error {
	registered := []struct {
		object *unstructured.Unstructured
		what   string
	}{
		{mutating(), "MutatingWebhookConfiguration mutate.tekgate.dev has its caBundle"},
		{validating(), "ValidatingWebhookConfiguration validate.tekgate.dev has its caBundle"},
		{clusterInterceptor(), "ClusterInterceptor tekgate has its label and caBundle"},
	}
	for _, r := range registered {
		trusted := func(ctx context.Context) (bool, error) {
			if err := d.ended(); err != nil {
				return false, err
			}
			found, err := kube.NewReader(d.client).Find(ctx, "", r.object.GetName(), r.object)
			return found && caBundle(r.object) != "", err
		}
		err := wait.PollUntilContextTimeout(ctx, 100*time.Millisecond, 30*time.Second, true, trusted)
		if err != nil {
			return fmt.Errorf("waiting until %s: %w", r.what, err)
		}
		d.say("%s", r.what)
	}
	return nil
}

// caBundle returns the caBundle of a webhook configuration or ClusterInterceptor.
func caBundle(obj *unstructured.Unstructured) string {
	if bundle, found, _ := unstructured.NestedString(obj.Object, "spec", "clientConfig", "caBundle"); found {
		return bundle
	}
	webhooks, _, _ := unstructured.NestedSlice(obj.Object, "webhooks")
	if len(webhooks) == 0 {
		return ""
	}
	webhook, _ := webhooks[0].(map[string]any)
	bundle, _, _ := unstructured.NestedString(webhook, "clientConfig", "caBundle")
	return bundle
}

// ended returns an error if a server has ended.
func (d *demo) ended() error {
	for _, s := range d.servers {
		select {
		case err := <-s.exited:
			s.exited <- err
			return fmt.Errorf("%s ended: %w", s.name, errors.Join(err, errors.New("see its log")))
		default:
		}
	}
	return nil
}

func (s *server) stop() error {
	// If the process has ended already, waiting returns its error.
	_ = s.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-s.exited:
		s.exited <- err
		if err != nil {
			return fmt.Errorf("%s did not end well: %w", s.name, err)
		}
		return nil
	case <-time.After(30 * time.Second):
		_ = s.cmd.Process.Kill()
		return fmt.Errorf("%s did not end within 30 s of SIGTERM", s.name)
	}
}

// serverLogs ends the servers and returns their output, for an error.
func (d *demo) serverLogs() string {
	var logs strings.Builder
	for _, s := range d.servers {
		_ = s.stop()
		fmt.Fprintf(&logs, "\n--- log of %s\n%s", s.name, s.log)
	}
	return logs.String()
}

// file fills in one of the demo's files and writes it to the demo's directory.
func (d *demo) file(name string, values map[string]string) (string, error) {
	text, err := fill(name, values)
	if err != nil {
		return "", err
	}
	path := filepath.Join(d.dir, filepath.Base(name))
	return path, os.WriteFile(path, text, 0o600)
}

// indented indents output below a step's title.
type indented struct{ out io.Writer }

func (i indented) Write(p []byte) (int, error) {
	_, err := fmt.Fprintf(i.out, "      %s", p)
	return len(p), err
}
