package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TestMain lets the test binary be the program, so that a replica can be a process
// of its own, to be killed.
func TestMain(m *testing.M) {
	if args := os.Getenv("TEKGATE_TEST_ARGS"); args != "" {
		os.Exit(status(strings.Split(args, "\n")))
	}
	os.Exit(m.Run())
}

// replica is a process of the server's.
type replica struct {
	*program
	cmd            *exec.Cmd
	events, probes string
}

func startReplica(t *testing.T, kubeconfig string) *replica {
	t.Helper()
	r := &replica{program: &program{done: make(chan error, 1)}, cmd: exec.Command(os.Args[0])}
	args := []string{
		"--kubeconfig", kubeconfig, "--bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0", "--metrics-bind-address=0",
		"--deliveries-bind-address=127.0.0.1:0", "--drain=8s", "--recheck=500ms", "--ca-overlap=3s",
	}
	r.cmd.Env = append(os.Environ(), "TEKGATE_TEST_ARGS="+strings.Join(args, "\n"))
	r.cmd.Stdout, r.cmd.Stderr = r, r
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.done <- r.cmd.Wait() }()
	t.Cleanup(func() { _ = r.cmd.Process.Kill() }) // it may have ended
	r.events, r.probes = r.address(t, "serving events"), r.address(t, "serving probes")
	return r
}

// balancer is a Service: it sends each new connection to an endpoint that was ready
// when it was last asked.
type balancer struct {
	address   string
	endpoints []*replica

	mu    sync.Mutex
	ready []*replica
	next  int
}

func newBalancer(t *testing.T, endpoints ...*replica) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &balancer{address: l.Addr().String(), endpoints: endpoints}
	b.probe()
	go func() {
		for t.Context().Err() == nil {
			time.Sleep(500 * time.Millisecond)
			b.probe()
		}
	}()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go b.forward(c)
		}
	}()
	return b
}

func (b *balancer) probe() {
	var ready []*replica
	for _, r := range b.endpoints {
		response, err := http.Get("http://" + r.probes + "/readyz")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			ready = append(ready, r)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready = ready
}

func (b *balancer) forward(c net.Conn) {
	defer c.Close()
	b.mu.Lock()
	if len(b.ready) == 0 {
		b.mu.Unlock()
		return
	}
	b.next++
	to := b.ready[b.next%len(b.ready)]
	b.mu.Unlock()
	upstream, err := net.Dial("tcp", to.events)
	if err != nil {
		return
	}
	defer upstream.Close()
	go func() {
		io.Copy(upstream, c)
		upstream.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(c, upstream)
}

// load is what the events are signed with, and what became of them.
type load struct {
	site   *triggersSite
	client *http.Client

	signing sync.RWMutex // held for reading from signing to the verdict
	secret  string

	verdicts, wrong, lost atomic.Int64
	mu                    sync.Mutex
	problems              []string
}

const loadTriggers = 8

// event has all triggers of one event ask at once. Every fourth is forged.
func (l *load) event(number int) {
	l.signing.RLock()
	defer l.signing.RUnlock()
	secret, forged := l.secret, number%4 == 3
	if forged {
		secret = "a guess"
	}
	header := githubHeader(secret, pushBody)
	var group sync.WaitGroup
	for trigger := range loadTriggers {
		group.Go(func() {
			passed, err := l.site.verdict(l.client, fmt.Sprint("t", trigger), fmt.Sprint("event-", number), pushBody, header, verifying)
			l.verdicts.Add(1)
			switch {
			case err != nil:
				l.lost.Add(1)
				l.note("event %d, trigger %d: %v", number, trigger, err)
			case passed == forged:
				l.wrong.Add(1)
				l.note("event %d, trigger %d: passed %v, forged %v", number, trigger, passed, forged)
			}
		})
	}
	group.Wait()
}

func (l *load) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.problems) < 10 {
		l.problems = append(l.problems, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
	}
}

// rotate changes the Secret, and then at once what events are signed with: as
// somebody does who changes the hook's settings when the Secret is changed.
func (l *load) rotate(ctx context.Context, secret string) error {
	l.signing.Lock()
	defer l.signing.Unlock()
	object := &corev1.Secret{}
	if err := l.site.client.Get(ctx, client.ObjectKey{Namespace: namespaceCI, Name: "hook"}, object); err != nil {
		return err
	}
	object.Data["token"] = []byte(secret)
	l.secret = secret
	return l.site.client.Update(ctx, object)
}

// TestLoad sends 2,000 events to 8 triggers each, at two replicas behind one
// address, while what can go wrong does.
func TestLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("takes most of a minute and a real API server, which -short does without")
	}
	const events, pause = 2000, 20 * time.Millisecond
	s := newTriggersSite(t)
	s.apply(t, recipe)
	first, second := startReplica(t, s.api.Kubeconfig), startReplica(t, s.api.Kubeconfig)
	first.address(t, "ClusterInterceptor tekgate is published")
	b := newBalancer(t, first, second)
	s.route("tekgate-interceptor.tekgate.svc", b.address)
	tr := newTrust(t, s, time.Second)
	l := &load{site: s, client: tr.client(t, 10*time.Second), secret: hookSecret}
	eventually(t, func() error {
		tr.refresh()
		_, err := s.verdict(l.client, "t0", "warm-up", pushBody, githubHeader(hookSecret, pushBody), verifying)
		return err
	})

	began := time.Now()
	misfortunes := make(chan error, 1)
	go func() { misfortunes <- l.misfortunes(t.Context(), second) }()
	var group sync.WaitGroup
	// No more than a slow machine answers: what piles up unread in its sockets
	// when a replica ends was never the server's to answer.
	slots := make(chan struct{}, 16)
	for number := range events {
		slots <- struct{}{}
		group.Go(func() {
			l.event(number)
			<-slots
		})
		time.Sleep(pause)
	}
	group.Wait()
	if err := <-misfortunes; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d verdicts in %s, %d wrong, %d lost", l.verdicts.Load(), time.Since(began).Round(time.Second), l.wrong.Load(), l.lost.Load())
	if l.verdicts.Load() != events*loadTriggers || l.wrong.Load()+l.lost.Load() > 0 {
		t.Errorf("%d wrong, %d lost:\n%s\n--- first\n%s\n--- second\n%s", l.wrong.Load(), l.lost.Load(), strings.Join(l.problems, "\n"),
			interesting(first.text()), interesting(second.text()))
	}
	if !strings.Contains(first.text(), "Secrets can be read again") {
		t.Error("the replica that stayed never noticed that the API server was away")
	}
	if err := <-second.done; err != nil {
		t.Errorf("the replica that was to go ended with %v", err)
	}
	tr.alive(t)
}

// interesting leaves out verdicts.
func interesting(log string) string {
	var lines []string
	for line := range strings.SplitSeq(log, "\n") {
		if !strings.Contains(line, `"msg":"verdict"`) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// misfortunes happen one after the other, and some at once.
func (l *load) misfortunes(ctx context.Context, goes *replica) error {
	pause := func(d time.Duration) { time.Sleep(d) }
	pause(2 * time.Second)
	if err := l.rotate(ctx, "another secret, of some length"); err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	ca := &corev1.Secret{}
	if err := l.site.client.Get(ctx, client.ObjectKey{Namespace: "tekgate", Name: "tekgate-interceptor-ca"}, ca); err != nil {
		return err
	}
	old := string(ca.Data["tls.crt"])
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"tekgate.dev/rotate-ca":"now"}}}`))
	if err := l.site.client.Patch(ctx, ca, patch); err != nil {
		return err
	}
	pause(8 * time.Second)
	if err := l.rotate(ctx, "a third secret, of some length"); err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	if err := l.site.client.Get(ctx, client.ObjectKeyFromObject(ca), ca); err != nil {
		return err
	}
	if string(ca.Data["tls.crt"]) == old {
		return errors.New("the CA was not replaced within eight seconds")
	}
	pause(time.Second) // both replicas have read the third secret
	if err := l.site.api.KillAPIServer(); err != nil {
		return err
	}
	pause(10 * time.Second)
	if err := goes.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	pause(10 * time.Second)
	if err := l.site.api.StartAPIServer(); err != nil {
		return err
	}
	pause(2 * time.Second)
	if err := l.rotate(ctx, "a fourth secret, of some length"); err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	return nil
}
