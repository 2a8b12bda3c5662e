package hook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/tektoncd/triggers/pkg/apis/triggers/v1beta1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/replicas"
	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/internal/display"
)

func sendCommand() *cobra.Command {
	var (
		h  hook
		o  outgoing
		to sending
	)
	cmd := &cobra.Command{
		Use:   "send",
		Short: "Sign a payload as a forge would, send it, and show the verdict",
		Long: `Sign a payload and post it, either to an EventListener (--url), as the forge does, or
straight to the interceptor (--interceptor), as an EventListener does.

An EventListener answers 202 whatever becomes of the event; with --verdict the
interceptor is asked what it decided. Straight to the interceptor nothing is
started, whatever the verdict: so it is the way to try a Trigger's params out. Its
status is 2 where the event is refused.`,
		Example: `  tekgate hook send --trigger build -n ci --body push.json --interceptor
  tekgate hook send --provider gitee --mode sign --secret-file secret --body push.json --url http://el-build.ci.example.com --verdict`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if (to.url == "") == !to.interceptor {
				return errors.New("say where to: --url of an EventListener, or --interceptor")
			}
			s, err := o.sign(cmd.Context(), cli.StreamsOf(cmd), &h)
			if err != nil {
				return err
			}
			to.replicas.kube = h.kube
			if to.interceptor {
				return to.ask(cmd.Context(), cli.StreamsOf(cmd), &h, s)
			}
			return to.post(cmd.Context(), cli.StreamsOf(cmd), s)
		},
	}
	h.flags(cmd)
	o.flags(cmd)
	to.replicas.placeFlags(cmd)
	f := cmd.Flags()
	f.StringVar(&to.url, "url", "", "`URL` of the EventListener")
	f.BoolVar(&to.interceptor, "interceptor", false,
		"ask the interceptor itself, where its ClusterInterceptor says or through a port that is forwarded to one of its Pods")
	f.BoolVar(&to.verdict, "verdict", false, "wait for what the interceptor decided")
	return cmd
}

// sending says where a delivery goes.
type sending struct {
	url                  string
	interceptor, verdict bool
	replicas             replicaFlags
}

const sendTimeout = 30 * time.Second

// post sends a delivery to an EventListener, as a forge does.
func (to *sending) post(ctx context.Context, streams cli.Streams, s *signed) error {
	limited, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	address, err := url.Parse(to.url)
	if err != nil || address.Host == "" {
		return fmt.Errorf("reading --url %q: it has to be http://HOST or https://HOST", to.url)
	}
	address.RawQuery = strings.Trim(address.RawQuery+"&"+s.query, "&")
	request, err := http.NewRequestWithContext(limited, http.MethodPost, address.String(), bytes.NewReader(s.body))
	if err != nil {
		return fmt.Errorf("sending the delivery: %w", err)
	}
	request.Header = s.header
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("sending the delivery: %w", withoutQuery(err))
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return fmt.Errorf("reading the EventListener's answer: %w", err)
	}
	fmt.Fprintf(streams.ErrOut, "the EventListener answers %s\n", response.Status)
	var answer struct {
		EventID string `json:"eventID"`
		Error   string `json:"errorMessage"`
	}
	if json.Unmarshal(text, &answer) != nil || answer.EventID == "" {
		return fmt.Errorf("sending the delivery: the answer names no event: %s: is --url that of an EventListener?",
			plain(string(text[:min(len(text), 200)])))
	}
	fmt.Fprintln(streams.Out, answer.EventID)
	if !to.verdict {
		return nil
	}
	return to.await(ctx, streams, answer.EventID)
}

// withoutQuery keeps a secret that stands in a query out of an error.
func withoutQuery(err error) error {
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	}
	return err
}

// settled is for how long no further trigger has to show up.
const settled = time.Second

// await prints what was decided about an event, once all of its triggers seem to
// have been.
func (to *sending) await(ctx context.Context, streams cli.Streams, eventID string) error {
	source, err := to.replicas.source(ctx, streams)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	var list []deliveries.Delivery
	for since := time.Now(); len(list) == 0 || time.Since(since) < settled; {
		found, err := source(ctx, deliveries.Filter{EventID: eventID})
		if err != nil {
			return err
		}
		if len(found) != len(list) {
			list, since = found, time.Now()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf(
				"waiting for the verdict on event %s: no trigger asked the interceptor within %s: does the EventListener have one with ref.name tekgate, and does its log say that it cannot reach it?",
				eventID, sendTimeout)
		case <-time.After(settled / 4):
		}
	}
	if err := printDeliveries(streams.Out, list, true); err != nil {
		return err
	}
	for i := range list {
		if !list[i].Continue {
			return errRefused
		}
	}
	return nil
}

// ask sends a delivery to the interceptor, as an EventListener does.
func (to *sending) ask(ctx context.Context, streams cli.Streams, h *hook, s *signed) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	if len(secretRefs(s.params)) == 0 && h.secretRef != "" {
		name, key, _ := strings.Cut(h.secretRef, "/")
		s.params["secretRef"] = map[string]any{"secretName": name, "secretKey": key}
	}
	kind, name := "triggers", h.trigger
	if group, found := strings.CutPrefix(h.trigger, "group/"); found {
		kind, name = "triggerGroups", group
	}
	question, err := json.Marshal(&v1beta1.InterceptorRequest{
		Body: string(s.body), Header: s.header, InterceptorParams: s.params,
		Context: &v1beta1.TriggerContext{
			EventURL: "/?" + s.query, EventID: fmt.Sprintf("tekgate-hook-send-%d", time.Now().UnixNano()),
			TriggerID: "namespaces/" + h.namespace + "/" + kind + "/" + name,
		},
	})
	if err != nil {
		return err
	}
	c, address, err := to.reach(ctx)
	if err != nil {
		return err
	}
	answer, err := askInterceptor(ctx, c, address, question)
	if err != nil {
		return err
	}
	if err := display.JSON(streams.Out, answer); err != nil {
		return err
	}
	if !answer.Continue {
		return fmt.Errorf("%w: %s", errRefused, answer.Status.Message)
	}
	return nil
}

// reach returns a client that trusts the interceptor's CA and no other, and the
// address to post to. For a Service the name is kept, for the certificate, and the
// way goes through the API server.
func (to *sending) reach(ctx context.Context) (*http.Client, string, error) {
	k := &to.replicas.kube
	c, err := k.Client()
	if err != nil {
		return nil, "", err
	}
	published := &unstructured.Unstructured{}
	published.SetAPIVersion("triggers.tekton.dev/v1alpha1")
	published.SetKind("ClusterInterceptor")
	if err := c.Get(ctx, client.ObjectKey{Name: "tekgate"}, published); err != nil {
		return nil, "", fmt.Errorf("reading ClusterInterceptor tekgate: %w", err)
	}
	encoded, _, _ := unstructured.NestedString(published.Object, "spec", "clientConfig", "caBundle")
	bundle, err := base64.StdEncoding.DecodeString(encoded)
	roots := x509.NewCertPool()
	if err != nil || !roots.AppendCertsFromPEM(bundle) {
		return nil, "",
			errors.New("reading ClusterInterceptor tekgate: its caBundle holds no certificate: see `tekgate check`")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	cl := &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	if outside, _, _ := unstructured.NestedString(published.Object, "spec", "clientConfig", "url"); outside != "" {
		return cl, outside, nil
	}
	const port = 8443
	open, err := replicas.Forward(ctx, k, to.replicas.namespace, port, func(error) {})
	if err != nil {
		return nil, "", err
	}
	var dialer net.Dialer
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, open[0].Address)
	}
	service, _, _ := unstructured.NestedString(published.Object, "spec", "clientConfig", "service", "name")
	namespace, _, _ := unstructured.NestedString(published.Object, "spec", "clientConfig", "service", "namespace")
	return cl, "https://" + service + "." + namespace + ".svc" + interceptor.Path, nil
}

func askInterceptor(
	ctx context.Context, c *http.Client, address string, question []byte,
) (*v1beta1.InterceptorResponse, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(question))
	if err != nil {
		return nil, fmt.Errorf("asking the interceptor: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.Do(request)
	if err != nil {
		return nil, fmt.Errorf("asking the interceptor: %w", err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("asking the interceptor: %w", err)
	}
	answer := &v1beta1.InterceptorResponse{}
	if response.StatusCode != http.StatusOK || json.Unmarshal(text, answer) != nil {
		return nil, fmt.Errorf("asking the interceptor at %s: it answers %s", address, response.Status)
	}
	return answer, nil
}
