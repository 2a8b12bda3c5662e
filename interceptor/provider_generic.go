package interceptor

import (
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/tekgate/tekgate/internal/suggest"
)

// generic checks whatever signs a body or sends a token, as the params describe it:
// there are more such senders than this package will ever name.
var generic = Provider{
	Provider: described("generic"),
	methods: map[string]method{
		"hmac":  {read: readGenericHMAC, sign: signGenericHMAC},
		"token": {read: readGenericToken, sign: signGenericToken},
		"basic": {read: readGenericBasic, sign: signGenericBasic},
	},
	normalise: asSent,
	announce:  announceGeneric,
}

// scheme are the params of the provider generic.
type scheme struct {
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

	algorithm algorithm
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
func (s *scheme) given() (names []string) {
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

// checkScheme checks and prepares the params of the provider generic.
func (p *sender) checkScheme() error {
	allowed := schemeParams[p.mode.Name]
	if p.from.Name != "generic" {
		allowed = nil
	}
	for _, name := range p.given() {
		if !slices.Contains(allowed, name) {
			return refuse(reasonParams, codes.InvalidArgument,
				"param %s means nothing to provider %s in mode %s: remove it", name, p.from.Name, p.mode.Name)
		}
	}
	if p.from.Name != "generic" {
		return nil
	}
	if p.mode.Name == "basic" && p.Header == "" {
		p.Header = "Authorization"
	}
	for _, check := range []func() error{p.checkHeaders, p.checkAlgorithm, p.checkTemplate, p.checkPayload} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

var headerName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$`)

func (s *scheme) checkHeaders() error {
	if (s.Header == "") == (s.Query == "") {
		return refuse(reasonParams, codes.InvalidArgument,
			"param header is missing: name the header that the sender puts the signature or token into (or query, and not both)")
	}
	for _, h := range []struct{ param, name string }{
		{"header", s.Header}, {"query", s.Query}, {"timestampHeader", s.TimestampHeader},
		{"eventHeader", s.EventHeader}, {"deliveryHeader", s.DeliveryHeader},
	} {
		if h.name != "" && !headerName.MatchString(h.name) {
			return refuse(reasonParams, codes.InvalidArgument,
				"param %s is %s, which is no header's name: letters, digits and dashes", h.param, quote(h.name))
		}
	}
	return nil
}

func (s *scheme) checkAlgorithm() error {
	names := make([]string, 0, len(algorithms))
	for _, a := range algorithms {
		names = append(names, a.name)
		if a.name == s.Algorithm || s.Algorithm == "" && a.name == sha256Hash.name {
			s.algorithm = a
		}
	}
	if s.algorithm.new == nil {
		return refuse(reasonParams, codes.InvalidArgument, "param algorithm is %s: set it to one of %s",
			quote(s.Algorithm), strings.Join(names, ", "))
	}
	if s.Encoding != "" && s.Encoding != "hex" && s.Encoding != "base64" {
		return refuse(reasonParams, codes.InvalidArgument, "param encoding is %s: set it to hex or base64",
			quote(s.Encoding))
	}
	return nil
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// checkTemplate makes parts of the template.
func (s *scheme) checkTemplate() error {
	const longest = 256
	template := s.Template
	if template == "" {
		template = "{body}"
	}
	if len(template) > longest {
		return refuse(reasonParams, codes.InvalidArgument, "param template is longer than %d bytes", longest)
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
			return refuse(reasonParams, codes.InvalidArgument,
				"param template holds %s: known are {body}, {timestamp}, {secret} and {header:NAME}",
				quote(template[found[0]:found[1]]))
		}
		s.parts = append(s.parts, part{kind, name})
	}
	if at < len(template) {
		s.parts = append(s.parts, part{text: template[at:]})
	}
	if kinds[partTimestamp] != (s.TimestampHeader != "") {
		return refuse(reasonParams, codes.InvalidArgument,
			"params template and timestampHeader go together: a time that is not signed says nothing, and {timestamp} needs a header")
	}
	if !kinds[partBody] && !kinds[partTimestamp] && !kinds[partHeader] {
		return refuse(reasonParams, codes.InvalidArgument,
			"param template holds nothing of the delivery, so that all of them have one signature: put {body} into it")
	}
	return nil
}

// checkPayload borrows another provider's table.
func (p *sender) checkPayload() error {
	if p.Payload == "" {
		return nil
	}
	var names []string
	for _, other := range Providers {
		if other.payload == nil {
			continue
		}
		names = append(names, other.Name)
		if other.Name == p.Payload {
			p.from.payload, p.from.normalise = other.payload, other.normalise
			return nil
		}
	}
	otherwise := "set it to one of " + strings.Join(names, ", ") + ", or remove it"
	return refuse(reasonParams, codes.InvalidArgument, "param payload is %s: %s",
		quote(p.Payload), suggest.DidYouMean(p.Payload, names, otherwise))
}

func announceGeneric(d delivery, p *sender) (said claim, err error) {
	if p.EventHeader != "" {
		if said.event, err = d.event(p.from.normalise, p.EventHeader); err != nil {
			return claim{}, err
		}
	}
	if p.DeliveryHeader != "" {
		said.deliveryID, err = d.deliveryID(p.DeliveryHeader)
	}
	return said, err
}

func genericUnsigned(p *sender) error {
	where := "header " + p.Header
	if p.Query != "" {
		where = "the URL's parameter " + p.Query
	}
	return refuse(reasonUnsigned, codes.Unauthenticated,
		"%s is missing or empty: set a secret where the sender has its webhook's settings, and the same value in the Secret",
		where)
}

func readGenericHMAC(said *claim, d delivery, p *sender) error {
	value, err := d.value(p.Header)
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
		if timestamp, err = d.value(p.TimestampHeader); err != nil {
			return err
		}
		if said.signedAt, err = genericTime(p.TimestampHeader, timestamp); err != nil {
			return err
		}
	}
	pieces, err := p.pieces(d, timestamp)
	said.digests, said.bodySigned = [][]byte{digest}, slices.Contains(p.parts, part{kind: partBody})
	said.mac = func(secret, body []byte) ([]byte, error) { return p.mac(pieces, secret, body), nil }
	return err
}

// digest decodes the signature.
func (s *scheme) digest(value string) (digest []byte, err error) {
	encoded, found := strings.CutPrefix(value, s.Prefix)
	if !found {
		return nil, refuse(reasonHeader, codes.InvalidArgument, "header %s does not begin with param prefix, %s",
			s.Header, quote(s.Prefix))
	}
	encoding := "hexadecimal"
	if s.Encoding == "base64" {
		encoding = "base64"
		digest, err = base64.StdEncoding.Strict().DecodeString(encoded)
	} else {
		digest, err = hex.DecodeString(encoded)
	}
	if err != nil || len(digest) != s.algorithm.size {
		return nil, refuse(reasonHeader, codes.InvalidArgument,
			"header %s is not the %s of %d bytes: compare params encoding, algorithm and prefix with what the sender documents",
			s.Header, encoding, s.algorithm.size)
	}
	return digest, nil
}

var unixTime = regexp.MustCompile(`^[1-9][0-9]{9}([0-9]{3})?$`)

// genericTime parses seconds or milliseconds.
func genericTime(header, timestamp string) (int64, error) {
	if !unixTime.MatchString(timestamp) {
		return 0, refuse(reasonHeader, codes.InvalidArgument,
			"header %s is %s: expected are seconds or milliseconds since 1970, in 10 or 13 digits", header,
			quote(timestamp))
	}
	n, err := strconv.ParseInt(timestamp, 10, 64)
	if len(timestamp) == len("1754049600") {
		n *= 1000
	}
	return n, err
}

// pieces are the template's parts with the delivery's values in them.
func (s *scheme) pieces(d delivery, timestamp string) ([]part, error) {
	pieces := slices.Clone(s.parts)
	for i, piece := range pieces {
		switch piece.kind {
		case partTimestamp:
			pieces[i] = part{text: timestamp}
		case partHeader:
			value, err := d.value(piece.text)
			if err != nil {
				return nil, err
			}
			pieces[i] = part{text: value}
		}
	}
	return pieces, nil
}

func (s *scheme) mac(pieces []part, secret, body []byte) []byte {
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
	return s.algorithm.sum(secret, message...)
}

func readGenericToken(said *claim, d delivery, p *sender) error {
	sent, err := p.sentToken(d)
	if err != nil {
		return err
	}
	if sent == "" {
		return genericUnsigned(p)
	}
	bare, found := strings.CutPrefix(sent, p.Prefix)
	if !found {
		return refuse(reasonHeader, codes.InvalidArgument, "header %s does not begin with param prefix, %s", p.Header,
			quote(p.Prefix))
	}
	said.digests, said.mac = [][]byte{token(bare)}, secretItself
	return nil
}

func (p *sender) sentToken(d delivery) (string, error) {
	if p.Query == "" {
		return d.value(p.Header)
	}
	u, err := url.Parse(d.url)
	if err != nil {
		return "", refuse(reasonHeader, codes.InvalidArgument,
			"the URL that the EventListener was called with cannot be parsed")
	}
	values := u.Query()[p.Query]
	if len(values) > 1 {
		return "", refuse(reasonHeader, codes.InvalidArgument,
			"the URL has parameter %s more than once: give the hook's URL one", p.Query)
	}
	return strings.Join(values, ""), nil
}

func readGenericBasic(said *claim, d delivery, p *sender) error {
	value, err := d.value(p.Header)
	if err != nil {
		return err
	}
	if value == "" {
		return genericUnsigned(p)
	}
	kind, encoded, _ := strings.Cut(value, " ")
	pair, err := base64.StdEncoding.DecodeString(encoded)
	if !strings.EqualFold(kind, "basic") || err != nil || !strings.Contains(string(pair), ":") {
		return refuse(reasonHeader, codes.InvalidArgument,
			"header %s is no basic authentication: let the sender send a user and a password", p.Header)
	}
	said.digests, said.mac = [][]byte{token(string(pair))}, secretItself
	return nil
}

func signGenericHMAC(s *Signed, p *sender, secret []byte, o Outgoing) error {
	p.headGeneric(s, o)
	timestamp := strconv.FormatInt(o.Time.Unix(), 10)
	if p.TimestampHeader != "" {
		s.Header.Set(p.TimestampHeader, timestamp)
	}
	var fields headers
	for name, values := range s.Header {
		fields = append(fields, headerField{[]byte(name), []byte(values[0])})
	}
	pieces, err := p.pieces(delivery{headers: fields}, timestamp)
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

func signGenericToken(s *Signed, p *sender, secret []byte, o Outgoing) error {
	p.headGeneric(s, o)
	if p.Query != "" {
		s.Query.Set(p.Query, string(secret))
	} else {
		s.Header.Set(p.Header, p.Prefix+string(secret))
	}
	return nil
}

func signGenericBasic(s *Signed, p *sender, secret []byte, o Outgoing) error {
	p.headGeneric(s, o)
	request := http.Request{Header: http.Header{}}
	user, password, _ := strings.Cut(string(secret), ":")
	request.SetBasicAuth(user, password)
	s.Header.Set(p.Header, request.Header.Get("Authorization"))
	return nil
}

func (p *sender) headGeneric(s *Signed, o Outgoing) {
	if p.EventHeader != "" {
		s.set(p.EventHeader, o.Event)
	}
	if p.DeliveryHeader != "" {
		s.set(p.DeliveryHeader, o.ID)
	}
}
