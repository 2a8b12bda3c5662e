package clients

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// DockerHub is the one key under which every client finds Docker Hub's password.
const DockerHub = "https://index.docker.io/v1/"

// Entry is what a Docker configuration has for one key.
type Entry struct {
	Key           string `json:"-"`
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	Auth          string `json:"auth,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
}

// Config is the entries of a Docker configuration, sorted by key.
type Config []Entry

// Parse reads a Docker configuration. The error contains nothing of the text.
func Parse(text []byte) (Config, error) {
	var file struct {
		Auths map[string]Entry `json:"auths"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, errors.New("the Docker configuration is not JSON of the form {\"auths\": {HOST: {…}}}")
	}
	return sorted(file.Auths), nil
}

// ParseLegacy reads a .dockercfg, which has the entries without "auths" around them.
func ParseLegacy(text []byte) (Config, error) {
	var entries map[string]Entry
	if err := json.Unmarshal(text, &entries); err != nil {
		return nil, errors.New("the .dockercfg is not JSON of the form {HOST: {…}}")
	}
	return sorted(entries), nil
}

func sorted(entries map[string]Entry) Config {
	var config Config
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		entry := entries[key]
		entry.Key = key
		config = append(config, entry)
	}
	return config
}

// InSteps returns what Tekton (v1.15.0, pkg/credentials/dockercreds) leaves of a Secret in the
// file that the steps of a run read: users and passwords.
func (c Config) InSteps() Config { return c.withoutTokens() }

func (c Config) withoutTokens() Config {
	steps := slices.Clone(c)
	for i := range steps {
		steps[i].IdentityToken, steps[i].RegistryToken = "", ""
	}
	return steps
}

// matching returns the entries whose keys match.
func (c Config) matching(match func(key string) bool) Config {
	var found Config
	for _, entry := range c {
		if match(entry.Key) {
			found = append(found, entry)
		}
	}
	return found
}

func (c Config) get(key string) (Entry, bool) {
	i := slices.IndexFunc(c, func(e Entry) bool { return e.Key == key })
	if i < 0 {
		return Entry{}, false
	}
	return c[i], true
}

// Login returns an entry's user and password: those in auth, where it has one.
func (e Entry) Login() (username, password string, err error) {
	if e.Auth == "" {
		return e.Username, e.Password, nil
	}
	text := strings.TrimRight(strings.NewReplacer("\r", "", "\n", "", " ", "").Replace(e.Auth), "=")
	decoded, err := base64.RawStdEncoding.DecodeString(text)
	username, password, found := strings.Cut(strings.Trim(string(decoded), "\x00"), ":")
	if err != nil || !found || username == "" {
		return "", "", fmt.Errorf("the auth of %s is not user:password in base64", WithoutLogin(e.Key))
	}
	return username, password, nil
}

// padded decodes auth as Docker's tools do: the padding of base64 has to be there.
func (e Entry) padded() (username, password string, err error) {
	decoded, err := base64.StdEncoding.DecodeString(e.Auth)
	if err != nil {
		return "", "", errAuth
	}
	username, password, found := strings.Cut(string(decoded), ":")
	if !found {
		return "", "", errAuth
	}
	return username, password, nil
}

// optionalPadding returns user and password as the kubelet reads them.
func (e Entry) optionalPadding() (username, password string, err error) {
	if e.Auth == "" {
		return e.Username, e.Password, nil
	}
	encoding := base64.RawStdEncoding
	if strings.HasSuffix(strings.TrimSpace(e.Auth), "=") {
		encoding = base64.StdEncoding
	}
	decoded, err := encoding.DecodeString(e.Auth)
	if err != nil {
		return "", "", errAuth
	}
	username, password, found := strings.Cut(string(decoded), ":")
	if !found {
		return "", "", errAuth
	}
	return username, password, nil
}

var errAuth = errors.New("its auth is not user:password in base64")

// hidden takes the place of passwords and tokens.
const hidden = "hidden"

// hiddenAuth returns an auth with the same user and another password. One that only some
// clients can decode, for want of its padding, stays one.
func (e Entry) hiddenAuth() string {
	if username, _, err := e.padded(); err == nil {
		return base64.StdEncoding.EncodeToString([]byte(username + ":" + hidden))
	}
	if _, err := base64.StdEncoding.DecodeString(e.Auth); err == nil {
		return base64.StdEncoding.EncodeToString([]byte(hidden)) // without a user
	}
	username, _, err := e.Login()
	if err != nil {
		return "not base64"
	}
	text := username + ":" + hidden
	for len(text)%3 == 0 {
		text += "x"
	}
	return base64.RawStdEncoding.EncodeToString([]byte(text))
}

// WithoutSecrets returns the configuration with other passwords and tokens, so that what
// clients make of it can be explained without them. What a client cannot read stays so.
func (c Config) WithoutSecrets() Config {
	clean := make(Config, 0, len(c))
	for _, e := range c {
		if e.Auth != "" {
			e.Auth = e.hiddenAuth()
		}
		for _, secret := range []*string{&e.Password, &e.IdentityToken, &e.RegistryToken} {
			if *secret != "" {
				*secret = hidden
			}
		}
		clean = append(clean, e)
	}
	return clean
}
