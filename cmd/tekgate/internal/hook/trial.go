package hook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/interceptor/deliveries"
	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
)

// The stages of a delivery, in order. A trial names the one that it reached or stopped at.
const (
	stageDNS         = "dns"         // the URL's name does not resolve
	stageConnect     = "connect"     // nothing answers there
	stageTLS         = "tls"         // the certificate is not trusted
	stageHTTP        = "http"        // no EventListener answers
	stageForge       = "forge"       // the forge did not send it, or could not reach the URL
	stageInterceptor = "interceptor" // the EventListener did not ask the interceptor
	stageTrigger     = "trigger"     // the interceptor does not accept the trigger's params or Secret
	stageSignature   = "signature"   // the signature is wrong
	stageFilter      = "filter"      // the trigger does not want the event
	stageVerified    = "verified"    // all is right; a test starts nothing
	stageStarted     = "started"     // all is right, and the event continued
	stageUnknown     = "unknown"     // nobody was asked
)

// trial is what became of a test delivery.
type trial struct {
	SentBy  string `json:"sentBy"` // the forge, or tekgate
	Stage   string `json:"stage"`
	Reason  string `json:"reason,omitempty"` // the interceptor's
	Message string `json:"message,omitempty"`
	EventID string `json:"eventID,omitempty"`
	Secret  string `json:"secret,omitempty"` // name/key that verified it
}

// arrived reports whether the hook works.
func (t *trial) arrived() bool {
	return slices.Contains([]string{stageVerified, stageStarted, stageFilter, stageUnknown}, t.Stage)
}

func (t *trial) String() string {
	if t.Stage == stageUnknown {
		return "no test delivery: " + t.Message
	}
	text := fmt.Sprintf("test delivery by %s: ", t.SentBy)
	switch t.Stage {
	case stageVerified:
		text += "arrived and verified"
	case stageStarted:
		text += "arrived and verified; it looked like a real event, so it continued to the trigger's template"
	case stageFilter:
		text += "arrived; the trigger does not want this event"
	default:
		text += "stopped at " + t.Stage
	}
	if t.Reason != "" {
		text += " (" + t.Reason + ")"
	}
	if t.Message != "" {
		text += ": " + t.Message
	}
	return text
}

// testDelivery is a delivery that starts nothing: a ping where the forge has one, or a push
// from no commit to no commit, which is a deletion at most.
func testDelivery(s *site, params map[string]any, secret []byte, events []string) (provider.Signed, []byte, error) {
	zeros := strings.Repeat("0", 40)
	path := s.repository.Path()
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/tekgate-hook-test", "before": zeros, "after": zeros,
		"repository": map[string]any{"full_name": path, "path_with_namespace": path},
		"project":    map[string]any{"path_with_namespace": path},
	})
	if err != nil {
		return provider.Signed{}, nil, err
	}
	event := "push"
	switch of, _ := params["provider"].(string); {
	case of == "github":
		event = "ping"
	case of == "bitbucket":
		event = "diagnostics:ping"
	case len(events) > 0 && !slices.Contains(events, "push"):
		event = events[0]
	}
	raw, err := rawParams(params)
	if err != nil {
		return provider.Signed{}, nil, err
	}
	now := time.Now()
	made, err := interceptor.Sign(raw, secret,
		provider.Outgoing{Event: event, Body: body, Time: now, ID: fmt.Sprintf("tekgate-%d", now.UnixNano())})
	if err != nil {
		return provider.Signed{}, nil, err
	}
	if made.Header.Get("X-Gitee-Ping") != "" {
		made.Header.Set("X-Gitee-Ping", "true")
	}
	return made, body, nil
}

// post sends a delivery to an EventListener, and returns the stage at which it stopped, or
// the event's id.
func post(ctx context.Context, address string, ca []byte, made provider.Signed, body []byte) (*trial, error) {
	t := &trial{SentBy: "tekgate"}
	to, err := url.Parse(address)
	if err != nil {
		return nil, checkURL("")
	}
	to.RawQuery = strings.Trim(to.RawQuery+"&"+made.Query.Encode(), "&")
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, checkURL("")
	}
	request.Header = made.Header
	c, err := poster(ca)
	if err != nil {
		return nil, err
	}
	response, err := c.Do(request)
	if err != nil {
		t.Stage, t.Message = failedStage(withoutQuery(err), to.Hostname())
		return t, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	var answer struct {
		EventID string `json:"eventID"`
	}
	if err != nil || response.StatusCode/100 != 2 || json.Unmarshal(text, &answer) != nil || answer.EventID == "" {
		t.Stage = stageHTTP
		t.Message = fmt.Sprintf("%s answers %s and names no event, so it is no EventListener: check the path of --url and the Ingress",
			plain(to.Host), plain(response.Status))
		return t, nil
	}
	t.EventID = plain(answer.EventID)
	return t, nil
}

// poster returns a client that follows no redirects, as forges do.
func poster(ca []byte) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(ca) > 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			roots = x509.NewCertPool()
		}
		if !roots.AppendCertsFromPEM(ca) {
			return nil, errors.New("reading --ca-file: it holds no certificate in PEM")
		}
		config.RootCAs = roots
	}
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config,
			DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// failedStage names the stage at which a connection failed, as seen from this machine.
func failedStage(err error, host string) (stage, message string) {
	host = plain(host)
	var dns *net.DNSError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns):
		return stageDNS, fmt.Sprintf("the name %s does not resolve here: create its DNS record, or correct --url", host)
	case errors.As(err, &verification):
		return stageTLS, fmt.Sprintf(
			"the certificate of %s is not trusted (%s): install a certificate that the forge trusts, or pass its authority with --ca-file",
			host, plain(verification.Err.Error()))
	case strings.Contains(err.Error(), "tls:"), strings.Contains(err.Error(), "server gave HTTP response"):
		return stageTLS, fmt.Sprintf("%s does not speak TLS as expected (%s): check the Ingress's TLS settings", host,
			plain(err.Error()))
	}
	return stageConnect, fmt.Sprintf("%s cannot be reached from here (%s): check the Ingress and the firewall", host,
		plain(err.Error()))
}

// judge makes a trial of a verdict of the interceptor's.
func (t *trial) judge(d *deliveries.Delivery) {
	t.Reason, t.EventID, t.Secret = d.Reason, plain(d.EventID), plain(d.Secret)
	t.Message = plain(d.Message)
	if d.Cause != "" {
		t.Message += " [cause: " + plain(d.Cause) + "]"
	}
	switch {
	case d.Continue:
		t.Stage, t.Message = stageStarted, ""
	case d.Reason == refusal.Filtered:
		t.Stage = stageFilter
	case d.Verified: // what the interceptor says about it is about a real event
		t.Stage, t.Message = stageVerified, ""
	case slices.Contains([]string{refusal.Signature, refusal.Unsigned, refusal.Form, refusal.Header, refusal.Stale,
		refusal.Future}, d.Reason):
		t.Stage = stageSignature
	default:
		t.Stage = stageTrigger
	}
}

// best returns the delivery that says most: a verified one rather than a refused one, since
// others may send to the same trigger meanwhile.
func best(list []deliveries.Delivery) *deliveries.Delivery {
	var found *deliveries.Delivery
	for i := range list {
		if d := &list[i]; found == nil || d.Verified && !found.Verified {
			found = d
		}
	}
	return found
}

// observer watches the interceptor's deliveries to one trigger.
type observer struct {
	source deliveries.Source
	of     *registration
	known  map[string]bool // deliveries from before
	// secret is the NAME/KEY that deliveries are about; those that another one verified are
	// left out. Empty is any.
	secret string
}

func eventFilter(id string) deliveries.Filter { return deliveries.Filter{EventID: id} }

func deliveryKey(d *deliveries.Delivery) string {
	return fmt.Sprint(d.Replica, d.Number, d.Time.UnixNano())
}

// mark forgets what has been delivered until now.
func (o *observer) mark(ctx context.Context) error {
	list, err := o.source(ctx, deliveries.Filter{Namespace: o.of.namespace})
	o.known = make(map[string]bool, len(list))
	for i := range list {
		o.known[deliveryKey(&list[i])] = true
	}
	return err
}

// await returns the first new delivery that filter wants, or nil after the time. It stays for
// a moment after one that was not verified.
func (o *observer) await(ctx context.Context, filter deliveries.Filter, limit time.Duration) (
	*deliveries.Delivery, error) {
	filter.Namespace = o.of.namespace
	end := time.Now().Add(limit)
	for {
		list, err := o.source(ctx, filter)
		if err != nil {
			return nil, err
		}
		list = slices.DeleteFunc(list, func(d deliveries.Delivery) bool {
			return o.known[deliveryKey(&d)] || !o.of.listens(d.Namespace, d.Trigger) ||
				o.secret != "" && d.Verified && d.Secret != o.secret
		})
		if d := best(list); d != nil {
			if d.Verified || time.Now().After(end) {
				return d, nil
			}
			if soon := time.Now().Add(settled); soon.Before(end) {
				end = soon
			}
		} else if time.Now().After(end) {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(settled / 4):
		}
	}
}
