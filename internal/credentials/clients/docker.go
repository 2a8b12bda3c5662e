package clients

import (
	"net"
	"net/url"
	"strings"
)

// containerRegistry is go-containerregistry's DefaultKeychain (v0.22.1), which ko, crane and both
// Kanikos use. It looks for a key that is exactly the repository, then for the host.
func containerRegistry(c Config, image Image) Answer {
	repository, err := image.googleRepository()
	if err != nil {
		return failure(badReference)
	}
	entries, bad := dockerEntries(c)
	if bad != "" {
		return failure(bad)
	}
	host := repository.RegistryStr()
	if host == "index.docker.io" {
		host = DockerHub
	}
	var alternatives []Sent
	for _, server := range []string{repository.String(), host} {
		emptiness := false
		found := fileStore(c, server, dockerHost)
		for _, entry := range found {
			if sent := entries[entry.Key]; sent.Anonymous() {
				emptiness = true
			} else {
				alternatives = append(alternatives, sent)
			}
		}
		if len(found) > 0 && !emptiness {
			return one(alternatives)
		}
	}
	return one(append(alternatives, Sent{}))
}

// dockerEntries reads all entries as docker/cli does (v29), and returns why it cannot: one bad
// auth makes the whole file unusable.
func dockerEntries(c Config) (entries map[string]Sent, bad string) {
	entries = map[string]Sent{}
	for _, entry := range c {
		sent, err := entry.docker()
		if err != nil {
			bad = WithoutLogin(entry.Key) + ": " + err.Error()
		}
		entries[entry.Key] = sent
	}
	return entries, bad
}

func (e Entry) docker() (Sent, error) {
	if e.Auth == "" {
		return e.sent(e.Username, e.Password), nil
	}
	username, password, err := e.padded()
	if err != nil || username == "" {
		return Sent{}, errAuth
	}
	return e.sent(username, strings.Trim(password, "\x00")), nil
}

// fileStore returns the entry whose key is the server, or else those whose keys name it as their
// host. The client takes one of these at random.
func fileStore(c Config, server string, host func(key string) string) Config {
	if entry, ok := c.get(server); ok {
		return Config{entry}
	}
	return c.matching(func(key string) bool { return host(key) == server })
}

// dockerHost returns the host that docker/cli sees in a key.
func dockerHost(key string) string {
	if strings.Contains(key, "://") {
		u, err := url.Parse(key)
		if err == nil && u.Hostname() != "" {
			if u.Port() == "" {
				return u.Hostname()
			}
			return net.JoinHostPort(u.Hostname(), u.Port())
		}
		_, key, _ = strings.Cut(key, "://")
	}
	host, _, _ := strings.Cut(key, "/")
	return host
}

// buildkit is the session of buildctl (moby/buildkit v0.34.2), which reads Docker's file. A bad
// auth ends the reading there, at a random position: entries behind it keep auth undecoded, and
// only the user and password beside it count.
func buildkit(c Config, image Image) Answer {
	server := image.Host()
	if server == "docker.io" || server == "registry-1.docker.io" {
		server = DockerHub
	}
	entries, bad := dockerEntries(c)
	var alternatives []Sent
	for _, entry := range fileStore(c, server, dockerHost) {
		sent, err := entry.docker()
		if err == nil {
			alternatives = append(alternatives, entries[entry.Key])
		}
		if raw := entry.sent(entry.Username, entry.Password); bad != "" && raw != sent {
			alternatives = append(alternatives, raw)
		}
	}
	return one(alternatives)
}

// oras is the store of oras (oras-go v2.7.0), which reads only the entry that it takes.
func oras(c Config, image Image) Answer {
	server := image.Host()
	if strings.HasPrefix(image.written, "index.docker.io/") {
		server = "index.docker.io"
	}
	if server == "docker.io" || server == "registry-1.docker.io" {
		server = DockerHub
	}
	var alternatives []Sent
	for _, entry := range fileStore(c, server, orasHost) {
		sent := entry.sent(entry.Username, entry.Password)
		if entry.Auth != "" {
			username, password, err := entry.padded()
			if sent = entry.sent(username, password); err != nil {
				sent = Sent{Key: entry.Key, Fails: WithoutLogin(entry.Key) + ": " + err.Error()}
			}
		}
		alternatives = append(alternatives, sent)
	}
	return one(alternatives)
}

// orasHost returns the host that oras-go sees in a key.
func orasHost(key string) string {
	key = strings.TrimPrefix(strings.TrimPrefix(key, "http://"), "https://")
	host, _, _ := strings.Cut(key, "/")
	return host
}
