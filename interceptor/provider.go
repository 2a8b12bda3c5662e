package interceptor

import (
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/internal/strict"
)

// Provider is a sender of events and its way to sign them.
type Provider struct {
	Name string // what the param provider says
	Doc  string // one paragraph for the reference
	// Modes are the values of the param mode.
	Modes []string
	// ExplicitMode means that the param mode must be given. Otherwise it is the
	// first of Modes.
	ExplicitMode bool
	// SignsTime means that the signature covers a time, which maxAge is about.
	SignsTime bool

	// read returns what the headers claim, or a refusal where their shape is
	// wrong. No secret has been read by then: whatever it says, the caller knew.
	read func(h headers) (claim, error)
}

// Providers are all of them. A new one is a file provider_<name>.go and a row
// here; params, documentation and tests go by this list.
var Providers = []Provider{gitee, github}

// claim is what a delivery says about itself.
type claim struct {
	event    string // such as push, in the provider's words and one spelling
	ping     bool   // sent by the provider's test button, to start nothing
	digest   []byte // the MAC that came along, decoded
	signedAt int64  // Unix milliseconds; 0 where the provider signs no time

	// mac returns the MAC that the secret's holder would have sent.
	mac func(secret []byte, body string) []byte
	// mismatch names a cause of a wrong MAC that the body shows, or is "".
	mismatch func(body string) string
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
	if near := strict.Closest(name, names); near != "" {
		return Provider{}, refuse(reasonParams, codes.InvalidArgument, "param provider is %s: did you mean %q?", quote(name), near)
	}
	return Provider{}, refuse(reasonParams, codes.InvalidArgument,
		"param provider is %s: set it to one of %s", quote(name), strings.Join(names, ", "))
}

// checkMode refuses a mode that p lacks. Which one is meant is never guessed from
// the headers: the sender writes those.
func (p Provider) checkMode(mode string) error {
	if slices.Contains(p.Modes, mode) || mode == "" && !p.ExplicitMode {
		return nil
	}
	if mode == "" {
		return refuse(reasonParams, codes.InvalidArgument,
			"param mode is missing: set it to the way in which the hook at %s is secured, one of %s", p.Name, strings.Join(p.Modes, ", "))
	}
	return refuse(reasonParams, codes.InvalidArgument,
		"param mode is %s: for provider %s set it to one of %s", quote(mode), p.Name, strings.Join(p.Modes, ", "))
}
