package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/e2e/certmanager"
	"github.com/tekgate/tekgate/internal/wellknown"
)

const issuedSecret = "tekgate-interceptor-tls"

// TestSources changes, while an EventListener sends events, from the servers' own CA to
// cert-manager and back, each by a roll-out of two replicas. The EventListener reads
// caBundles once a second where a real one does once a minute, and the overlap is
// three of its seconds.
func TestSources(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("takes a minute and a real API server, which -short does without")
	}
	r := newRig(t)
	controllers := certmanager.Start(t, r.site.api)
	running := []*replica{r.stays, r.goes}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var sending sync.WaitGroup
	sending.Go(func() {
		for number := 0; ctx.Err() == nil; number++ {
			r.event(number)
			time.Sleep(20 * time.Millisecond)
		}
	})
	ownCA := r.secret(t, wellknown.InterceptorCA, corev1.TLSCertKey)

	files, err := filepath.Glob("../../manifests/certmanager/*.yaml")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d files, error %v", len(files), err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r.site.apply(t, string(text))
	}
	running = r.rollOut(t, running, "--certificate-secret="+issuedSecret)
	theirCA := r.secret(t, issuedSecret, "ca.crt")
	for _, one := range running {
		if err := shake(one.events, theirCA); err != nil {
			t.Errorf("a replica does not serve what cert-manager issued: %v\n%s", err, controllers.Log())
		}
	}
	running = r.rollOut(t, running)
	for _, one := range running {
		if err := shake(one.events, ownCA); err != nil {
			t.Errorf("a replica does not serve what its own CA signed: %v", err)
		}
	}
	if bundle := r.bundle(t); !bytes.Contains(bundle, ownCA) || !bytes.Contains(bundle, theirCA) {
		t.Error("the caBundle has not both CAs")
	}
	eventually(t, func() error { // on a slow machine
		if n := r.verdicts.Load(); n < 1000 {
			return fmt.Errorf("%d right verdicts are too few", n)
		}
		return nil
	})
	cancel()
	sending.Wait()
	t.Logf("%d right verdicts, %d wrong, %d lost", r.verdicts.Load(), r.wrong.Load(), len(r.lost))
	if r.wrong.Load() > 0 || len(r.lost) > 0 || r.verdicts.Load() < 1000 {
		r.explain(t, "%d right, %d wrong, %d lost", r.verdicts.Load(), r.wrong.Load(), len(r.lost))
	}
	r.trust.alive(t)
}

// rollOut replaces replicas one by one, as a Deployment with maxUnavailable 0 does.
func (r *rig) rollOut(t *testing.T, old []*replica, flags ...string) []*replica {
	t.Helper()
	all := slices.Clone(old)
	for i, goes := range old {
		began := time.Now()
		fresh := startReplica(t, r.site.api.Kubeconfig, flags...)
		all = append(all, fresh)
		r.balancer.lead(all)
		eventually(t, func() error { return r.balancer.knows(fresh) })
		t.Logf("replica %d is ready after %s", i, time.Since(began).Round(100*time.Millisecond))
		if err := goes.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		if err := <-goes.done; err != nil {
			t.Errorf("a replica ended with %v", err)
		}
		all = slices.DeleteFunc(all, func(other *replica) bool { return other == goes })
		r.balancer.lead(all)
	}
	return all
}

// lead makes the Service lead to other replicas, once they are ready.
func (b *balancer) lead(to []*replica) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.endpoints = slices.Clone(to)
}

func (b *balancer) knows(one *replica) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Contains(b.ready, one) {
		return fmt.Errorf("a replica is not ready:\n%s", interesting(one.String()))
	}
	return nil
}

func (r *rig) secret(t *testing.T, name, key string) []byte {
	t.Helper()
	secret := &corev1.Secret{}
	if err := r.site.client.Get(t.Context(), client.ObjectKey{Namespace: "tekgate", Name: name}, secret); err != nil {
		t.Fatal(err)
	}
	return secret.Data[key]
}

func (r *rig) bundle(t *testing.T) []byte {
	t.Helper()
	published := &unstructured.Unstructured{}
	published.SetAPIVersion("triggers.tekton.dev/v1alpha1")
	published.SetKind("ClusterInterceptor")
	if err := r.site.client.Get(t.Context(), client.ObjectKey{Name: "tekgate"}, published); err != nil {
		t.Fatal(err)
	}
	encoded, _, _ := unstructured.NestedString(published.Object, "spec", "clientConfig", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// shake fails unless a server shows a certificate that a CA signed.
func shake(address string, ca []byte) error {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", address,
		&tls.Config{RootCAs: pool, ServerName: "tekgate-interceptor.tekgate.svc"})
	if err != nil {
		return err
	}
	return conn.Close()
}
