package node

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A machine without a package is told which, why and how to get it, and what to do
// in its place; nothing about what it has.
func TestMissing(t *testing.T) {
	t.Setenv("PATH", "")
	err := Missing(false)
	for _, p := range packages {
		if want := "install Debian's package " + p.name; !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
	for _, want := range []string{
		"- runc is not there, and it starts containers: ",
		"apt-get install --no-install-recommends iproute2 runc nftables iptables conntrack busybox-static git openssh-client openssh-server",
		"TEKGATE_KUBECONFIG=… make e2e-cluster",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "openssl") {
		t.Errorf("it asks for what only all scenarios need:\n%v", err)
	}
	if all := Missing(true).Error(); !strings.Contains(all, "openssh-server ipset openssl") {
		t.Errorf("for all scenarios it says\n%v", all)
	}
	if os.Geteuid() == 0 == strings.Contains(err.Error(), "need root") {
		t.Errorf("of user %d it says\n%v", os.Geteuid(), err)
	}
}

// Who reads the README, and CI, install the same packages.
func TestPackages(t *testing.T) {
	var all []string
	for _, p := range packages {
		all = append(all, p.name)
	}
	var full []string
	for _, p := range fullPackages {
		full = append(full, p.name)
	}
	for _, file := range []string{"README.md", ".ci/run"} {
		text, err := os.ReadFile(filepath.Join("..", "..", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, list := range []string{strings.Join(all, " "), strings.Join(full, " ")} {
			if !strings.Contains(string(text), list) {
				t.Errorf("%s does not have %q", file, list)
			}
		}
	}
}

// What is below a control group goes before it, and what is not there is no error.
func TestRemoveGroup(t *testing.T) {
	group := filepath.Join(t.TempDir(), "group")
	if err := os.MkdirAll(filepath.Join(group, "kubepods", "pod"), 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := removeGroup(group); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(group); !errors.Is(err, os.ErrNotExist) {
			t.Fatalf("the group is there: %v", err)
		}
	}
}

// The layer of an image holds the program, executable, and folders that anybody may
// write to.
func TestImage(t *testing.T) {
	program := filepath.Join(t.TempDir(), "resolvers")
	if err := os.WriteFile(program, []byte("the program"), 0o600); err != nil {
		t.Fatal(err)
	}
	img, err := koImage(program).build()
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if config.OS != "linux" || config.Config.User != "65532" || config.Config.Entrypoint[0] != "/ko-app/resolvers" {
		t.Errorf("the configuration is %+v", config)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("layers %v, error %v", layers, err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	modes := map[string]int64{}
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		modes[header.Name] = header.Mode
	}
	if modes["ko-app/resolvers"] != 0o755 || modes["tmp/"] != 0o1777 {
		t.Errorf("the modes are %v", modes)
	}
}

// An image of a release that nobody here can make is an error, not a Pod that waits
// for its pull.
func TestUnknownImage(t *testing.T) {
	n := &Node{}
	const unknown = "ghcr.io/tektoncd/chains/controller:v1"
	if _, err := n.made(unknown, Pair{}, image{}, image{}); err == nil || !strings.Contains(err.Error(), unknown) {
		t.Errorf("the error is %v", err)
	}
	windows := "mcr.microsoft.com/powershell:nanoserver@sha256:" + strings.Repeat("1", 64)
	if i, err := n.made(windows, Pair{}, image{}, image{}); i != nil || err != nil {
		t.Errorf("the image for Windows is %v, error %v", i, err)
	}
}

// Lines that come in pieces stay whole, and the last one need not have an end.
func TestLines(t *testing.T) {
	var out bytes.Buffer
	l := &lines{out: &out, name: "a"}
	for _, piece := range []string{"one\ntw", "", "o\n\nthr", "ee"} {
		if n, err := l.Write([]byte(piece)); n != len(piece) || err != nil {
			t.Fatalf("writing %q returns %d, error %v", piece, n, err)
		}
	}
	for range 2 {
		if err := l.end(); err != nil {
			t.Fatal(err)
		}
	}
	if want := "[a] one\n[a] two\n[a] \n[a] three\n"; out.String() != want {
		t.Errorf("got %q, want %q", out.String(), want)
	}
}
