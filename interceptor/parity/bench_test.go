package parity_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	coreserver "github.com/tektoncd/triggers/pkg/interceptors/server"
	"go.uber.org/zap"

	"github.com/tekgate/tekgate/interceptor"
)

// cost is what a number of requests took.
type cost struct {
	wall, cpu time.Duration
	allocs    uint64
}

func (c *cost) add(o cost) {
	c.wall, c.cpu, c.allocs = c.wall+o.wall, c.cpu+o.cpu, c.allocs+o.allocs
}

// now returns what this process has used so far.
func now(b *testing.B) cost {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	return cost{
		wall:   time.Duration(time.Now().UnixNano()),
		cpu:    time.Duration(usage.Utime.Nano() + usage.Stime.Nano()),
		allocs: memory.Mallocs,
	}
}

// keepAlive is a client that costs little itself: one connection, and the request
// rendered once.
type keepAlive struct {
	conn    *tls.Conn
	reader  *bufio.Reader
	request []byte
	want    string
	total   cost
}

func newKeepAlive(b *testing.B, h http.Handler, path string, body []byte, want string) *keepAlive {
	b.Helper()
	s := httptest.NewTLSServer(h) // as the real one, for it offers no HTTP/2 by itself
	b.Cleanup(s.Close)
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", []string{"http/1.1"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	head := fmt.Sprintf(
		"POST %s HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", path,
		len(body))
	return &keepAlive{conn: conn, reader: bufio.NewReader(conn), request: append([]byte(head), body...), want: want}
}

// post sends the request n times.
func (k *keepAlive) post(b *testing.B, n int) cost {
	b.Helper()
	before := now(b)
	for range n {
		if _, err := k.conn.Write(k.request); err != nil {
			b.Fatal(err)
		}
		r, err := http.ReadResponse(k.reader, nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := io.ReadAll(r.Body)
		if err != nil || !strings.Contains(string(answer), k.want) {
			b.Fatalf("got %q, error %v", answer, err)
		}
	}
	after := now(b)
	return cost{wall: after.wall - before.wall, cpu: after.cpu - before.cpu, allocs: after.allocs - before.allocs}
}

// bare is the least that a verifying server does: it reads the request and makes
// its MAC.
func bare(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(raw)
	fmt.Fprintf(w, `{"continue":true,"status":{"message":"%x"}}`, mac.Sum(nil))
}

// tally is an observer of the kind that metrics and recent deliveries are.
type tally map[string]int

func (t tally) Observe(r interceptor.Record) { t[r.Provider+r.Reason+r.Repository]++ }

// BenchmarkInterceptor verifies a GitHub push through TLS and HTTP/1.1 with
// keep-alive, and beside it, in turns, sends the same InterceptorRequest to Tekton's
// core interceptors, with their log off, and to the bare handler. Ours writes its
// audit line, tells an observer and applies all filters. CPU time and allocations
// are this whole process's: both ends, so a client that costs next to nothing takes
// part in each. The Secrets come from memory; a cluster adds a read from a cache.
func BenchmarkInterceptor(b *testing.B) {
	for _, size := range []struct {
		name         string
		bytes, block int
	}{{"8KB", 8 << 10, 100}, {"1MB", 1 << 20, 10}} {
		b.Run(size.name, func(b *testing.B) { benchmarkSize(b, pushOf(size.bytes), size.block) })
	}
}

func benchmarkSize(b *testing.B, push string, block int) {
	plain, filtering := githubPush(push), githubPush(push)
	filtering.InterceptorParams["provider"] = "github"
	filtering.InterceptorParams["branches"] = []string{"main", "master"}
	filtering.InterceptorParams["repositories"] = []string{"example/*"}
	filtering.InterceptorParams["paths"] = []string{"**", "!docs/**"}
	log := logr.FromSlogHandler(slog.NewJSONHandler(io.Discard, nil))
	h := interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
		Secrets:   benchSecrets,
		Observers: []interceptor.Observer{tally{}}, Log: log, Now: time.Now})
	theirs, err := coreserver.NewWithCoreInterceptors(core{benchSecrets}, zap.NewNop().Sugar())
	if err != nil {
		b.Fatal(err)
	}
	ours := newKeepAlive(b, h, "/verify", wire(b, filtering), `"verified":"body"`)
	peer := newKeepAlive(b, theirs, "/github", wire(b, plain), `"continue":true`)
	least := newKeepAlive(b, http.HandlerFunc(bare), "/", wire(b, plain), `"continue":true`)
	arms := []*keepAlive{ours, peer, least}
	for _, arm := range arms {
		arm.post(b, block)
	}
	b.ResetTimer()
	for done := 0; done < b.N; done += block {
		for _, arm := range arms {
			runtime.GC() // what one arm leaves behind is not for the next to clear up
			arm.total.add(arm.post(b, min(block, b.N-done)))
		}
	}
	b.StopTimer()
	n := float64(b.N)
	for name, arm := range map[string]*keepAlive{"": ours, "core-": peer, "bare-": least} {
		b.ReportMetric(n/arm.total.wall.Seconds(), name+"req/s")
		b.ReportMetric(float64(arm.total.cpu.Microseconds())/n, name+"µs-cpu/op")
		b.ReportMetric(float64(arm.total.allocs)/n, name+"mallocs/op")
		if arm != least {
			b.ReportMetric(arm.total.cpu.Seconds()/least.total.cpu.Seconds(), name+"cpu-ratio")
			b.ReportMetric(arm.total.wall.Seconds()/least.total.wall.Seconds(), name+"time-ratio")
		}
	}
	b.ReportMetric(0, "ns/op") // all arms together: says nothing
}

func wire(b *testing.B, req *v1beta1.InterceptorRequest) []byte {
	b.Helper()
	raw, err := json.Marshal(req)
	if err != nil {
		b.Fatal(err)
	}
	return raw
}

// BenchmarkHandler is the handler alone, without TLS and HTTP.
func BenchmarkHandler(b *testing.B) {
	req := githubPush(pushOf(8 << 10))
	req.InterceptorParams["provider"] = "github"
	raw := string(wire(b, req))
	h := interceptor.New(interceptor.Default(), interceptor.Options{After: instantly, Callers: anyone{},
		Secrets: benchSecrets, Log: logr.Discard(),
		Now: time.Now})
	b.ReportAllocs()
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, interceptor.Path, strings.NewReader(raw)))
		if !strings.Contains(w.Body.String(), `"verified":"body"`) {
			b.Fatal(w.Body.String())
		}
	}
}

const secret = "correct horse battery staple"

// benchSecrets gives out what it remembers, as the servers do.
var benchSecrets = remembered{&interceptor.Secret{Data: map[string][]byte{"token": []byte(secret)}}}

type remembered struct{ *interceptor.Secret }

func (r remembered) Get(context.Context, string, string) (*interceptor.Secret, error) {
	return r.Secret, nil
}

// githubPush is a signed push, for Tekton's interceptor as for ours.
func githubPush(payload string) *v1beta1.InterceptorRequest {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(payload))
	return &v1beta1.InterceptorRequest{
		Body: payload,
		Header: map[string][]string{
			"Content-Type": {"application/json"}, "X-Github-Event": {"push"},
			"X-Hub-Signature":     {"sha1=0000000000000000000000000000000000000000"},
			"X-Hub-Signature-256": {fmt.Sprintf("sha256=%x", mac.Sum(nil))},
		},
		InterceptorParams: map[string]any{
			"secretRef":  map[string]any{"secretName": "hook", "secretKey": "token"},
			"eventTypes": []string{"push", "pull_request"},
		},
		Context: &v1beta1.TriggerContext{EventURL: "/", EventID: "evt-1", TriggerID: "namespaces/ci/triggers/build"},
	}
}

// pushOf returns a push event of about size bytes, with as many quotes as forges
// send.
func pushOf(size int) string {
	var s strings.Builder
	s.WriteString(`{"ref":"refs/heads/master","before":"737d38c599c1b2991664dfc6155d6bf516fcce36","after":"fd489864e7642b48eaad6e3f155c10e46810ec72",` +
		`"repository":{"full_name":"example/app","clone_url":"https://github.com/example/app.git","ssh_url":"git@github.com:example/app.git","default_branch":"master"},"sender":{"login":"li"},"commits":[`)
	for i := 0; s.Len() < size-260; i++ {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"id":"%040x","message":"change %d: café <a@example.com>","timestamp":"2026-08-01T12:00:00+08:00","url":"https://github.com/example/app/commit/%040x","added":["a.go"],"removed":[],"modified":["cmd/main%d.go"]}`,
			i, i, i, i%200)
	}
	s.WriteString("]}")
	return s.String()
}
