package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr"

	"github.com/tekgate/tekgate/internal/server"
	"github.com/tekgate/tekgate/internal/wellknown"
)

func TestTarget(t *testing.T) {
	service := options{namespace: "ns", service: "svc"}
	tests := []struct {
		url, want string // want is the published url, or a part of the error after !
		ip, dns   string
	}{
		{url: "https://127.0.0.1:9444", want: "https://127.0.0.1:9444/verify", ip: "127.0.0.1"},
		{url: "https://127.0.0.1:9444/", want: "https://127.0.0.1:9444/verify", ip: "127.0.0.1"},
		{url: "https://[::1]:9444", want: "https://[::1]:9444/verify", ip: "::1"},
		{url: "https://hooks.example.com/tekgate/verify", want: "https://hooks.example.com/tekgate/verify",
			dns: "hooks.example.com"},
		{url: "http://127.0.0.1:9444", want: "!has to be https"},
		{url: "127.0.0.1:9444", want: "!has to be https"},
		{url: "https://", want: "!has to be https"},
		{url: "https://user:pass@host", want: "!has to be https"},
		{url: "https://host/?token=x", want: "!has to be https"},
	}
	for _, tt := range tests {
		t.Run(tt.url, func(t *testing.T) {
			o := service
			o.url = tt.url
			to, err := o.target()
			if part, fails := strings.CutPrefix(tt.want, "!"); fails {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Fatalf("got %v, want an error with %q", err, part)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			config := specOf(to.clusterInterceptor([]byte("pem")))["clientConfig"]
			want := map[string]any{"caBundle": "cGVt", "url": tt.want}
			if !reflect.DeepEqual(config, want) {
				t.Errorf("got %v, want %v", config, want)
			}
			names, ips := to.names()
			if tt.ip != "" && (len(ips) != 1 || ips[0].String() != tt.ip) || tt.dns != "" &&
				names[len(names)-1] != tt.dns {
				t.Errorf("got names %v and addresses %v", names, ips)
			}
		})
	}
}

func TestServiceTarget(t *testing.T) {
	to, err := options{namespace: "ns", service: "svc"}.target()
	if err != nil {
		t.Fatal(err)
	}
	got := to.clusterInterceptor([]byte("pem"))
	want := map[string]any{"clientConfig": map[string]any{
		"caBundle": "cGVt",
		"service":  map[string]any{"name": "svc", "namespace": "ns", "path": "verify", "port": int64(443)},
	}}
	if !reflect.DeepEqual(specOf(got), want) {
		t.Errorf("got %v, want %v", specOf(got), want)
	}
	labels := got.GetLabels()
	for name, value := range map[string]string{
		"server/type": "https", "app.kubernetes.io/name": "tekgate", "app.kubernetes.io/part-of": "tekgate",
		"app.kubernetes.io/managed-by": "tekgate",
	} {
		if labels[name] != value {
			t.Errorf("label %s is %q, want %q", name, labels[name], value)
		}
	}
	if names, _ := to.names(); names[2] != "svc.ns.svc" {
		t.Errorf("got names %v, want svc.ns.svc among them", names)
	}
}

func TestSurplus(t *testing.T) {
	want := map[string]any{"clientConfig": map[string]any{"caBundle": "x", "service": map[string]any{"name": "a"}}}
	tests := []struct {
		name     string
		live     map[string]any
		expected map[string]any
	}{
		{"equal", want, map[string]any{}},
		{"empty", nil, map[string]any{}},
		{"other values", map[string]any{"clientConfig": map[string]any{"caBundle": "y"}}, map[string]any{}},
		{"a url beside", map[string]any{"clientConfig": map[string]any{"caBundle": "x", "url": "u"}},
			map[string]any{"clientConfig": map[string]any{"url": nil}}},
		{"deep", map[string]any{"clientConfig": map[string]any{"service": map[string]any{"name": "b", "port": 1}}},
			map[string]any{"clientConfig": map[string]any{"service": map[string]any{"port": nil}}}},
		{"at the top", map[string]any{"more": 1}, map[string]any{"more": nil}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := surplus(tt.live, want); !reflect.DeepEqual(got, tt.expected) {
				t.Errorf("got %v, want %v", got, tt.expected)
			}
		})
	}
}

// unreachable writes a kubeconfig for an address where nobody listens.
func unreachable(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://%s"}}]
contexts: [{name: c, context: {cluster: c}}]
current-context: c
`, l.Addr())
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestCannotStart(t *testing.T) {
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	t.Setenv("HOME", t.TempDir())
	bad := filepath.Join(t.TempDir(), "config.yaml")
	text := "apiVersion: tekgate.dev/v1alpha1\nkind: Configuration\ninterceptor: {maxage: 1h}\n"
	if err := os.WriteFile(bad, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		args []string
		want string
	}{
		{"no cluster", nil, "no cluster is named: pass --kubeconfig"},
		{"no such kubeconfig", []string{"--kubeconfig=/nonexistent"}, "reading kubeconfig /nonexistent"},
		{"server away", []string{"--kubeconfig", unreachable(t)}, "reaching the API server at https://127.0.0.1:"},
		{"bad configuration", []string{"--config", bad}, `did you mean "maxAge"?`},
		{"bad url", []string{"--url=http://x"}, "reading --url"},
		{"unknown flag", []string{"--nosuch"}, "unknown flag"},
		{"argument", []string{"x"}, "unknown command"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := run(t.Context(), tt.args, io.Discard, io.Discard)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("got %v, want an error with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "\n") || strings.Contains(err.Error(), "goroutine") {
				t.Errorf("%q is not one sentence", err)
			}
		})
	}
	if got := server.Main(wellknown.Interceptor, []string{"--url=http://x"}, run); got != 1 {
		t.Errorf("got exit status %d, want 1", got)
	}
}

func TestHelp(t *testing.T) {
	var out strings.Builder
	if err := run(t.Context(), []string{"--help"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, flag := range []string{"--kubeconfig", "--config", "--namespace", "--service", "--bind-address",
		"--health-bind-address", "--url", "--drain"} {
		if !strings.Contains(out.String(), flag) {
			t.Errorf("the help lacks %s", flag)
		}
	}
}

func TestAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	taken := l.Addr().String()
	for _, addresses := range [][2]string{{taken, "0"}, {"127.0.0.1:0", taken}} {
		s := &eventServer{log: logr.Discard()}
		err := s.listen(t.Context(), addresses[0], endpoint{what: "probes", address: addresses[1]})
		if err == nil || !strings.Contains(err.Error(), taken) {
			t.Errorf("%v: got %v, want an error that names %s", addresses, err, taken)
		}
	}
}

// Triggers' core interceptors overwrite the caBundle of every
// ClusterInterceptor that has one of their names, each minute.
func TestTrap26_NameIsNoCoreInterceptors(t *testing.T) {
	to, err := options{namespace: "tekgate", service: "tekgate-interceptor"}.target()
	if err != nil {
		t.Fatal(err)
	}
	name := to.clusterInterceptor([]byte("bundle")).GetName()
	if name == "" || slices.Contains([]string{"bitbucket", "cel", "github", "gitlab", "slack"}, name) {
		t.Errorf("the ClusterInterceptor is called %q", name)
	}
}
