package clients

import (
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// kubelet is the keyring of the kubelet (k8s.io/kubernetes v1.36.3, pkg/credentialprovider). A key
// counts for every image that begins with it, whether or not a path segment ends there. All that
// match are tried, the longest first.
func kubelet(c Config, image Image) Answer {
	ring, bad := newKeyring(c.withoutTokens())
	if bad != "" {
		return failure(bad)
	}
	steps := ring.match(image.Repository())
	if len(steps) == 0 && image.Host() == "docker.io" && len(ring.entries["index.docker.io"]) > 0 {
		steps = [][]Sent{ring.entries["index.docker.io"]}
	}
	if len(steps) == 0 {
		return one(nil)
	}
	return Answer{Steps: steps, All: true}
}

// tektonController is the keychain with which Tekton's controller looks up entrypoints
// (go-containerregistry's pkg/authn/kubernetes). It matches as the kubelet does, and takes the
// first match alone.
func tektonController(c Config, image Image) Answer {
	repository, err := image.googleRepository()
	if err != nil {
		return failure(badReference)
	}
	ring, bad := newKeyring(c)
	if bad == "" {
		bad = ring.badKey
	}
	if bad != "" {
		return failure(bad)
	}
	steps := ring.match(repository.String())
	if len(steps) == 0 {
		return one(nil)
	}
	return one(steps[0])
}

func (e Entry) sent(username, password string) Sent {
	return Sent{
		Key: e.Key, Username: username, password: password, identity: e.IdentityToken, registry: e.RegistryToken,
	}
}

// keyring has the entries by host and path.
type keyring struct {
	entries map[string][]Sent
	badKey  string // why a key was passed over
}

// newKeyring returns the keyring, or why there is none: one bad auth stops every look-up.
func newKeyring(c Config) (ring keyring, bad string) {
	ring.entries = map[string][]Sent{}
	for _, entry := range c {
		username, password, err := entry.optionalPadding()
		if err != nil {
			return ring, WithoutLogin(entry.Key) + ": " + err.Error()
		}
		key := entry.Key
		if !strings.HasPrefix(key, "https://") && !strings.HasPrefix(key, "http://") {
			key = "https://" + key
		}
		parsed, err := url.Parse(key)
		if err != nil {
			ring.badKey = entry.Key + ": it is not a URL"
			continue
		}
		path := parsed.Path
		if strings.HasPrefix(path, "/v2/") || strings.HasPrefix(path, "/v1/") {
			path = path[3:]
		}
		if path == "/" {
			path = ""
		}
		ring.entries[parsed.Host+path] = append(ring.entries[parsed.Host+path], entry.sent(username, password))
	}
	return ring, ""
}

// match returns the entries of the keys that match, in reverse order of the keys, so that longer
// ones come first.
func (r keyring) match(repository string) [][]Sent {
	var keys []string
	for key := range r.entries {
		if covers(key, repository) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	slices.Reverse(keys)
	var steps [][]Sent
	for _, key := range keys {
		steps = append(steps, r.entries[key])
	}
	return steps
}

// covers reports whether a key is for a repository: the ports are the same, each label of the
// host matches, with wildcards, and the path begins with the key's path.
func covers(key, repository string) bool {
	pattern, err := url.Parse("https://" + key)
	if err != nil {
		return false
	}
	target, err := url.Parse("https://" + repository)
	if err != nil {
		return false
	}
	patternLabels, patternPort := labels(pattern.Host)
	targetLabels, targetPort := labels(target.Host)
	if patternPort != targetPort || len(patternLabels) != len(targetLabels) ||
		!strings.HasPrefix(target.Path, pattern.Path) {
		return false
	}
	for i, label := range patternLabels {
		if matched, err := filepath.Match(label, targetLabels[i]); err != nil || !matched {
			return false
		}
	}
	return true
}

func labels(hostport string) (labels []string, port string) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		host, port = hostport, ""
	}
	return strings.Split(host, "."), port
}
