package provider

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/interceptor/refusal"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/suggest"
)

// generic checks whatever signs a body or sends a token, as the params describe it:
// there are more such senders than this package will ever name.
var generic = Provider{
	Provider: described("generic"),
	methods: map[string]method{
		"hmac":  {Read: readGenericHMAC, Sign: signGenericHMAC},
		"token": {Read: readGenericToken, Sign: signGenericToken},
		"basic": {Read: readGenericBasic, Sign: signGenericBasic, key: basicPassword},
	},
	Normalise: asSent,
	Announce:  announceGeneric,
}

// Scheme are the params of the provider generic.
type Scheme struct {
	Header          string `json:"header,omitempty"`
	Query           string `json:"query,omitempty"`
	Algorithm       string `json:"algorithm,omitempty"`
	Encoding        string `json:"encoding,omitempty"`
	Prefix          string `json:"prefix,omitempty"`
	Template        string `json:"template,omitempty"`
	TimestampHeader string `json:"timestampHeader,omitempty"`
	EventHeader     string `json:"eventHeader,omitempty"`
	DeliveryHeader  string `json:"deliveryHeader,omitempty"`
	Payload         string `json:"payload,omitempty"`

	algorithm Algorithm
	parts     []part
}

// part is a piece of what is signed. The zero value of kind is text as it stands.
type part struct {
	kind, text string
}

const (
	partBody      = "body"
	partTimestamp = "timestamp"
	partSecret    = "secret"
	partHeader    = "header"
)

// given are the names of the scheme's params that have a value.
func (s *Scheme) given() (names []string) {
	for _, p := range []struct{ name, value string }{
		{"header", s.Header}, {"query", s.Query}, {"algorithm", s.Algorithm}, {"encoding", s.Encoding},
		{"prefix", s.Prefix}, {"template", s.Template},
		{"timestampHeader", s.TimestampHeader}, {"eventHeader", s.EventHeader}, {"deliveryHeader", s.DeliveryHeader},
		{"payload", s.Payload},
	} {
		if p.value != "" {
			names = append(names, p.name)
		}
	}
	return names
}

// schemeParams are the params that each mode of the provider generic takes.
var schemeParams = map[string][]string{
	"hmac": {"header", "algorithm", "encoding", "prefix", "template", "timestampHeader", "eventHeader",
		"deliveryHeader", "payload"},
	"token": {"header", "query", "prefix", "eventHeader", "deliveryHeader", "payload"},
	"basic": {"header", "eventHeader", "deliveryHeader", "payload"},
}

// CheckScheme checks and prepares the params of the provider generic.
func (p *Sender) CheckScheme() error {
	allowed := schemeParams[p.Mode.Name]
	if p.From.Name != "generic" {
		allowed = nil
	}
	for _, name := range p.given() {
		if !slices.Contains(allowed, name) {
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"param %s means nothing to provider %s in mode %s: remove it", name, p.From.Name, p.Mode.Name)
		}
	}
	if p.From.Name != "generic" {
		return nil
	}
	if p.Mode.Name == "basic" && p.Header == "" {
		p.Header = "Authorization"
	}
	for _, check := range []func() error{p.checkHeaders, p.checkAlgorithm, p.checkTemplate, p.checkPayload} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var headerName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`)

func (s *Scheme) checkHeaders() error {
	if (s.Header == "") == (s.Query == "") {
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"param header is missing: name the header that the sender puts the signature or token into (or query, and not both)")
	}
	for _, h := range []struct{ param, name string }{
		{"header", s.Header}, {"query", s.Query}, {"timestampHeader", s.TimestampHeader},
		{"eventHeader", s.EventHeader}, {"deliveryHeader", s.DeliveryHeader},
	} {
		if h.name != "" && !headerName.MatchString(h.name) {
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"param %s is %s, which is no header's name: letters, digits and dashes", h.param, refusal.Quote(h.name))
		}
	}
	return nil
}

func (s *Scheme) checkAlgorithm() error {
	names := make([]string, 0, len(Algorithms))
	for _, a := range Algorithms {
		names = append(names, a.Name)
		if a.Name == s.Algorithm || s.Algorithm == "" && a.Name == sha256Hash.Name {
			s.algorithm = a
		}
	}
	if s.algorithm.new == nil {
		return refusal.New(refusal.Params, codes.InvalidArgument, "param algorithm is %s: set it to one of %s",
			refusal.Quote(s.Algorithm), strings.Join(names, ", "))
	}
	if s.Encoding != "" && s.Encoding != "hex" && s.Encoding != "base64" {
		return refusal.New(refusal.Params, codes.InvalidArgument, "param encoding is %s: set it to hex or base64",
			refusal.Quote(s.Encoding))
	}
	return nil
}

var placeholder = lazyregexp.New(`\{[^{}]*\}`)

// checkTemplate makes parts of the template.
func (s *Scheme) checkTemplate() error {
	const longest = 256
	template := s.Template
	if template == "" {
		template = "{body}"
	}
	if len(template) > longest {
		return refusal.New(refusal.Params, codes.InvalidArgument, "param template is longer than %d bytes", longest)
	}
	at, kinds := 0, map[string]bool{}
	for _, found := range placeholder.FindAllStringIndex(template, -1) {
		if found[0] > at {
			s.parts = append(s.parts, part{text: template[at:found[0]]})
		}
		at = found[1]
		kind, name, _ := strings.Cut(strings.Trim(template[found[0]:found[1]], "{}"), ":")
		kinds[kind] = true
		if !slices.Contains([]string{partBody, partTimestamp, partSecret, partHeader}, kind) ||
			(kind == partHeader) != (name != "") || name != "" && !headerName.MatchString(name) {
			return refusal.New(refusal.Params, codes.InvalidArgument,
				"param template holds %s: known are {body}, {timestamp}, {secret} and {header:NAME}",
				refusal.Quote(template[found[0]:found[1]]))
		}
		s.parts = append(s.parts, part{kind, name})
	}
	if at < len(template) {
		s.parts = append(s.parts, part{text: template[at:]})
	}
	if kinds[partTimestamp] != (s.TimestampHeader != "") {
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"params template and timestampHeader go together: a time that is not signed says nothing, and {timestamp} needs a header")
	}
	if !kinds[partBody] && !kinds[partTimestamp] && !kinds[partHeader] {
		return refusal.New(refusal.Params, codes.InvalidArgument,
			"param template holds nothing of the delivery, so that all of them have one signature: put {body} into it")
	}
	return nil
}

// checkPayload borrows another provider's table.
func (p *Sender) checkPayload() error {
	if p.Payload == "" {
		return nil
	}
	var names []string
	for _, other := range All {
		if other.Payload == nil {
			continue
		}
		names = append(names, other.Name)
		if other.Name == p.Payload {
			p.From.Payload, p.From.Normalise = other.Payload, other.Normalise
			return nil
		}
	}
	otherwise := "set it to one of " + strings.Join(names, ", ") + ", or remove it"
	return refusal.New(refusal.Params, codes.InvalidArgument, "param payload is %s: %s",
		refusal.Quote(p.Payload), suggest.DidYouMean(p.Payload, names, otherwise))
}

func announceGeneric(d Delivery, p *Sender) (said Claim, err error) {
	if p.EventHeader != "" {
		if said.Event, err = d.event(p.From.Normalise, p.EventHeader); err != nil {
			return Claim{}, err
		}
	}
	if p.DeliveryHeader != "" {
		said.DeliveryID, err = d.deliveryID(p.DeliveryHeader)
	}
	return said, err
}

func genericUnsigned(p *Sender) error {
	where := "header " + p.Header
	if p.Query != "" {
		where = "the URL's parameter " + p.Query
	}
	return refusal.New(refusal.Unsigned, codes.Unauthenticated,
		"%s is missing or empty: set a secret where the sender has its webhook's settings, and the same value in the Secret",
		where)
}

func readGenericHMAC(said *Claim, d Delivery, p *Sender) error {
	value, err := d.Value(p.Header)
	if err != nil {
		return err
	}
	if value == "" {
		return genericUnsigned(p)
	}
	digest, err := p.digest(value)
	if err != nil {
		return err
	}
	timestamp := ""
	if p.TimestampHeader != "" {
		if timestamp, err = d.Value(p.TimestampHeader); err != nil {
			return err
		}
		if said.SignedAt, err = genericTime(p.TimestampHeader, timestamp); err != nil {
			return err
		}
	}
	pieces, err := p.pieces(d, timestamp)
	said.Digests, said.Covers = [][]byte{digest}, p.covers()
	said.MAC = func(secret, body []byte) ([]byte, error) { return p.mac(pieces, secret, body), nil }
	return err
}

// covers returns what the template signs.
func (s *Scheme) covers() Strength {
	switch {
	case slices.Contains(s.parts, part{kind: partBody}):
		return StrengthBody
	case s.TimestampHeader != "":
		return StrengthTime
	}
	return StrengthToken
}

// digest decodes the signature.
func (s *Scheme) digest(value string) (digest []byte, err error) {
	encoded, found := strings.CutPrefix(value, s.Prefix)
	if !found {
		return nil, refusal.New(refusal.Header, codes.InvalidArgument, "header %s does not begin with param prefix, %s",
			s.Header, refusal.Quote(s.Prefix))
	}
	encoding := "hexadecimal"
	if s.Encoding == "base64" {
		encoding = "base64"
		digest, err = base64.StdEncoding.Strict().DecodeString(encoded)
	} else {
		digest, err = hex.DecodeString(encoded)
	}
	if err != nil || len(digest) != s.algorithm.Size {
		return nil, refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s is not the %s of %d bytes: compare params encoding, algorithm and prefix with what the sender documents",
			s.Header, encoding, s.algorithm.Size)
	}
	return digest, nil
}

var unixTime = lazyregexp.New(`^[1-9][0-9]{9}([0-9]{3})?$`)

// genericTime parses seconds or milliseconds.
func genericTime(header, timestamp string) (int64, error) {
	if !unixTime.MatchString(timestamp) {
		return 0, refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s is %s: expected are seconds or milliseconds since 1970, in 10 or 13 digits", header,
			refusal.Quote(timestamp))
	}
	n, err := strconv.ParseInt(timestamp, 10, 64)
	if len(timestamp) == len("1754049600") {
		n *= 1000
	}
	return n, err
}

// pieces are the template's parts with the delivery's values in them.
func (s *Scheme) pieces(d Delivery, timestamp string) ([]part, error) {
	pieces := slices.Clone(s.parts)
	for i, piece := range pieces {
		switch piece.kind {
		case partTimestamp:
			pieces[i] = part{text: timestamp}
		case partHeader:
			value, err := d.Value(piece.text)
			if err != nil {
				return nil, err
			}
			pieces[i] = part{text: value}
		}
	}
	return pieces, nil
}

func (s *Scheme) mac(pieces []part, secret, body []byte) []byte {
	message := make([][]byte, 0, len(pieces))
	for _, piece := range pieces {
		switch piece.kind {
		case partBody:
			message = append(message, body)
		case partSecret:
			message = append(message, secret)
		default:
			message = append(message, []byte(piece.text))
		}
	}
	return s.algorithm.Sum(secret, message...)
}

func readGenericToken(said *Claim, d Delivery, p *Sender) error {
	sent, err := p.sentToken(d)
	if err != nil {
		return err
	}
	if sent == "" {
		return genericUnsigned(p)
	}
	bare, found := strings.CutPrefix(sent, p.Prefix)
	if !found {
		return refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s does not begin with param prefix, %s", p.Header, refusal.Quote(p.Prefix))
	}
	said.Digests, said.MAC, said.Covers = [][]byte{token(bare)}, secretItself, StrengthToken
	return nil
}

func (p *Sender) sentToken(d Delivery) (string, error) {
	if p.Query == "" {
		return d.Value(p.Header)
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return "", refusal.New(refusal.Header, codes.InvalidArgument,
			"the URL that the EventListener was called with cannot be parsed")
	}
	values := u.Query()[p.Query]
	if len(values) > 1 {
		return "", refusal.New(refusal.Header, codes.InvalidArgument,
			"the URL has parameter %s more than once: give the hook's URL one", p.Query)
	}
	return strings.Join(values, ""), nil
}

func readGenericBasic(said *Claim, d Delivery, p *Sender) error {
	value, err := d.Value(p.Header)
	if err != nil {
		return err
	}
	if value == "" {
		return genericUnsigned(p)
	}
	kind, encoded, _ := strings.Cut(value, " ")
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if !strings.EqualFold(kind, "basic") || err != nil || !strings.Contains(string(pair), ":") {
		return refusal.New(refusal.Header, codes.InvalidArgument,
			"header %s is no basic authentication: let the sender send a user and a password", p.Header)
	}
	said.Digests, said.MAC, said.Covers = [][]byte{token(string(pair))}, secretItself, StrengthToken
	return nil
}

// basicPassword returns what follows the user's name, which is no secret.
func basicPassword(secret []byte) ([]byte, error) {
	if _, password, found := bytes.Cut(secret, []byte(":")); found {
		return password, nil
	}
	return secret, nil
}

func signGenericHMAC(s *Signed, p *Sender, secret []byte, o Outgoing) error {
	p.headGeneric(s, o)
	timestamp := strconv.FormatInt(o.Time.Unix(), 10)
	if p.TimestampHeader != "" {
		s.Header.Set(p.TimestampHeader, timestamp)
	}
	var fields Headers
	for name, values := range s.Header {
		fields = append(fields, HeaderField{[]byte(name), []byte(values[0])})
	}
	pieces, err := p.pieces(Delivery{Headers: fields}, timestamp)
	if err != nil {
		return err
	}
	digest := p.mac(pieces, secret, o.Body)
	encoded := hex.EncodeToString(digest)
	if p.Encoding == "base64" {
		encoded = base64.StdEncoding.EncodeToString(digest)
	}
	s.Header.Set(p.Header, p.Prefix+encoded)
	return nil
}

func signGenericToken(s *Signed, p *Sender, secret []byte, o Outgoing) error {
	p.headGeneric(s, o)
	if p.Query != "" {
		s.Query.Set(p.Query, string(secret))
	} else {
		s.Header.Set(p.Header, p.Prefix+string(secret))
	}
	return nil
}

func signGenericBasic(s *Signed, p *Sender, secret []byte, o Outgoing) error {
	p.headGeneric(s, o)
	request := http.Request{Header: http.Header{}}
	user, password, _ := strings.Cut(string(secret), ":")
	request.SetBasicAuth(user, password)
	s.Header.Set(p.Header, request.Header.Get("Authorization"))
	return nil
}

func (p *Sender) headGeneric(s *Signed, o Outgoing) {
	if p.EventHeader != "" {
		s.set(p.EventHeader, o.Event)
	}
	if p.DeliveryHeader != "" {
		s.set(p.DeliveryHeader, o.ID)
	}
}
