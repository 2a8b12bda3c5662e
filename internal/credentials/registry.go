package credentials

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// dockerHub is the key under which Docker's tools, Kaniko among them, look for
// Docker Hub's password.
const dockerHub = "https://index.docker.io/v1/"

// Registry is what it takes to pull from and push to registries.
type Registry struct {
	config   map[string]any
	warnings []string
}

// Login returns the credentials of one registry.
func Login(server, username string, password []byte) (Registry, error) {
	switch {
	case server == "" || username == "":
		return Registry{}, errors.New(
			"a registry and a user have to be named: pass --server and --username, or --docker-config",
		)
	case len(password) == 0:
		return Registry{}, errors.New("the password is empty")
	}
	if slices.Contains([]string{"docker.io", "index.docker.io", "registry-1.docker.io"}, server) {
		server = dockerHub
	}
	auth := base64.StdEncoding.EncodeToString([]byte(username + ":" + string(password)))
	return Registry{
		config: map[string]any{
			"auths": map[string]any{
				server: map[string]any{"username": username, "password": string(password), "auth": auth},
			},
		},
	}, nil
}

// FromDockerConfig returns the credentials of a Docker configuration, of all
// registries or of some. The error holds nothing of the text.
func FromDockerConfig(text []byte, servers []string) (Registry, error) {
	var config map[string]any
	if err := json.Unmarshal(text, &config); err != nil {
		return Registry{}, errors.New("the Docker configuration is not JSON")
	}
	auths, _ := config["auths"].(map[string]any)
	chosen := map[string]any{}
	var problems []error
	for _, server := range slices.Sorted(maps.Keys(auths)) {
		if len(servers) > 0 && !slices.ContainsFunc(servers, func(s string) bool { return sameServer(s, server) }) {
			continue
		}
		if !usable(auths[server]) {
			problems = append(
				problems,
				fmt.Errorf(
					"the Docker configuration holds no password for %s, only that there is one in a credential store of that machine: pass --server and --username instead",
					server,
				),
			)
			continue
		}
		chosen[server] = auths[server]
	}
	for _, s := range servers {
		if !slices.ContainsFunc(
			slices.Collect(maps.Keys(auths)),
			func(server string) bool { return sameServer(s, server) },
		) {
			problems = append(problems, fmt.Errorf("the Docker configuration holds nothing for %s", s))
		}
	}
	if len(chosen) == 0 && len(problems) == 0 {
		problems = append(problems, errors.New("the Docker configuration holds no registry's password"))
	}
	return Registry{
			config:   map[string]any{"auths": chosen},
			warnings: dropped(config, chosen),
		}, errors.Join(
			problems...)
}

func sameServer(a, b string) bool { return bare(a) == bare(b) }

func bare(server string) string {
	server = strings.TrimPrefix(strings.TrimPrefix(server, "https://"), "http://")
	host, _, _ := strings.Cut(server, "/")
	if host == "docker.io" || host == "registry-1.docker.io" {
		return "index.docker.io"
	}
	return host
}

// usable reports whether an entry holds something to log in with.
func usable(entry any) bool {
	fields, _ := entry.(map[string]any)
	for _, key := range []string{"auth", "password", "identitytoken", "registrytoken"} {
		if value, _ := fields[key].(string); value != "" {
			return true
		}
	}
	return false
}

// dropped says what of a Docker configuration never arrives: Tekton rebuilds the
// file in each step from username, password, auth and email alone
// (tektoncd/pipeline#4107), and the fields beside auths name programs and files
// of the machine that it was written on.
func dropped(config, auths map[string]any) []string {
	var warnings []string
	for _, field := range []string{"credHelpers", "credsStore", "HttpHeaders", "proxies"} {
		if _, found := config[field]; found {
			warnings = append(
				warnings,
				fmt.Sprintf(
					"%s of the Docker configuration is left out: it means nothing on another machine, and Tekton would drop it",
					field,
				),
			)
		}
	}
	for _, server := range slices.Sorted(maps.Keys(auths)) {
		fields, _ := auths[server].(map[string]any)
		for _, field := range []string{"identitytoken", "registrytoken"} {
			if _, found := fields[field]; found {
				warnings = append(
					warnings,
					fmt.Sprintf(
						"Tekton drops the %s of %s, so its steps cannot use it; only the kubelet can: log in with a user and a password",
						field,
						server,
					),
				)
			}
		}
	}
	return warnings
}

// Warnings say what will work otherwise than one may think.
func (r Registry) Warnings() []string { return r.warnings }

func (r Registry) secret(name string) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(r.config)
	if err != nil {
		return nil, errors.New("the credentials cannot be written as JSON")
	}
	return newSecret(name, "kubernetes.io/dockerconfigjson", map[string][]byte{".dockerconfigjson": text}), nil
}
