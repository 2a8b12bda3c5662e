package replicas

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/httpstream" //nolint:staticcheck // what client-go's port forwarding still takes
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/internal/kube"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// Forwarded is a port of a Pod, reached at a local address.
type Forwarded struct {
	Pod, Address string
}

// Forward opens a way to one port of every running Pod of the interceptor, through
// the API server, which lets pass whoever may create pods/portforward there. Pods that
// cannot be reached are warned of; if none can, that is an error. The ways stay open
// until ctx ends.
func Forward(
	ctx context.Context, k *kubeflags.Flags, namespace string, port int, warn func(error),
) ([]Forwarded, error) {
	quiet()
	config, err := k.RESTConfig()
	if err != nil {
		return nil, err
	}
	c, err := kube.Client(config, corev1.AddToScheme)
	if err != nil {
		return nil, err
	}
	pods := &corev1.PodList{}
	err = c.List(ctx, pods, client.InNamespace(namespace),
		client.MatchingLabels{"app.kubernetes.io/name": wellknown.Interceptor})
	if err != nil {
		return nil, fmt.Errorf("listing the interceptor's Pods in namespace %s: %w", namespace, err)
	}
	var open []Forwarded
	var problems []error
	for i := range pods.Items {
		pod := &pods.Items[i]
		if pod.Status.Phase != corev1.PodRunning || pod.DeletionTimestamp != nil {
			continue
		}
		address, err := forwardPod(ctx, config, pod, port)
		if err != nil {
			problems = append(problems, fmt.Errorf("reaching Pod %s/%s: %w", namespace, pod.Name, err))
			continue
		}
		open = append(open, Forwarded{pod.Name, address})
	}
	if len(open) > 0 {
		for _, p := range problems {
			warn(p)
		}
		return open, nil
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return nil, fmt.Errorf("finding the interceptor: namespace %s has no running Pod of it: see `tekgate status`",
		namespace)
}

// quiet keeps client-go from logging each connection that could not be forwarded:
// whoever made it says so, in a sentence.
var quiet = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// forwardPod returns the local address that leads to a Pod's port.
func forwardPod(ctx context.Context, config *rest.Config, pod *corev1.Pod, port int) (string, error) {
	dialer, err := podDialer(config, pod)
	if err != nil {
		return "", err
	}
	ready, failed := make(chan struct{}), make(chan error, 1)
	ports := []string{fmt.Sprintf("0:%d", port)}
	f, err := portforward.NewOnAddresses(dialer, []string{"127.0.0.1"}, ports, ctx.Done(), ready, io.Discard,
		io.Discard)
	if err != nil {
		return "", err
	}
	go func() { failed <- f.ForwardPorts() }()
	select {
	case err := <-failed:
		if err == nil {
			err = ctx.Err()
		}
		return "", err
	case <-ready:
	}
	local, err := f.GetPorts()
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("127.0.0.1:%d", local[0].Local), nil
}

// podDialer speaks WebSockets, as proxies between here and the API server like it,
// or SPDY with servers before Kubernetes 1.30.
func podDialer(config *rest.Config, pod *corev1.Pod) (httpstream.Dialer, error) {
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	to := base.JoinPath("api", "v1", "namespaces", pod.Namespace, "pods", pod.Name, "portforward")
	transport, upgrader, err := spdy.RoundTripperFor(config)
	if err != nil {
		return nil, err
	}
	old := spdy.NewDialer(upgrader, &http.Client{Transport: transport}, http.MethodPost, to)
	tunnel, err := portforward.NewSPDYOverWebsocketDialer(to, config)
	if err != nil {
		return nil, err
	}
	return portforward.NewFallbackDialer(tunnel, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}
