//go:build e2e

package scenarios_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tekgate/tekgate/e2e/node"
)

// database starts PostgreSQL outside of the cluster, and writes the account of the database of
// Tekton Results, as its Secret has it, and the host's name:
//
//	database ENV-FILE HOST-FILE
func (p *place) database(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 || p.node == nil {
		ts.Fatalf("usage: database ENV-FILE HOST-FILE, once, in a node of our own")
	}
	ts.Check(p.node.StartDatabase(context.Background()))
	account := "POSTGRES_USER=" + node.DatabaseUser + "\nPOSTGRES_PASSWORD=" + node.DatabasePassword + "\n"
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(account), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(node.DatabaseHost), 0o600))
}

// passing are the kinds of objects that come and go by themselves.
var passing = []string{"events", "leases", "endpoints", "endpointslices", "componentstatuses", "ipaddresses"}

// objects writes the names of all objects of the cluster, but for those that come and go by
// themselves, to a file:
//
//	objects FILE
func (p *place) objects(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: objects FILE")
	}
	names, err := allObjects(context.Background(), p.env["KUBECONFIG"])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(names, "\n")+"\n"), 0o600))
}

func allObjects(ctx context.Context, kubeconfig string) ([]string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	lists, err := kinds.ServerPreferredResources()
	if err != nil {
		return nil, err
	}
	var names []string
	for _, list := range lists {
		group, err := schema.ParseGroupVersion(list.GroupVersion)
		if err != nil {
			return nil, err
		}
		for _, r := range list.APIResources {
			if !slices.Contains(r.Verbs, "list") || slices.Contains(passing, r.Name) {
				continue
			}
			found, err := client.Resource(group.WithResource(r.Name)).List(ctx, metav1.ListOptions{})
			if err != nil {
				return nil, fmt.Errorf("listing %s: %w", r.Name, err)
			}
			for _, obj := range found.Items {
				names = append(names, fmt.Sprintf("%s.%s/%s/%s", r.Kind, group.Group, obj.Namespace, obj.Name))
			}
		}
	}
	slices.Sort(names)
	return names, nil
}

// fetch prints what a server in the cluster answers to a request with a token:
//
//	fetch URL [CA-FILE TOKEN-FILE]
//
// It asks again for a minute while there is no answer, or another status than 200.
func (p *place) fetch(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 1 && len(args) != 3 {
		ts.Fatalf("usage: fetch URL [CA-FILE TOKEN-FILE]")
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet, args[0], nil)
	ts.Check(err)
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	if len(args) == 3 {
		pool := x509.NewCertPool()
		pool.AppendCertsFromPEM([]byte(ts.ReadFile(args[1])))
		transport.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
		request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(ts.ReadFile(args[2])))
	}
	client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
	for end := time.Now().Add(time.Minute); ; time.Sleep(time.Second) {
		text, err := body(client, request)
		if err == nil {
			fmt.Fprintln(ts.Stdout(), text)
			return
		}
		if time.Now().After(end) {
			ts.Fatalf("%v", err)
		}
	}
}

func body(client *http.Client, request *http.Request) (string, error) {
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", response.Status, text)
	}
	return string(text), err
}

// attested checks the signature that Chains stores in a TaskRun, which is in a file as JSON, with
// the private key that it signs with, and prints what was signed:
//
//	attested TASKRUN-FILE KEY-FILE
func (p *place) attested(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: attested TASKRUN-FILE KEY-FILE")
	}
	var run metav1.PartialObjectMetadata
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &run))
	block, _ := pem.Decode([]byte(ts.ReadFile(args[1])))
	if block == nil {
		ts.Fatalf("%s holds no key in PEM form", args[1])
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	ts.Check(err)
	signer, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		ts.Fatalf("%s holds a %T", args[1], key)
	}
	text, err := opened(run.Annotations["chains.tekton.dev/signature-taskrun-"+string(run.UID)], &signer.PublicKey)
	ts.Check(err)
	fmt.Fprintln(ts.Stdout(), text)
}

// opened checks a signature of the Dead Simple Signing Envelope (DSSE, version 1), which is in
// base64 once more, and returns what was signed.
func opened(text string, key *ecdsa.PublicKey) (string, error) {
	content, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return "", err
	}
	var envelope struct {
		PayloadType string
		Payload     []byte
		Signatures  []struct{ Sig []byte }
	}
	if err := json.Unmarshal(content, &envelope); err != nil {
		return "", fmt.Errorf("reading the envelope %q: %w", content, err)
	}
	signed := fmt.Sprintf("DSSEv1 %d %s %d %s", len(envelope.PayloadType), envelope.PayloadType,
		len(envelope.Payload), envelope.Payload)
	sum := sha256.Sum256([]byte(signed))
	for _, s := range envelope.Signatures {
		if ecdsa.VerifyASN1(key, sum[:], s.Sig) {
			return string(envelope.Payload), nil
		}
	}
	return "", fmt.Errorf("none of the %d signatures is of this key", len(envelope.Signatures))
}

// signature fails unless an image of the private registry has a signature where cosign looks for
// one, and prints it as `image` does:
//
//	signature REPOSITORY DIGEST-FILE
func (p *place) signature(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: signature REPOSITORY DIGEST-FILE")
	}
	digest := strings.TrimSpace(ts.ReadFile(args[1]))
	text, err := p.look(args[0] + ":" + strings.Replace(digest, ":", "-", 1) + ".sig")
	ts.Check(err)
	fmt.Fprint(ts.Stdout(), text)
}
