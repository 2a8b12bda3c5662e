package clients

import "strings"

// regctl is regclient (v0.11.7). Keys with a path are dropped. Entries that name the same host are
// merged in random order, so that the last user, password and token win.
func regctl(c Config, image Image) Answer {
	host := image.Host()
	if hubHost(host) == "index.docker.io" {
		host = "docker.io"
	}
	var found []Sent
	for _, entry := range c {
		if name, ok := regclientHost(entry.Key); ok && name == host {
			if sent, ok := entry.regclient(); ok {
				found = append(found, sent)
			}
		}
	}
	var alternatives []Sent
	for _, order := range permutations(found) {
		var merged Sent
		for _, sent := range order {
			merged = merged.merge(sent)
		}
		alternatives = append(alternatives, merged.oneKind())
	}
	return one(alternatives)
}

func (s Sent) merge(next Sent) Sent {
	s.Key = next.Key
	if next.Username != "" {
		s.Username = next.Username
	}
	if next.password != "" {
		s.password = next.password
	}
	if next.identity != "" {
		s.identity = next.identity
	}
	return s
}

// oneKind returns what is sent where a registry gives tokens: a token before a password.
func (s Sent) oneKind() Sent {
	if s.identity != "" {
		s.Username, s.password = "", ""
	}
	return s
}

// regclient returns an entry as regclient reads it, if it does.
func (e Entry) regclient() (Sent, bool) {
	username, password := e.Username, e.Password
	if e.Auth != "" {
		var err error
		if username, password, err = e.padded(); err != nil {
			return Sent{}, false
		}
		password = strings.Trim(password, "\x00")
	}
	if (username == "" || password == "") && e.IdentityToken == "" {
		return Sent{}, false
	}
	return Sent{Key: e.Key, Username: username, password: password, identity: e.IdentityToken}, true
}

// regclientHost returns the registry that regclient sees in a key; none if there is a path.
func regclientHost(key string) (string, bool) {
	if key == DockerHub {
		return "docker.io", true
	}
	scheme, rest, found := strings.Cut(key, "://")
	if !found || scheme == "" {
		scheme, rest = "https", key
	}
	host, path, _ := strings.Cut(rest, "/")
	if host == "registry-1.docker.io" {
		host = "docker.io"
	}
	return host, path == "" && (scheme == "https" || scheme == "http")
}
