// Package provider has the senders of events: how each signs a delivery, and where its payloads have what.
package provider

import (
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/hooks"
	"github.com/tekgate/tekgate/internal/suggest"
)

// Provider is a sender of events and its ways to sign them.
type Provider struct {
	hooks.Provider

	methods   map[string]method         // by the name of the mode
	Normalise func(event string) string // one spelling of an event's name
	// Announce returns what the headers say beside the signature.
	Announce func(d Delivery, p *Sender) (Claim, error)
	Payload  *Payload // where its payload has what
}

// Mode is one way to sign.
type Mode struct {
	hooks.Mode
	method
}

type method struct {
	// Read adds to a claim how the delivery is signed, or returns a refusal where
	// that is missing or of a wrong shape. No secret has been read by then: whatever
	// it says, the caller knew.
	Read func(said *Claim, d Delivery, p *Sender) error
	// key returns what the sender signs with, if that is not the secret's own text.
	key func(secret []byte) ([]byte, error)
	// Sign adds what the forge would send.
	Sign func(s *Signed, p *Sender, secret []byte, o Outgoing) error
}

// KeyLength returns how many bytes of a secret's text nobody can know: those of the key that
// it stands for. A text that stands for none has its own length.
func (m Mode) KeyLength(secret []byte) int {
	if m.key == nil {
		return len(secret)
	}
	key, err := m.key(secret)
	if err != nil {
		return len(secret)
	}
	return len(key)
}

// described returns the description of the provider called name.
func described(name string) hooks.Provider {
	i := slices.IndexFunc(hooks.Providers, func(p hooks.Provider) bool { return p.Name == name })
	return hooks.Providers[i]
}

// Implemented returns the provider's implementation of one of its modes.
func (p Provider) Implemented(mode hooks.Mode) Mode { return Mode{mode, p.methods[mode.Name]} }

// All are the providers. A new one is a row in internal/hooks, a file <name>.go and a
// row here; params, documentation, signing and tests use these lists.
var All = []Provider{gitee, github, gitlab, gitea, gitcode, bitbucket, generic}

// Delivery is what the signature's reader may look at.
type Delivery struct {
	Headers
	URL string // path and query, as the EventListener was called
}

// Claim is what a delivery says about itself.
type Claim struct {
	Event      string // such as push, in the provider's words and one spelling
	DeliveryID string
	Ping       bool     // sent by the provider's test button, to start nothing
	Forge      string   // the product, where a provider stands for several; one of the Forge constants, or ""
	Digests    [][]byte // the MACs that came along, decoded: mostly one
	SignedAt   int64    // Unix milliseconds; 0 where the provider signs no time

	// MAC returns the MAC that the secret's holder would have sent, or an error
	// where the secret is none for this mode.
	MAC    func(secret, body []byte) ([]byte, error)
	Covers Strength // what the MAC is over
}

// The products that share a provider with others and differ from them, by their headers,
// which nobody signed: whoever sets them wrongly loses what only the right product is trusted
// with.
const (
	ForgeGitLab  = "gitlab"
	ForgeForgejo = "forgejo"
	ForgeGogs    = "gogs"
)

// Strength is what a signature covers, and so what nobody but the secret's holder could have
// chosen.
type Strength string

// The strengths. A signature that covers the body may cover a time too.
const (
	StrengthBody  Strength = "body"  // the body
	StrengthTime  Strength = "time"  // a time, and not the body
	StrengthToken Strength = "token" // nothing of the delivery
	StrengthNone  Strength = "none"  // there was no signature
)

// Sender is who a Trigger says sends its events, and how: a provider, one of its modes
// and, for the provider generic, the params that describe the signature.
type Sender struct {
	*Scheme
	From Provider
	Mode Mode
}

// SignsTime reports whether the signature covers a time.
func (p *Sender) SignsTime() bool {
	return p.Mode.SignsTime || p.TimestampHeader != ""
}

// Read returns all that the headers claim.
func (p *Sender) Read(d Delivery) (Claim, error) {
	said, err := p.From.Announce(d, p)
	if err == nil {
		err = p.Mode.Read(&said, d, p)
	}
	return said, err
}

// Named returns the provider called name.
func Named(name string) (Provider, error) {
	names := make([]string, 0, len(All))
	for _, p := range All {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if name == "" {
		return Provider{}, refusal.New(refusal.Params, codes.InvalidArgument,
			"param provider is missing: set it to the sender of the events, one of %s", strings.Join(names, ", "))
	}
	if cousin, found := cousins[strings.ToLower(name)]; found {
		return Provider{}, refusal.New(refusal.Params, codes.InvalidArgument, "param provider is %s: set it to %s",
			refusal.Quote(name), cousin)
	}
	return Provider{}, refusal.New(refusal.Params, codes.InvalidArgument, "param provider is %s: %s",
		refusal.Quote(name), suggest.DidYouMean(name, names, "set it to one of "+strings.Join(names, ", ")))
}

// cousins are senders that people name and that another provider stands for.
var cousins = map[string]string{
	"forgejo": "gitea, which Forgejo's hooks are signed like", "gogs": "gitea, which knows Gogs' header too",
	"codeberg": "gitea, which Forgejo's hooks are signed like", "jihulab": "gitlab", "atomgit": "gitcode",
	"gongfeng": "gitlab, whose headers Gongfeng sends", "tgit": "gitlab, whose headers Gongfeng sends",
	"codeup": viaGeneric, "coding": viaGeneric, "cnb": viaGeneric, "harbor": viaGeneric, "acr": viaGeneric,
	"azure": viaGeneric, "azuredevops": viaGeneric,
}

const viaGeneric = "generic; the reference has its other params"

// Mode returns the mode called name. Which one is meant is never guessed from the
// headers: the sender writes those.
func (p Provider) Mode(name string) (Mode, error) {
	names := make([]string, 0, len(p.Modes))
	for _, m := range p.Modes {
		if m.Name == name || name == "" && !p.ExplicitMode {
			return p.Implemented(m), nil
		}
		names = append(names, m.Name)
	}
	if name == "" {
		return Mode{}, refusal.New(refusal.Params, codes.InvalidArgument,
			"param mode is missing: set it to the way in which the hook at %s is secured, one of %s", p.Name,
			strings.Join(names, ", "))
	}
	return Mode{}, refusal.New(refusal.Params, codes.InvalidArgument,
		"param mode is %s: for provider %s set it to one of %s", refusal.Quote(name), p.Name, strings.Join(names, ", "))
}
