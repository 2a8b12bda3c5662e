package interceptor_test

import (
	"bufio"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
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
}

func newKeepAlive(b *testing.B, h http.Handler, body []byte, want string) *keepAlive {
	b.Helper()
	s := tlsServer(b, h)
	config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	config.ServerName, config.NextProtos = "example.com", []string{"http/1.1"}
	conn, err := tls.Dial("tcp", strings.TrimPrefix(s.URL, "https://"), config)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	head := fmt.Sprintf("POST /verify HTTP/1.1\r\nHost: example.com\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(body))
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

// BenchmarkInterceptor verifies one GitHub push of 8 KB per operation through TLS
// and HTTP/1.1 with keep-alive, and beside it, in turns, sends the same bytes to
// the bare handler. CPU time and allocations are this whole process's: both ends,
// so a client that costs next to nothing takes part in both. The Secret comes from
// memory; a cluster adds a read from its API server.
func BenchmarkInterceptor(b *testing.B) {
	push := pushOf(8 << 10)
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(push))
	wire, err := json.Marshal(githubRequest(body(push), header("X-Hub-Signature-256", fmt.Sprintf("sha256=%x", mac.Sum(nil)))))
	if err != nil {
		b.Fatal(err)
	}
	ours := newKeepAlive(b, newHandler(signedAt), wire, `"verified":true`)
	least := newKeepAlive(b, http.HandlerFunc(bare), wire, `"continue":true`)
	const block = 100
	ours.post(b, block)
	least.post(b, block)
	var a, z cost
	b.ResetTimer()
	for done := 0; done < b.N; done += block {
		n := min(block, b.N-done)
		a.add(ours.post(b, n))
		z.add(least.post(b, n))
	}
	b.StopTimer()
	n := float64(b.N)
	b.ReportMetric(n/a.wall.Seconds(), "req/s")
	b.ReportMetric(n/z.wall.Seconds(), "bare-req/s")
	b.ReportMetric(float64(a.cpu.Microseconds())/n, "µs-cpu/op")
	b.ReportMetric(float64(z.cpu.Microseconds())/n, "bare-µs-cpu/op")
	b.ReportMetric(float64(a.allocs)/n, "own-allocs/op")
	b.ReportMetric(float64(z.allocs)/n, "bare-allocs/op")
	b.ReportMetric(a.cpu.Seconds()/z.cpu.Seconds(), "cpu-ratio")
	b.ReportMetric(a.wall.Seconds()/z.wall.Seconds(), "time-ratio")
	b.ReportMetric(0, "ns/op") // both arms together: says nothing
}

// BenchmarkHandler is the handler alone, without TLS and HTTP.
func BenchmarkHandler(b *testing.B) {
	wire, err := json.Marshal(giteeRequest(body(pushOf(8 << 10))))
	if err != nil {
		b.Fatal(err)
	}
	h := newHandler(signedAt)
	b.ReportAllocs()
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/verify", strings.NewReader(string(wire))))
		if !strings.Contains(w.Body.String(), `"verified":true`) {
			b.Fatal(w.Body.String())
		}
	}
}

// pushOf returns a push event of about size bytes, with as many quotes as forges
// send.
func pushOf(size int) string {
	var s strings.Builder
	s.WriteString(`{"ref":"refs/heads/master","repository":{"full_name":"example/app"},"commits":[`)
	for i := 0; s.Len() < size-260; i++ {
		if i > 0 {
			s.WriteByte(',')
		}
		fmt.Fprintf(&s, `{"id":"%040x","message":"change %d: café <a@example.com>","timestamp":"2026-08-01T12:00:00+08:00","url":"https://github.com/example/app/commit/%040x","added":["a.go"],"removed":[],"modified":["cmd/main.go"]}`, i, i, i)
	}
	s.WriteString("]}")
	return s.String()
}
