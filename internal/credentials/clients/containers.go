package clients

import (
	"encoding/base64"
	"strings"
)

// containers is containers/image (go.podman.io/image v5.42.1), which buildah, podman and skopeo
// use: the repository, each path above it and the host are looked up as keys, in this order. Only
// auth counts, and the first key that exists ends the search even if it has none.
func containers(c Config, image Image) Answer {
	for key := image.Repository(); ; {
		if entry, ok := c.get(key); ok {
			return one([]Sent{entry.containers()})
		}
		i := strings.LastIndex(key, "/")
		if i < 0 {
			break
		}
		key = key[:i]
	}
	host := hubHost(image.Host())
	var alternatives []Sent
	for _, entry := range c.matching(func(key string) bool { return containersHost(key) == host }) {
		alternatives = append(alternatives, entry.containers())
	}
	return one(alternatives)
}

func (e Entry) containers() Sent {
	decoded, err := base64.StdEncoding.DecodeString(e.Auth)
	if err != nil {
		return Sent{Key: e.Key, Fails: WithoutLogin(e.Key) + ": " + errAuth.Error()}
	}
	username, password, found := strings.Cut(string(decoded), ":")
	if !found {
		return Sent{Key: e.Key}
	}
	return Sent{
		Key: e.Key, Username: username, password: strings.Trim(password, "\x00"), identity: e.IdentityToken,
	}
}

// containersHost returns the host that containers/image sees in a key: a path is cut off only
// from a URL.
func containersHost(key string) string {
	stripped := strings.TrimPrefix(strings.TrimPrefix(key, "http://"), "https://")
	if stripped != key {
		stripped, _, _ = strings.Cut(stripped, "/")
	}
	return hubHost(stripped)
}

func hubHost(host string) string {
	if host == "docker.io" || host == "registry-1.docker.io" {
		return "index.docker.io"
	}
	return host
}
