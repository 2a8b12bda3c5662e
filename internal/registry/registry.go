// Package registry asks registries about images, and moves images between
// them.
//
// Which reference an image has is decided by internal/image, without a network;
// everything that needs one is here: whether a mirror has what the rules say
// (Probe), filling it (Copy, Save, Load), and proving that what it holds under
// a digest of its own is the same image (Relock).
//
// A registry behind a slow or filtered line resets connections, answers 429 and
// is asked again after an hour by somebody with another account. Hence every
// request that can be repeated is, as long as the registry asks one to wait;
// every transfer asks first what is there already, so that running it again is
// how one resumes; and an error is a sentence that says which image, what
// happened and what to do, since its reader may not have the registry's log.
//
// Nothing is sent in clear text, credentials least of all, but to this machine
// and to the hosts that Options.PlainHTTP names.
//
// oras-go authenticates, uploads and mounts: it needs two requests for a blob, where
// go-containerregistry's pusher needs four and asks /v2/ before each call. Manifests are
// requested here, because a check has to tell HEAD from GET and a manifest from a web page, and
// oras-go refuses answers without a length or with an unusual media type, which nodes accept.
// Keychains and parts of references are go-containerregistry's, which reads what Docker writes.
//
// An image is there if all that it names is served. Its index alone proves nothing: garbage
// collection, partial copies and pull-through caches leave indexes without their members. That
// costs requests (some twenty for an image of four platforms), all at the same time.
package registry

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"oras.land/oras-go/v2/registry/remote/auth"
)

// Options say how registries are spoken to. The zero value is right for
// registries with certificates that the system trusts.
type Options struct {
	// Keychain finds credentials; nil means those of the Docker configuration
	// ($DOCKER_CONFIG, ~/.docker/config.json, or Podman's auth.json).
	Keychain authn.Keychain
	// CAFile names a PEM file of authorities that are trusted besides the
	// system's. Empty means none.
	CAFile string
	// PlainHTTP lists hosts, with their ports, that are spoken to without TLS.
	// Hosts of this machine are too if they do not speak TLS.
	PlainHTTP []string
	// Jobs is how many images are worked on at a time, 8 if zero. Twice as many of their layers are
	// moved at a time: a distant registry sends one of them no faster than its latency allows.
	Jobs int
	// Attempts is how often a request is made before it is given up, 5 if zero.
	Attempts int
	// Backoff is the wait before the second attempt, which doubles from there,
	// half a second if zero. A registry's Retry-After is obeyed up to MaxWait,
	// one minute if zero.
	Backoff, MaxWait time.Duration
	// Stall is how long a connection may carry nothing before it is given up, two
	// minutes if zero: a filtered line drops packets and tells nobody.
	Stall time.Duration
}

func (o Options) withDefaults() Options {
	if o.Keychain == nil {
		o.Keychain = authn.DefaultKeychain
	}
	if o.Jobs <= 0 {
		o.Jobs = 8
	}
	if o.Attempts <= 0 {
		o.Attempts = 5
	}
	if o.Backoff <= 0 {
		o.Backoff = 500 * time.Millisecond
	}
	if o.MaxWait <= 0 {
		o.MaxWait = time.Minute
	}
	if o.Stall <= 0 {
		o.Stall = 2 * time.Minute
	}
	return o
}

const movesPerJob = 2

// client is what Options come to.
type client struct {
	Options
	transport http.RoundTripper // repeats what failed for the moment
	once      http.RoundTripper // does not
	moves     chan struct{}     // holds an element for each blob that is on its way

	mu           sync.Mutex
	repositories map[string]*repository
	accounts     map[account]*auth.Client
	plainHosts   map[string]bool
}

func newClient(options Options) (*client, error) {
	o := options.withDefaults()
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		pool, err := trust(o.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = pool
	}
	base := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 15 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:     config,
		TLSHandshakeTimeout: 15 * time.Second,
		ForceAttemptHTTP2:   true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     90 * time.Second,
	}
	return &client{
		Options: o, transport: newPatient(base, o), once: base,
		moves:        make(chan struct{}, movesPerJob*o.Jobs),
		repositories: map[string]*repository{}, accounts: map[account]*auth.Client{}, plainHosts: map[string]bool{},
	}, nil
}

// trust returns the system's authorities and those of a PEM file.
func trust(file string) (*x509.CertPool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, badCA(fmt.Errorf("reading the CA file: %w", err))
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(text) {
		return nil, badCA(fmt.Errorf("reading the CA file %s: it holds no certificate in PEM form", file))
	}
	return pool, nil
}

func badCA(err error) error {
	return remediedError{err, "name a file of certificates in PEM form with --ca-file"}
}

// plain reports whether a host may be spoken to without TLS.
func (o Options) plain(host string) bool {
	return isLoopback(host) || slices.Contains(o.PlainHTTP, host)
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
