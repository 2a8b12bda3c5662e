//go:build e2e

package scenarios_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tekgate/tekgate/e2e/certmanager"
)

// apply is `kubectl create` for files that name variables of the script:
//
//	apply FILE [FLAG...]
func (p *place) apply(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: apply FILE [FLAG...]")
	}
	text := p.expand(ts.ReadFile(args[0]))
	file := ts.MkAbs(args[0] + ".expanded.yaml")
	ts.Check(os.WriteFile(file, []byte(text), 0o600))
	err := ts.Exec("kubectl", append([]string{"create", "-f", file}, args[1:]...)...)
	switch {
	case err != nil && !neg:
		ts.Fatalf("kubectl create -f %s: %v", args[0], err)
	case err == nil && neg:
		ts.Fatalf("kubectl create -f %s succeeded", args[0])
	}
}

// many writes a file that holds an object so many times:
//
//	many COUNT FILE TARGET
func (p *place) many(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: many COUNT FILE TARGET")
	}
	count, err := strconv.Atoi(args[0])
	ts.Check(err)
	text := p.expand(ts.ReadFile(args[1]))
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(strings.Repeat("---\n"+text, count)), 0o600))
}

// trouble breaks the node's control plane for some seconds:
//
//	trouble apiserver|etcd SECONDS
func (p *place) trouble(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 || p.node == nil {
		ts.Fatalf("usage: trouble apiserver|etcd SECONDS, in a node of our own")
	}
	seconds, err := strconv.Atoi(args[1])
	ts.Check(err)
	breaking := p.node.RestartAPIServer
	if args[0] == "etcd" {
		breaking = p.node.StopEtcd
	}
	ts.Check(breaking(context.Background(), time.Duration(seconds)*time.Second))
}

// reach waits until somebody listens at an address. A Pod that is Ready can be reached
// through its Service a moment later, when kube-proxy has heard of it.
//
//	reach HOST:PORT
func (p *place) reach(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: reach HOST:PORT")
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(200 * time.Millisecond) {
		connection, err := (&net.Dialer{Timeout: time.Second}).DialContext(context.Background(), "tcp", args[0])
		if err == nil {
			ts.Check(connection.Close())
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("nobody listens: %v", err)
		}
	}
}

// exist waits until there are so many objects, for which kubectl is asked, and not one
// more a second later:
//
//	exist COUNT ARGUMENT...
//
// or @FILE, of a file that holds the number.
func (p *place) exist(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exist COUNT ARGUMENT...")
	}
	if file, ok := strings.CutPrefix(args[0], "@"); ok {
		args[0] = strings.TrimSpace(ts.ReadFile(file))
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	found := func() int {
		ts.Check(ts.Exec("kubectl", append([]string{"get", "-o", "name"}, args[1:]...)...))
		return len(strings.Fields(ts.ReadFile("stdout")))
	}
	for end := time.Now().Add(time.Minute); found() != want && time.Now().Before(end); {
		time.Sleep(500 * time.Millisecond)
	}
	time.Sleep(time.Second)
	if n := found(); n != want {
		ts.Fatalf("there are %d, and there should be %d", n, want)
	}
}

// certManager brings cert-manager's definitions and controllers to the node. They stay.
func (p *place) certManager(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 0 || p.node == nil || p.issuing != nil {
		ts.Fatalf("usage: cert-manager, once, in a node of our own")
	}
	ts.Check(certmanager.Define(context.Background(), p.node.Cluster))
	var err error
	p.issuing, err = certmanager.Run(context.Background(), p.node.Cluster, ts.Stderr())
	ts.Check(err)
}

// end stops what scripts have started and left.
func (p *place) end(t *testing.T) {
	if p.issuing == nil {
		return
	}
	if err := p.issuing.Stop(); err != nil {
		t.Error(err)
	}
}

// expand puts the variables of scripts into a text, and leaves Tekton's alone, such as
// $(params.name).
func (p *place) expand(text string) string {
	return os.Expand(text, func(name string) string {
		if _, ours := p.env[name]; ours {
			return p.env[name]
		}
		return "$" + name
	})
}

// image asks the private registry for an image and prints its digest and layers:
//
//	image REFERENCE
//
// or @FILE, of a file that holds the reference.
func (p *place) image(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: image REFERENCE")
	}
	if file, ok := strings.CutPrefix(args[0], "@"); ok {
		args[0] = strings.TrimSpace(ts.ReadFile(file))
	}
	text, err := p.look(args[0])
	switch {
	case err != nil && !neg:
		ts.Fatalf("%v", err)
	case err == nil && neg:
		ts.Fatalf("%s is there: %s", args[0], text)
	case err != nil && !strings.Contains(err.Error(), "UNKNOWN"): // MANIFEST_UNKNOWN, NAME_UNKNOWN
		ts.Fatalf("asking whether there is an image: %v", err)
	}
	fmt.Fprint(ts.Stdout(), text)
}

// silent fails if the last command has said the password.
func (p *place) silent(ts *testscript.TestScript, _ bool, _ []string) {
	for _, stream := range []string{"stdout", "stderr"} {
		if strings.Contains(ts.ReadFile(stream), p.password) {
			ts.Fatalf("the registry's password stands in %s", stream)
		}
	}
}

// same fails unless two images differ in nothing but the times at which they were built:
//
//	same REFERENCE REFERENCE
func (p *place) same(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: same REFERENCE REFERENCE")
	}
	var configs []string
	for _, reference := range args {
		img, err := p.pull(reference)
		ts.Check(err)
		config, err := img.ConfigFile()
		ts.Check(err)
		config.Created = v1.Time{}
		for i := range config.History {
			config.History[i].Created = v1.Time{}
		}
		text, err := json.Marshal(config)
		ts.Check(err)
		configs = append(configs, string(text))
	}
	if configs[0] != configs[1] {
		ts.Fatalf("%s is\n%s\n%s is\n%s", args[0], configs[0], args[1], configs[1])
	}
}

// pull returns an image of the private registry, whose layers are not fetched.
func (p *place) pull(reference string) (v1.Image, error) {
	ref, err := name.ParseReference(reference)
	if err != nil {
		return nil, err
	}
	options, err := p.remote()
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(ref, options...)
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", filepath.Base(reference), err)
	}
	return img, nil
}

// look describes an image of the private registry in a line.
func (p *place) look(reference string) (string, error) {
	img, err := p.pull(reference)
	if err != nil {
		return "", err
	}
	digest, err := img.Digest()
	if err != nil {
		return "", err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return "", err
	}
	layers := len(config.RootFS.DiffIDs)
	return fmt.Sprintf("%s %s, %d layers, env %q\n", reference, digest, layers, config.Config.Env), nil
}

// foreign puts an image of the mirror there for another platform alone: as an index that has
// it for linux/arm64.
//
//	foreign REFERENCE TARGET
func (p *place) foreign(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 || neg {
		ts.Fatalf("usage: foreign REFERENCE TARGET")
	}
	img, err := p.pull(args[0])
	ts.Check(err)
	config, err := img.ConfigFile()
	ts.Check(err)
	config = config.DeepCopy()
	config.Architecture = "arm64"
	img, err = mutate.ConfigFile(img, config)
	ts.Check(err)
	platform := &v1.Platform{OS: config.OS, Architecture: config.Architecture}
	index := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex),
		mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	ref, err := name.ParseReference(args[1])
	ts.Check(err)
	options, err := p.remote()
	ts.Check(err)
	ts.Check(remote.WriteIndex(ref, index, options...))
}

// remote returns the options for requests to the registries.
func (p *place) remote() ([]remote.Option, error) {
	ca, err := os.ReadFile(p.env["CA"])
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	transport.DisableKeepAlives = true
	account := &authn.Basic{Username: p.env["REGISTRY_USER"], Password: p.password}
	return []remote.Option{remote.WithTransport(transport), remote.WithAuth(account)}, nil
}
