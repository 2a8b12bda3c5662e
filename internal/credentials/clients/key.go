package clients

import (
	"errors"
	"net/url"
	"strings"
)

// Key is the host and the path that a key of a Docker configuration is for.
type Key struct {
	Host string // docker.io for Docker Hub, however it was written
	Path string // without slashes at its ends; empty for a key of the whole host
}

// ParseKey reads a key in any spelling.
func ParseKey(written string) (Key, error) {
	scheme, rest, found := strings.Cut(written, "://")
	scheme = strings.ToLower(scheme)
	if !found {
		scheme, rest = "", written
	}
	u, err := url.Parse("https://" + rest)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
		strings.ContainsAny(rest, " \t\n") || scheme != "" && scheme != "https" && scheme != "http" {
		return Key{}, errors.New("it is not the host of a registry, such as registry.example.com:5000")
	}
	host, path, _ := strings.Cut(rest, "/")
	if hubHost(strings.ToLower(host)) == "index.docker.io" {
		host = "docker.io"
	}
	for _, api := range []string{"v1", "v2"} {
		// Without a scheme or a slash behind it, v2 may be a repository.
		if path == api && (found || host == "docker.io") {
			path = ""
		}
		path = strings.TrimPrefix(path, api+"/")
	}
	return Key{Host: host, Path: strings.Trim(path, "/")}, nil
}

// String returns the spelling that most clients find: for a host, all of them.
func (k Key) String() string {
	switch {
	case k.Path != "":
		return k.Host + "/" + k.Path
	case k.Host == "docker.io":
		return DockerHub
	}
	return k.Host
}

// Wildcard reports whether the host has a wildcard.
func (k Key) Wildcard() bool {
	return strings.ContainsAny(k.Host, "*?[") && !strings.HasPrefix(k.Host, "[")
}

// Covers reports whether the key is for an image, as one would expect: the host is the same, and
// the path ends where a segment of the repository ends.
func (k Key) Covers(image Image) bool {
	return k.Host == image.keyHost() && (k.Path == "" || strings.HasPrefix(image.path()+"/", k.Path+"/"))
}

// keyHost returns the image's registry as keys name it.
func (i Image) keyHost() string {
	if host := i.Host(); hubHost(host) != "index.docker.io" {
		return host
	}
	return "docker.io"
}

func (i Image) path() string { return strings.TrimPrefix(i.Repository(), i.Host()+"/") }

// WithoutLogin returns a URL or key without the user and password that one may have written into it.
func WithoutLogin(key string) string {
	scheme, rest, found := strings.Cut(key, "://")
	if !found {
		scheme, rest = "", key
	} else {
		scheme += "://"
	}
	if i := strings.LastIndex(rest, "@"); i >= 0 {
		rest = rest[i+1:]
	}
	return scheme + rest
}
