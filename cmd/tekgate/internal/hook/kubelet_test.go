package hook

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/httpstream"      //nolint:staticcheck // what client-go's port forwarding still takes
	"k8s.io/apimachinery/pkg/util/httpstream/spdy" //nolint:staticcheck // as above
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/portforward"
)

// kubelet is the one part of a node that a forwarded port needs beside the API
// server, which authorizes, upgrades and passes on as it does in a cluster: it joins
// the streams with a connection to the Pod, which here is a process.
type kubelet struct {
	mu        sync.Mutex
	addresses map[string]string // by "pod:port"
}

// newNode makes a Node whose kubelet this is.
func newNode(t *testing.T, c kubernetes.Interface) *kubelet {
	t.Helper()
	k := &kubelet{addresses: map[string]string{}}
	server := httptest.NewTLSServer(k)
	t.Cleanup(server.CloseClientConnections)
	_, digits, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	port, err := strconv.ParseInt(digits, 10, 32)
	if err != nil {
		t.Fatal(err)
	}
	node, err := c.CoreV1().Nodes().Create(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}},
		metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	node.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "127.0.0.1"}}
	node.Status.DaemonEndpoints.KubeletEndpoint.Port = int32(port)
	if _, err := c.CoreV1().Nodes().UpdateStatus(t.Context(), node, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	return k
}

// pod makes a Pod of the interceptor's that runs on the node, with its ports.
func (k *kubelet) pod(t *testing.T, c kubernetes.Interface, name string, ports map[int]string) {
	t.Helper()
	k.mu.Lock()
	for port, address := range ports {
		k.addresses[fmt.Sprint(name, ":", port)] = address
	}
	k.mu.Unlock()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "tekgate", Name: name,
			Labels: map[string]string{"app.kubernetes.io/name": "tekgate-interceptor"}},
		Spec: corev1.PodSpec{NodeName: "node",
			Containers: []corev1.Container{{Name: "interceptor", Image: "interceptor"}}},
	}
	if _, err := c.CoreV1().Pods("tekgate").Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	setPhase(t, c, name, corev1.PodRunning)
}

func setPhase(t *testing.T, c kubernetes.Interface, name string, phase corev1.PodPhase) {
	t.Helper()
	pod, err := c.CoreV1().Pods("tekgate").Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pod.Status.Phase = phase
	if _, err := c.CoreV1().Pods("tekgate").UpdateStatus(t.Context(), pod, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// ServeHTTP answers /portForward/NAMESPACE/POD.
func (k *kubelet) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
		return // it has answered
	}
	streams := make(chan httpstream.Stream, 16)
	conn := spdy.NewResponseUpgrader().UpgradeResponse(w, r, func(s httpstream.Stream, _ <-chan struct{}) error {
		streams <- s
		return nil
	})
	if conn == nil {
		return // it has answered
	}
	defer conn.Close()
	halves := map[string]httpstream.Stream{} // of which the other has not come yet
	for {
		select {
		case <-conn.CloseChan():
			return
		case s := <-streams:
			id := s.Headers().Get(corev1.PortForwardRequestIDHeader)
			other := halves[id]
			if other == nil {
				halves[id] = s
				continue
			}
			delete(halves, id)
			data, failure := s, other
			if s.Headers().Get(corev1.StreamType) == corev1.StreamTypeError {
				data, failure = other, s
			}
			go k.join(r.Context(), path.Base(r.URL.Path), data, failure)
		}
	}
}

func (k *kubelet) join(ctx context.Context, pod string, data, failure httpstream.Stream) {
	defer failure.Close()
	defer data.Close()
	k.mu.Lock()
	address := k.addresses[pod+":"+data.Headers().Get(corev1.PortHeader)]
	k.mu.Unlock()
	var dialer net.Dialer
	upstream, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		fmt.Fprintf(failure, "forwarding a port of Pod %s: %v", pod, err)
		return
	}
	defer upstream.Close()
	go func() {
		io.Copy(upstream, data)
		upstream.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(data, upstream)
}
