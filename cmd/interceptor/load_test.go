package main

import (
	"context"
	"errors"
	"flag"
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

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// sideBySide is the number of tests that run at once. Most of them wait most of the time.
const sideBySide = "4"

// TestMain lets the test binary be the program, so that a replica can be a process
// of its own, to be killed.
func TestMain(m *testing.M) {
	if args := os.Getenv("TEKGATE_TEST_ARGS"); args != "" {
		os.Exit(server.Main(wellknown.Interceptor, strings.Split(args, "\n"), run))
	}
	flag.Parse()
	if err := flag.Set("test.parallel", sideBySide); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// replica is a process of the server's.
type replica struct {
	*program
	cmd            *exec.Cmd
	events, probes string
}

func startReplica(t *testing.T, kubeconfig string, flags ...string) *replica {
	t.Helper()
	r := &replica{program: &program{done: make(chan error, 1)}, cmd: exec.Command(os.Args[0])}
	args := []string{
		"--kubeconfig", kubeconfig, "--bind-address=127.0.0.1:0", "--health-bind-address=127.0.0.1:0",
		"--metrics-bind-address=0",
		"--deliveries-bind-address=127.0.0.1:0", "--drain=8s", "--recheck=500ms", "--ca-overlap=3s",
	}
	args = append(args, flags...)
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
// when it was last asked, and closes it where nobody listens there any more.
type balancer struct {
	address   string
	endpoints []*replica

	mu    sync.Mutex
	ready []*replica
	next  int
	open  map[*replica]int // connections that there are
	made  map[*replica]int // and that there ever were, also where nobody listened
}

func newBalancer(t *testing.T, endpoints ...*replica) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	b := &balancer{address: l.Addr().String(), endpoints: endpoints, open: map[*replica]int{}, made: map[*replica]int{}}
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
	b.mu.Lock()
	endpoints := b.endpoints
	b.mu.Unlock()
	for _, r := range endpoints {
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
	b.open[to]++
	b.made[to]++
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.open[to]--
	}()
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

// connections returns how many lead to a replica, and how many ever did.
func (b *balancer) connections(to *replica) (open, made int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open[to], b.made[to]
}

// load is what the events are signed with, and what became of them.
type load struct {
	site   *triggersSite
	client *http.Client

	signing sync.RWMutex // held for reading from signing to the verdict
	secret  string

	verdicts, wrong atomic.Int64
	mu              sync.Mutex
	lost            []loss
	problems        []string
}

// loss is a question that was not answered.
type loss struct {
	event        int
	began, ended time.Time
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
			began := time.Now()
			passed, err := l.site.verdict(l.client, fmt.Sprint("t", trigger), fmt.Sprint("event-", number), pushBody,
				header, verifying)
			switch {
			case err != nil:
				l.lose(loss{number, began, time.Now()})
				l.note("event %d, trigger %d, asked at %s: %v", number, trigger, began.Format("15:04:05.000"), err)
			case passed == forged:
				l.wrong.Add(1)
				l.note("event %d, trigger %d: passed %v, forged %v", number, trigger, passed, forged)
			default:
				l.verdicts.Add(1)
			}
		})
	}
	group.Wait()
}

func (l *load) lose(one loss) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, one)
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

const loadEvents = 2000

// rig are two replicas behind one address, and an EventListener that sends them
// events.
type rig struct {
	*load
	stays, goes *replica
	balancer    *balancer
	trust       *trust
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := newTriggersSite(t)
	s.apply(t, recipe)
	var names []string
	for trigger := range loadTriggers {
		names = append(names, fmt.Sprint("t", trigger))
	}
	s.verifyingTriggers(t, names...)
	r := &rig{stays: startReplica(t, s.api.Kubeconfig), goes: startReplica(t, s.api.Kubeconfig)}
	r.stays.address(t, "ClusterInterceptor tekgate is published")
	r.balancer = newBalancer(t, r.stays, r.goes)
	s.route("tekgate-interceptor.tekgate.svc", r.balancer.address)
	r.trust = newTrust(t, s, time.Second)
	r.load = &load{site: s, client: r.trust.client(t, 10*time.Second), secret: hookSecret}
	eventually(t, func() error {
		r.trust.refresh()
		_, err := s.verdict(r.client, "t0", "warm-up", pushBody, githubHeader(hookSecret, pushBody), verifying)
		return err
	})
	return r
}

// send sends 2,000 events to 8 triggers each, while what can go wrong does; end is
// how one of the replicas does.
func (r *rig) send(t *testing.T, end func() error) {
	t.Helper()
	const pause = 20 * time.Millisecond
	began := time.Now()
	misfortunes := make(chan error, 1)
	go func() { misfortunes <- r.misfortunes(t.Context(), end) }()
	var group sync.WaitGroup
	// No more than a slow machine answers: what piles up unread in its sockets
	// when a replica ends was never the server's to answer.
	slots := make(chan struct{}, 16)
	for number := range loadEvents {
		slots <- struct{}{}
		group.Go(func() {
			r.event(number)
			<-slots
		})
		time.Sleep(pause)
	}
	group.Wait()
	if err := <-misfortunes; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d right verdicts in %s, %d wrong, %d lost", r.verdicts.Load(), time.Since(began).Round(time.Second),
		r.wrong.Load(), len(r.lost))
	if r.verdicts.Load()+r.wrong.Load()+int64(len(r.lost)) != loadEvents*loadTriggers {
		t.Errorf("want %d in all", loadEvents*loadTriggers)
	}
	if !strings.Contains(r.stays.String(), "Secrets can be read again") {
		t.Error("the replica that stayed never noticed that the API server was away")
	}
	r.trust.alive(t)
}

// explain fails the test, with what is known.
func (r *rig) explain(t *testing.T, format string, args ...any) {
	t.Helper()
	t.Errorf("%s\n%s\n--- the one that stays\n%s\n--- the one that goes\n%s", fmt.Sprintf(format, args...),
		strings.Join(r.problems, "\n"),
		interesting(r.stays.String()), interesting(r.goes.String()))
}

// TestLoad ends one of the replicas as a rollout does: no verdict is wrong, and none
// is missing.
func TestLoad(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes most of a minute and a real API server, which -short does without")
	}
	r := newRig(t)
	r.send(t, func() error { return r.goes.cmd.Process.Signal(syscall.SIGTERM) })
	if r.wrong.Load() > 0 || len(r.lost) > 0 {
		r.explain(t, "%d wrong, %d lost", r.wrong.Load(), len(r.lost))
	}
	if err := <-r.goes.done; err != nil {
		t.Errorf("the replica that was to go ended with %v", err)
	}
}

// TestLoadKilled kills one of the replicas in the middle of its answers. No verdict
// is wrong. Those that are missing are accounted for one by one: EventListeners ask
// once, so what is lost are the questions that the replica was reading or answering
// in that moment, at most one for each connection to it, and those that were sent
// to it before the Service knew. Sent again, as forges can, all are answered.
func TestLoadKilled(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes most of a minute and a real API server, which -short does without")
	}
	r := newRig(t)
	var killed, known time.Time
	var open, before int
	r.send(t, func() error {
		open, before = r.balancer.connections(r.goes)
		killed = time.Now()
		if err := r.goes.cmd.Process.Kill(); err != nil {
			return err
		}
		<-r.goes.done // with an error: it was killed
		r.balancer.probe()
		for left := open; left > 0; left, _ = r.balancer.connections(r.goes) {
			time.Sleep(time.Millisecond)
		}
		known = time.Now()
		return nil
	})
	if r.wrong.Load() > 0 {
		r.explain(t, "%d wrong", r.wrong.Load())
	}
	_, after := r.balancer.connections(r.goes)
	t.Logf(
		"%d connections led to the replica when it was killed, and %d were made until %s later, when the Service knew",
		open, after-before, known.Sub(killed))
	if len(r.lost) > open+after-before {
		r.explain(t, "%d are lost, and only %d and %d can have been on their way", len(r.lost), open, after-before)
	}
	again := map[int]bool{}
	for _, one := range r.lost {
		again[one.event] = true
		const noticed = 500 * time.Millisecond // by a client, that its connection is closed
		if one.ended.Before(killed) || one.began.After(known.Add(noticed)) {
			r.explain(t, "one that was asked from %s to %s is lost, and the replica was killed at %s", one.began,
				one.ended, killed)
		}
	}
	r.redeliver(t, again)
}

// redeliver sends events again, as a forge does when somebody asks it to.
func (r *rig) redeliver(t *testing.T, events map[int]bool) {
	t.Helper()
	r.lost, r.problems = nil, nil
	before := r.verdicts.Load()
	for number := range events {
		r.event(number)
	}
	if got, want := r.verdicts.Load()-before, int64(len(events)*loadTriggers); got != want || r.wrong.Load() > 0 {
		r.explain(t, "sent again, %d of %d are answered", got, want)
	}
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

// misfortunes happen one after the other, and some at once. In the middle of the
// worst of them, end ends one of the replicas.
func (l *load) misfortunes(ctx context.Context, end func() error) error {
	pause := func(d time.Duration) { time.Sleep(d) }
	pause(2 * time.Second)
	if err := l.rotate(ctx, "another secret, of some length"); err != nil {
		return fmt.Errorf("rotating: %w", err)
	}
	ca := &corev1.Secret{}
	if err := l.site.client.Get(ctx, client.ObjectKey{Namespace: "tekgate", Name: "tekgate-interceptor-ca"},
		ca); err != nil {
		return err
	}
	old := string(ca.Data["tls.crt"])
	patch := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"annotations":{"tekgate.dev/rotate-ca":"now"}}}`))
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
	if err := end(); err != nil {
		return fmt.Errorf("ending a replica: %w", err)
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
