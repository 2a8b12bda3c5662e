package interceptor

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/codes"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/strict"
)

// params are what a Trigger gives the interceptor. A new one is a field here; it
// is decoded strictly, for a misspelt check is a check that nobody makes.
type params struct {
	Provider      string           `json:"provider"`
	Mode          string           `json:"mode,omitempty"`
	SecretRef     *SecretKey       `json:"secretRef,omitempty"`
	SecretRefs    []SecretKey      `json:"secretRefs,omitempty"`
	MaxAge        *metav1.Duration `json:"maxAge,omitempty"`
	Replay        string           `json:"replay,omitempty"`
	AllowInsecure bool             `json:"allowInsecure,omitempty"`

	TrustUnsignedBody bool `json:"trustUnsignedBody,omitempty"`
	TrustListedFiles  bool `json:"trustListedFiles,omitempty"`
	filters
	provider.Scheme

	sender provider.Sender // what the params above say of it
	digest ParamsDigest    // of the params as they came
}

// The values of the param replay.
const (
	replayOff     = "off"
	replayWarn    = "warn"
	replayEnforce = "enforce"
)

// maxParams is longer than anybody's params.
const maxParams = 64 << 10

// parseParams decodes and checks a Trigger's params.
func parseParams(raw json.RawMessage) (*params, error) {
	p := &params{}
	p.sender.Scheme = &p.Scheme
	if len(raw) > maxParams {
		return p, refusal.New(refusal.Params, codes.InvalidArgument,
			"the params take more than %d bytes: shorten the lists", maxParams)
	}
	if len(raw) == 0 || string(raw) == "null" {
		raw = json.RawMessage("{}")
	}
	if err := strict.UnmarshalJSON(raw, p); err != nil {
		return p, refusal.New(refusal.Params, codes.InvalidArgument, "reading the params: %s", oneLine(err))
	}
	var err error
	if p.digest, err = DigestParams(raw); err != nil { // after a strict decoder took it
		return p, refusal.New(refusal.Params, codes.InvalidArgument, "reading the params: %s", oneLine(err))
	}
	if p.sender.From, err = provider.Named(p.Provider); err != nil {
		return p, err
	}
	if p.sender.Mode, err = p.sender.From.Mode(p.Mode); err != nil {
		return p, err
	}
	for _, check := range []func() error{
		p.checkSecrets, p.checkReplay, p.checkMaxAge, p.checkGlobs, p.sender.CheckScheme,
	} {
		if err := check(); err != nil {
			return p, err
		}
	}
	p.EventTypes = p.normalised()
	return p, nil
}

// normalised spells the names of events as extensions do: people copy them from
// the forge's headers.
func (p *params) normalised() globs {
	if p.EventTypes == nil {
		return nil
	}
	names := make(globs, 0, len(p.EventTypes))
	for _, pattern := range p.EventTypes {
		bare, not := strings.CutPrefix(pattern, "!")
		var parts []string // the event, and perhaps the action
		for part := range strings.SplitSeq(bare, ":") {
			parts = append(parts, p.sender.From.Normalise(part))
		}
		name := strings.Join(parts, ":")
		if not {
			name = "!" + name
		}
		names = append(names, name)
	}
	return names
}

// maxSecretRefs is how many Secrets a Trigger may name.
const maxSecretRefs = 8

// checkSecrets makes one list of secretRef and secretRefs.
func (p *params) checkSecrets() error {
	const how = "give secretRef the secretName and the secretKey of a Secret in the Trigger's namespace"
	if p.SecretRef != nil {
		if len(p.SecretRefs) > 0 {
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"params secretRef and secretRefs are both given: put all of them into secretRefs")
		}
		p.SecretRefs = []SecretKey{*p.SecretRef}
	}
	if len(p.SecretRefs) == 0 && !p.AllowInsecure {
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"param secretRef is missing, and nothing passes unverified: %s", how)
	}
	if len(p.SecretRefs) > maxSecretRefs {
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"param secretRefs names %d Secrets: name %d at most, for all of them are tried", len(p.SecretRefs), maxSecretRefs)
	}
	for _, ref := range p.SecretRefs {
		switch {
		case ref == SecretKey{}:
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"param secretRef is empty, and nothing passes unverified: %s", how)
		case len(validation.IsDNS1123Subdomain(ref.Name)) > 0:
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"secretRef.secretName is %s, which is no Secret's name: %s", refusal.Quote(ref.Name), how)
		case len(validation.IsConfigMapKey(ref.Key)) > 0:
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"secretRef.secretKey is %s, which is no Secret's key: %s", refusal.Quote(ref.Key), how)
		}
	}
	return nil
}

func (p *params) checkReplay() error {
	all := []string{replayOff, replayWarn, replayEnforce}
	if p.Replay == "" {
		p.Replay = replayOff
	}
	if slices.Contains(all, p.Replay) {
		return nil
	}
	return refusal.New(refusal.Params, codes.InvalidArgument, "param replay is %s: set it to one of %s",
		refusal.Quote(p.Replay), strings.Join(all, ", "))
}

func (p *params) checkMaxAge() error {
	switch {
	case p.MaxAge == nil:
		return nil
	case !p.sender.SignsTime() && p.Replay == replayOff: // with replay it used to mean something
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"param maxAge cannot be checked for provider %s in mode %s, whose signature holds no time: remove it",
			p.sender.From.Name, p.sender.Mode.Name)
	case p.MaxAge.Milliseconds() <= 0:
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"param maxAge is %s: give a duration above zero, such as 1h", p.MaxAge.Duration)
	}
	return nil
}

func oneLine(err error) string {
	return strings.ReplaceAll(err.Error(), "\n", "; ")
}

// paramsCache remembers what raw params mean: a Trigger sends the same ones with
// each of its events. It holds nothing but what parseParams would say again.
type paramsCache struct {
	mu     sync.RWMutex
	parsed map[string]*params
}

func (c *paramsCache) parse(raw []byte) (*params, error) {
	const most, longest = 1024, 8 << 10
	c.mu.RLock()
	p, found := c.parsed[string(raw)]
	c.mu.RUnlock()
	if found {
		return p, nil
	}
	p, err := parseParams(raw)
	if err != nil || len(raw) > longest {
		return p, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.parsed) >= most || c.parsed == nil { // others than Triggers sent these
		c.parsed = make(map[string]*params)
	}
	c.parsed[string(raw)] = p
	return p, nil
}
