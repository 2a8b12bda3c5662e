package interceptor

import (
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/internal/hooks"
	"github.com/tekgate/tekgate/internal/suggest"
)

// Provider is a sender of events and its ways to sign them.
type Provider struct {
	hooks.Provider

	methods   map[string]method         // by the name of the mode
	normalise func(event string) string // one spelling of an event's name
	// announce returns what the headers say beside the signature.
	announce func(d delivery, p *sender) (claim, error)
	payload  *payload // where its payload has what
}

// Mode is one way to sign.
type Mode struct {
	hooks.Mode
	method
}

type method struct {
	// read adds to a claim how the delivery is signed, or returns a refusal where
	// that is missing or of a wrong shape. No secret has been read by then: whatever
	// it says, the caller knew.
	read func(said *claim, d delivery, p *sender) error
	// sign adds what the forge would send.
	sign func(s *Signed, p *sender, secret []byte, o Outgoing) error
}

// described returns the description of the provider called name.
func described(name string) hooks.Provider {
	i := slices.IndexFunc(hooks.Providers, func(p hooks.Provider) bool { return p.Name == name })
	return hooks.Providers[i]
}

// implemented returns the provider's implementation of one of its modes.
func (p Provider) implemented(mode hooks.Mode) Mode { return Mode{mode, p.methods[mode.Name]} }

// Providers are all of them. A new one is a row in internal/hooks, a file
// provider_<name>.go and a row here; params, documentation, signing and tests use
// these lists.
var Providers = []Provider{gitee, github, gitlab, gitea, gitcode, bitbucket, generic}

// delivery is what the signature's reader may look at.
type delivery struct {
	headers
	url string // path and query, as the EventListener was called
}

// claim is what a delivery says about itself.
type claim struct {
	event      string // such as push, in the provider's words and one spelling
	deliveryID string
	ping       bool     // sent by the provider's test button, to start nothing
	digests    [][]byte // the MACs that came along, decoded: mostly one
	signedAt   int64    // Unix milliseconds; 0 where the provider signs no time

	// mac returns the MAC that the secret's holder would have sent, or an error
	// where the secret is none for this mode.
	mac func(secret, body []byte) ([]byte, error)
	// bodySigned means that the MAC is over the body, so that lost bytes show.
	bodySigned bool
}

// sender is who a Trigger says sends its events, and how: a provider, one of its modes
// and, for the provider generic, the params that describe the signature.
type sender struct {
	*scheme
	from Provider
	mode Mode
}

// signsTime reports whether the signature covers a time.
func (p *sender) signsTime() bool {
	return p.mode.SignsTime || p.TimestampHeader != ""
}

// read returns all that the headers claim.
func (p *sender) read(d delivery) (claim, error) {
	said, err := p.from.announce(d, p)
	if err == nil {
		err = p.mode.read(&said, d, p)
	}
	return said, err
}

// provider returns the provider called name.
func provider(name string) (Provider, error) {
	names := make([]string, 0, len(Providers))
	for _, p := range Providers {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	if name == "" {
		return Provider{}, refuse(reasonParams, codes.InvalidArgument,
			"param provider is missing: set it to the sender of the events, one of %s", strings.Join(names, ", "))
	}
	if cousin, found := cousins[strings.ToLower(name)]; found {
		return Provider{}, refuse(reasonParams, codes.InvalidArgument, "param provider is %s: set it to %s",
			quote(name), cousin)
	}
	return Provider{}, refuse(reasonParams, codes.InvalidArgument, "param provider is %s: %s",
		quote(name), suggest.DidYouMean(name, names, "set it to one of "+strings.Join(names, ", ")))
}

// cousins are senders that people name and that another provider stands for.
var cousins = map[string]string{
	"forgejo": "gitea, which Forgejo's hooks are signed like", "gogs": "gitea, which knows Gogs' header too",
	"codeberg": "gitea, which Forgejo's hooks are signed like", "jihulab": "gitlab", "atomgit": "gitcode",
	"codeup": viaGeneric, "coding": viaGeneric, "cnb": viaGeneric, "harbor": viaGeneric, "acr": viaGeneric,
	"azure": viaGeneric, "azuredevops": viaGeneric,
}

const viaGeneric = "generic; the reference has its other params"

// mode returns the mode called name. Which one is meant is never guessed from the
// headers: the sender writes those.
func (p Provider) mode(name string) (Mode, error) {
	names := make([]string, 0, len(p.Modes))
	for _, m := range p.Modes {
		if m.Name == name || name == "" && !p.ExplicitMode {
			return p.implemented(m), nil
		}
		names = append(names, m.Name)
	}
	if name == "" {
		return Mode{}, refuse(reasonParams, codes.InvalidArgument,
			"param mode is missing: set it to the way in which the hook at %s is secured, one of %s", p.Name,
			strings.Join(names, ", "))
	}
	return Mode{}, refuse(reasonParams, codes.InvalidArgument,
		"param mode is %s: for provider %s set it to one of %s", quote(name), p.Name, strings.Join(names, ", "))
}
