package interceptor

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/provider"
	"github.com/tekgate/tekgate/interceptor/refusal"
)

// Capture is a delivery as somebody caught it: at the forge, in a log, or with a
// server of his own.
type Capture struct {
	Header map[string][]string `json:"header"`
	Body   string              `json:"body"`
	URL    string              `json:"url,omitempty"` // path and query
}

// Explanation says why a delivery passes or does not.
type Explanation struct {
	Continue bool   `json:"continue"`
	Reason   string `json:"reason"`            // a word such as verified; see package refusal
	Message  string `json:"message,omitempty"` // what the interceptor answers; "" for a pass
	// Hints are what would make it pass, the likeliest first: each is a sentence
	// that was tried and found true of this delivery. For a pass they are what is
	// odd about it all the same.
	Hints []string `json:"hints,omitempty"`
}

// Explain judges a delivery as the server would at the time now, with candidates
// for the values of the Secrets, and looks for the mistake where it is refused.
// The params are a Trigger's; secretRef may be left out, and what it names is not
// read. Nothing is sent, and no hint holds a secret.
func Explain(config Config, params json.RawMessage, candidates [][]byte, sent Capture, now time.Time) Explanation {
	p, err := parseParams(withSecretRef(params))
	if err != nil {
		return explained(err)
	}
	p.Replay = replayOff // whether it came before is for the cluster to say
	given := make(givenSecrets, len(candidates))
	p.SecretRefs = nil
	for i, value := range candidates {
		name := givenPrefix + strconv.Itoa(i+1)
		given[name] = &Secret{Data: map[string][]byte{givenKey: value}}
		p.SecretRefs = append(p.SecretRefs, SecretKey{name, givenKey})
	}
	if len(candidates) == 0 && !p.AllowInsecure {
		return explained(refusal.New(refusal.Secret, codes.FailedPrecondition,
			"no secret was given: pass the one that the hook has"))
	}
	config.SecretLabel, config.Callers = "", CallersTrust
	h := New(config, Options{Secrets: given, Log: logr.Discard(), Now: func() time.Time { return now }})
	s := search{h: h, p: p, candidates: candidates, sent: sent.delivery(), body: []byte(string([]rune(sent.Body)))}
	rec, err := s.judge(p, s.body)
	why := explained(err)
	if err == nil {
		why.Reason = reasonVerified
		if !rec.Verified {
			why.Reason = reasonInsecure
		}
	}
	why.Hints = s.hints(rec, why.Reason)
	return why
}

func explained(err error) Explanation {
	if err == nil {
		return Explanation{Continue: true}
	}
	r := refusal.Of(err)
	return Explanation{Reason: r.Reason, Message: inWords.Replace(r.Message)}
}

// The names that stand for the secrets given, which nobody has chosen.
const (
	givenNamespace = "given"
	givenPrefix    = "given-"
	givenKey       = "value"
)

// inWords leaves the names of the secrets given out of the server's sentences.
var inWords = givenNames()

func givenNames() *strings.Replacer {
	in := fmt.Sprintf(" in namespace %q", givenNamespace)
	pairs := []string{"Secrets" + in + " that param secretRefs names", "secrets given"}
	for i := range maxSecretRefs {
		name := fmt.Sprintf("the Secret %q with key %q%s", givenPrefix+strconv.Itoa(i+1), givenKey, in)
		pairs = append(pairs, name, "the secret given")
	}
	return strings.NewReplacer(pairs...)
}

// givenSecrets are the candidates, by the names that stand for them.
type givenSecrets map[string]*Secret

func (g givenSecrets) Get(_ context.Context, _, name string) (*Secret, error) { return g[name], nil }

func (c Capture) delivery() provider.Delivery {
	var fields provider.Headers
	for name, values := range c.Header {
		for _, v := range values {
			fields = append(fields, provider.HeaderField{Name: []byte(name), Value: []byte(v)})
		}
	}
	return provider.Delivery{Headers: fields, URL: c.URL}
}

// search looks for what would make a delivery pass.
type search struct {
	h          *Handler
	p          *params
	candidates [][]byte
	sent       provider.Delivery
	body       []byte

	keyForms, bodyForms []variant // made once
}

func (s *search) judge(p *params, body []byte) (*Record, error) {
	rec := &Record{}
	c := &call{h: s.h, p: p, namespace: givenNamespace, sent: s.sent, body: body, rec: rec,
		extract: &provider.Extract{}}
	_, err := c.judge(context.Background())
	return rec, err
}

// hints are sentences about what was found, without repetition.
func (s *search) hints(rec *Record, reason string) []string {
	var hints []string
	switch reason {
	case reasonVerified, refusal.Ping, refusal.Filtered, refusal.Deleted:
		hints = append(hints, s.sentByGitea()...)
		if rec.Newline {
			hints = append(hints,
				"the Secret's value ends with a newline, which is not part of what the forge signs with: it is taken off, but make the Secret without")
		}
	case refusal.Stale, refusal.Future:
		hints = append(hints, clock(rec.Skew))
	case refusal.Unsigned, refusal.Header, refusal.Signature, refusal.Secret, refusal.Form:
		if hints = s.nearly(); len(hints) == 0 {
			hints = s.forged()
		}
		if len(hints) == 0 {
			hints = append(s.othersHeaders(), s.nothing(reason)...)
		}
	}
	return unique(hints)
}

// unique leaves out what was said before.
func unique(hints []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(hints, func(h string) bool {
		was := seen[h]
		seen[h] = true
		return was
	})
}

// sentByGitea finds deliveries that are right for GitHub's provider and come from Gitea, which
// signs in GitHub's way, too, and has other payloads.
func (s *search) sentByGitea() []string {
	if s.p.sender.From.Name != "github" {
		return nil
	}
	for _, name := range []string{"Forgejo", "Gitea"} {
		if event, err := s.sent.Value("X-" + name + "-Event"); err == nil && event != "" {
			return []string{name + " sent the delivery, which signs in GitHub's way, too, and lists fewer commits: set param provider to gitea"}
		}
	}
	return nil
}

// nothing is the last word on a signature that no mistake explains.
func (s *search) nothing(reason string) []string {
	if reason != refusal.Signature {
		return nil
	}
	if hint := s.relayed(); hint != "" {
		return []string{hint}
	}
	return []string{"neither another spelling of the secret or body nor another provider, algorithm or encoding explains the signature: " +
		"the hook most likely has another secret; type the same one into both places"}
}

// clock says what a difference of clocks looks like.
func clock(skew time.Duration) string {
	direction := "behind"
	if skew < 0 {
		direction, skew = "ahead of", -skew
	}
	hours := skew.Round(time.Hour)
	switch {
	case skew > 14*time.Hour:
		return fmt.Sprintf(
			"the signed time is %s %s this clock: no time zone explains that, so the delivery is an old one, or a clock was never set; send it again",
			round(skew), direction)
	case hours > 0 && (skew-hours).Abs() < 5*time.Minute:
		return fmt.Sprintf(
			"the signed time is %d h %s this clock, nearly to the minute: the clock is %d h off, as one that was set to local time for UTC is; or the delivery waited",
			int(hours.Hours()), direction, int(hours.Hours()))
	}
	return fmt.Sprintf(
		"the signed time is %s %s this clock: the clock is off, or the delivery waited; compare `date -u` on the node with another one",
		round(skew), direction)
}

func round(d time.Duration) time.Duration {
	if d < time.Minute {
		return d
	}
	return d.Round(time.Second)
}

// nearly tries the senders that are known, with variants of the secret and of the
// body.
func (s *search) nearly() []string {
	var hints []string
	for _, from := range s.senders() {
		said, err := from.Read(s.sent)
		if err != nil {
			continue
		}
		own := from.From.Name == s.p.sender.From.Name && from.Mode.Name == s.p.sender.Mode.Name
		for _, key := range s.keys() {
			for _, body := range s.bodies(said.Covers == provider.StrengthBody) {
				mac, err := said.MAC(key.bytes, body.bytes)
				if err != nil || !slices.ContainsFunc(said.Digests,
					func(d []byte) bool { return string(d) == string(mac) }) {
					continue
				}
				if !own {
					hints = append(hints, s.otherSender(from))
				}
				hints = append(hints, notEmpty(key.hint, body.hint)...)
			}
		}
		if len(hints) > 0 {
			return hints
		}
	}
	return nil
}

// senders are the Trigger's own and then all others, each in each mode.
func (s *search) senders() []*provider.Sender {
	all := []*provider.Sender{&s.p.sender}
	for _, from := range s.providers() {
		for _, mode := range from.Modes {
			if from.Name != "generic" && (from.Name != s.p.sender.From.Name || mode.Name != s.p.sender.Mode.Name) {
				all = append(all,
					&provider.Sender{Scheme: &provider.Scheme{}, From: from, Mode: from.Implemented(mode)})
			}
		}
	}
	return all
}

// providers are all of them, those first whose own header names the event: Gitea and Forgejo
// send GitHub's headers beside theirs.
func (s *search) providers() []provider.Provider {
	own := map[string][]string{
		"gitea": {"X-Forgejo-Event", "X-Gitea-Event", "X-Gogs-Event"}, "gitcode": {"X-GitCode-Event"},
		"gitee": {"X-Gitee-Event"}, "gitlab": {"X-Gitlab-Event"}, "bitbucket": {"X-Event-Key"},
	}
	names := func(p provider.Provider) bool {
		return slices.ContainsFunc(own[p.Name], func(header string) bool {
			event, err := s.sent.Value(header)
			return err == nil && event != ""
		})
	}
	all := slices.Clone(provider.All)
	slices.SortStableFunc(all, func(a, b provider.Provider) int {
		switch first, second := names(a), names(b); {
		case first == second:
			return 0
		case first:
			return -1
		}
		return 1
	})
	return all
}

func (s *search) otherSender(from *provider.Sender) string {
	if from.From.Name == s.p.sender.From.Name {
		return fmt.Sprintf(
			"the delivery is right for mode %s, and param mode is %s: set it to %[1]s, or change the hook",
			from.Mode.Name, s.p.sender.Mode.Name)
	}
	mode := ""
	if len(from.From.Modes) > 1 {
		mode = " and mode to " + from.Mode.Name
	}
	return fmt.Sprintf("the delivery is right for provider %s, and param provider is %s: set it to %[1]s%[3]s",
		from.From.Name, s.p.sender.From.Name, mode)
}

func notEmpty(hints ...string) []string {
	return slices.DeleteFunc(hints, func(h string) bool { return h == "" })
}

// othersHeaders names headers that are another provider's, where the Trigger's own
// finds none.
func (s *search) othersHeaders() []string {
	_, err := s.p.sender.Read(s.sent)
	if err == nil || refusal.Of(err).Reason != refusal.Unsigned {
		return nil
	}
	for _, from := range s.senders()[1:] {
		if _, err := from.Read(s.sent); err == nil {
			return []string{fmt.Sprintf(
				"the delivery has the headers of provider %s in mode %s, and not those of %s in mode %s; none of the secrets given fits it, though",
				from.From.Name, from.Mode.Name, s.p.sender.From.Name, s.p.sender.Mode.Name)}
		}
	}
	return nil
}

// variant is another form of a secret or body, and what it means that it fits.
type variant struct {
	bytes []byte
	hint  string
}

// without drops variants that are no other than one before.
func without(all []variant) []variant {
	seen := map[string]bool{}
	return slices.DeleteFunc(all, func(v variant) bool {
		key := string(v.bytes)
		drop := seen[key] || len(v.bytes) == 0
		seen[key] = true
		return drop
	})
}

// keys are the candidates in the forms that people mistake for them.
func (s *search) keys() []variant {
	if s.keyForms != nil {
		return s.keyForms
	}
	var all []variant
	for _, value := range s.candidates {
		trimmed, _ := trimNewline(value)
		all = append(all, variant{trimmed, ""})
	}
	for _, value := range s.candidates {
		trimmed, _ := trimNewline(value)
		text := string(trimmed)
		bare := strings.TrimSpace(text)
		all = append(all,
			variant{[]byte(bare),
				"the Secret's value has blanks or newlines around it, which the hook's secret does not have: make it with printf, or with kubectl create secret --from-literal"},
			variant{[]byte(text + "\n"), "the hook's secret has a newline at its end: type it again at the forge"},
			variant{[]byte(strings.Trim(bare, `"'`)),
				"the Secret's value has quotes around it, which the hook's secret does not have: take them away"},
			variant{decoded(bare),
				"the Secret's value is the base64 of the hook's secret: it was encoded twice; put the text itself under stringData"},
			variant{[]byte(base64Std.EncodeToString(trimmed)),
				"the hook's secret is the base64 of the Secret's value, as kubectl get secret -o yaml shows it: decode it before typing it at the forge"},
			variant{decodedHex(bare), "the hook's key is the bytes that the Secret's value is the hexadecimal of"},
			variant{[]byte(strings.TrimPrefix(bare, "whsec_")),
				"the hook's secret lacks the whsec_ that the Secret's value begins with"},
			variant{unescaped(bare), "the Secret's value is URL-encoded, and the hook's secret is not"},
		)
	}
	s.keyForms = without(all)
	return s.keyForms
}

// bodies are the body in the forms that it has before something on the way changes
// it.
func (s *search) bodies(signed bool) []variant {
	asItIs := variant{s.body, ""}
	if !signed {
		return []variant{asItIs}
	}
	if s.bodyForms == nil {
		s.bodyForms = append([]variant{asItIs}, without(append([]variant{asItIs}, rewritten(s.body)...))...)
	}
	return s.bodyForms
}
