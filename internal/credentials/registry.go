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

	"github.com/tekgate/tekgate/internal/credentials/clients"
)

// Registry is what it takes to pull from and push to registries, in the one form that every
// client reads: a login has username, password and auth, and its key is the plain host, or
// clients.DockerHub.
type Registry struct {
	logins   map[string]login
	pathKeys []string
	notes    []string
	warnings []string
}

type login struct {
	Username string `json:"username"`
	Password string `json:"password"`
	Auth     string `json:"auth"`
}

// Login returns the credentials of one registry, or with pathKeys of a path in it.
func Login(server, username string, password []byte, pathKeys bool) (Registry, error) {
	switch {
	case server == "" || username == "":
		return Registry{}, errors.New(
			"a registry and a user have to be named: pass --server and --username, or --docker-config",
		)
	case len(password) == 0:
		return Registry{}, errors.New("the password is empty")
	case strings.Contains(username, ":"):
		return Registry{}, errors.New("the user name contains a colon, which ends the user name in what clients read")
	}
	key, err := serverKey(server, pathKeys)
	if err != nil {
		return Registry{}, err
	}
	r := Registry{logins: map[string]login{}}
	r.respelled(server, key)
	r.add(key, username, string(password))
	return r, nil
}

// serverKey reads the value of --server.
func serverKey(server string, pathKeys bool) (clients.Key, error) {
	key, err := clients.ParseKey(server)
	if err != nil {
		return key, fmt.Errorf("--server %q: %w", clients.WithoutLogin(server), err)
	}
	if key.Path != "" && !pathKeys {
		return key, fmt.Errorf("--server %s has a path, which few clients honor: name the host, %s, "+
			"or pass --path-keys to see how each client treats such a key, and to write it", server, key.Host)
	}
	return key, nil
}

// respelled notes that a key is written otherwise than the user has it.
func (r *Registry) respelled(written string, key clients.Key) {
	switch {
	case written == key.String():
	case key.Path == "":
		r.notes = append(r.notes, fmt.Sprintf("%s is written as %s, which every client finds", written, key))
	default:
		r.notes = append(r.notes, fmt.Sprintf("%s is written as %s", written, key))
	}
}

func (r *Registry) add(key clients.Key, username, password string) {
	auth := base64.StdEncoding.EncodeToString([]byte(username + ":" + password))
	r.logins[key.String()] = login{Username: username, Password: password, Auth: auth}
	if key.Path != "" {
		r.pathKeys = append(r.pathKeys, key.String())
	}
	if key.Wildcard() {
		r.warnings = append(r.warnings, fmt.Sprintf(
			"only the kubelet and Tekton's controller read the wildcard in %s: name each host for the clients in steps",
			key))
	}
	if key.Host != strings.ToLower(key.Host) {
		r.warnings = append(r.warnings, fmt.Sprintf(
			"%s counts only for images whose host has the same capitals: write it in lower case if they do not", key))
	}
}

// found is an entry of a Docker configuration and what it is for.
type found struct {
	clients.Entry
	key                clients.Key
	username, password string
}

// FromDockerConfig returns the credentials of a Docker configuration, of all registries or of
// some. Keys with a path are left out, unless pathKeys is set. The error contains no secret.
func FromDockerConfig(text []byte, servers []string, pathKeys bool) (Registry, error) {
	var stores credentialStores
	config, err := clients.Parse(text)
	if err == nil {
		err = stores.parse(text)
	}
	if err != nil {
		return Registry{}, err
	}
	wanted, err := serverKeys(servers, pathKeys)
	if err != nil {
		return Registry{}, err
	}
	r := Registry{logins: map[string]login{}, warnings: stores.dropped()}
	groups, paths := r.groups(config, wanted, pathKeys)
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		problems = append(problems, r.take(groups[name], servers, stores))
	}
	taken := slices.Concat(slices.Collect(maps.Values(groups))...)
	for i, key := range wanted {
		only := pathsOf(key, taken, paths)
		switch {
		case len(only) > 0:
			problems = append(problems, onlyPaths(" for "+servers[i], only))
		case !slices.ContainsFunc(config, func(e clients.Entry) bool { return isFor(e.Key, key) }):
			problems = append(problems, stores.missing(servers[i], key))
		}
	}
	switch {
	case len(groups) > 0 || len(problems) > 0:
	case len(paths) > 0:
		problems = append(problems, onlyPaths("", paths))
	default:
		problems = append(problems, errors.New("the Docker configuration holds no registry's password"))
	}
	if errors.Join(problems...) == nil && len(paths) > 0 {
		r.warnings = append(r.warnings,
			"left out, since few clients honor keys with a path: "+joined(paths)+"; "+pathRemedy)
	}
	return r, errors.Join(problems...)
}

const pathRemedy = "pass --path-keys to see how each client treats them, and to write them"

// onlyPaths returns the error for entries of which each is for a path.
func onlyPaths(what string, paths []string) error {
	return fmt.Errorf("the Docker configuration has only keys with a path%s, which few clients honor: %s; "+
		"log in to the host itself, or %s", what, joined(paths), pathRemedy)
}

func joined(keys []string) string {
	var names []string
	for _, key := range keys {
		names = append(names, clients.WithoutLogin(key))
	}
	return strings.Join(names, ", ")
}

// pathsOf returns the keys with a path that a file has for a host, if it has no other key for it.
func pathsOf(host clients.Key, taken []found, paths []string) []string {
	if slices.ContainsFunc(taken, func(f found) bool { return isFor(f.Key, host) }) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(paths), func(path string) bool { return !isFor(path, host) })
}

func serverKeys(servers []string, pathKeys bool) ([]clients.Key, error) {
	var keys []clients.Key
	var problems []error
	for _, server := range servers {
		key, err := serverKey(server, pathKeys)
		keys, problems = append(keys, key), append(problems, err)
	}
	return keys, errors.Join(problems...)
}

// isFor reports whether an entry is one of those that --server asks for: all of a host, or one
// path.
func isFor(written string, wanted clients.Key) bool {
	key, err := clients.ParseKey(written)
	return err == nil && key.Host == wanted.Host && (wanted.Path == "" || wanted.Path == key.Path)
}

// groups returns the wanted entries by the key that they are written as, and the keys with a path
// that are left out.
func (r *Registry) groups(config clients.Config, wanted []clients.Key, pathKeys bool,
) (groups map[string][]found, paths []string) {
	groups = map[string][]found{}
	for _, entry := range config {
		if len(wanted) > 0 && !slices.ContainsFunc(wanted, func(k clients.Key) bool { return isFor(entry.Key, k) }) {
			continue
		}
		key, err := clients.ParseKey(entry.Key)
		switch {
		case err != nil:
			r.warnings = append(r.warnings,
				fmt.Sprintf("the entry %q is left out: %v", clients.WithoutLogin(entry.Key), err))
		case key.Path != "" && !pathKeys:
			paths = append(paths, entry.Key)
		default:
			groups[key.String()] = append(groups[key.String()], found{Entry: entry, key: key})
		}
	}
	return groups, paths
}

// take adds one of the entries for a key.
func (r *Registry) take(entries []found, servers []string, stores credentialStores) error {
	var usable []found
	var problems []error
	for _, e := range entries {
		var err error
		if e.username, e.password, err = stores.login(e.Entry); err != nil {
			problems = append(problems, err)
			continue
		}
		usable = append(usable, e)
	}
	if len(usable) == 0 {
		return errors.Join(problems...)
	}
	slices.SortStableFunc(usable, func(a, b found) int { return rank(a, servers) - rank(b, servers) })
	chosen := usable[0]
	for _, other := range usable[1:] {
		if other.username != chosen.username || other.password != chosen.password {
			r.warnings = append(r.warnings, fmt.Sprintf(
				"the Docker configuration has different logins for %s: that of %s (user %s) is written, that of %s "+
					"(user %s) is left out; --server %s writes the other",
				hostName(chosen.key), chosen.Key, chosen.username, other.Key, other.username, other.Key))
		}
	}
	r.respelled(chosen.Key, chosen.key)
	if chosen.IdentityToken != "" || chosen.RegistryToken != "" {
		r.warnings = append(r.warnings, fmt.Sprintf(
			"the token of %s is left out, since Tekton's steps and the kubelet do not get it: user and password are written",
			chosen.Key))
	}
	password := strings.TrimRight(chosen.password, "\r\n")
	if password != chosen.password {
		r.warnings = append(r.warnings, fmt.Sprintf("the password of %s ends with a line break, as `echo` adds one before "+
			"`base64`, and every client would send it: it is left out", chosen.Key))
	}
	r.add(chosen.key, chosen.username, password)
	return nil
}

// rank orders entries for one key: the one that --server spells, the spelling of Docker's tools,
// those of others.
func rank(e found, servers []string) int {
	order := []string{e.key.String(), e.key.Host}
	switch i := slices.Index(order, e.Key); {
	case slices.Contains(servers, e.Key):
		return -1
	case i >= 0:
		return i
	}
	return len(order)
}

func hostName(key clients.Key) string {
	if key.String() == clients.DockerHub {
		return "Docker Hub"
	}
	return key.String()
}

// credentialStores are the parts of a Docker configuration beside its entries.
type credentialStores struct {
	Store   string            `json:"credsStore"`
	Helpers map[string]string `json:"credHelpers"`
	fields  map[string]json.RawMessage
}

func (s *credentialStores) parse(text []byte) error {
	if json.Unmarshal(text, s) != nil || json.Unmarshal(text, &s.fields) != nil {
		return errors.New("credsStore or credHelpers of the Docker configuration is not of the form that Docker writes")
	}
	return nil
}

// login returns the user and password of an entry, or why there are none.
func (s credentialStores) login(e clients.Entry) (username, password string, err error) {
	username, password, err = e.Login()
	switch {
	case err != nil:
		return "", "", fmt.Errorf("%w: log in to it again, or pass --server, --username and --password-file", err)
	case username != "" && password != "" && strings.Contains(username, ":"):
		return "", "", fmt.Errorf("the user name of %s contains a colon, which ends the user name in what clients read",
			e.Key)
	case username != "" && strings.TrimRight(password, "\r\n") != "":
		return username, password, nil
	case e.IdentityToken != "" || e.RegistryToken != "":
		return "", "", fmt.Errorf("the Docker configuration holds only a token for %s, which neither the kubelet nor "+
			"Tekton's steps get: create a password or access token, and pass --server, --username and --password-file", e.Key)
	}
	return "", "", fmt.Errorf("the Docker configuration holds no password for %s%s: "+
		"pass --server, --username and --password-file instead", e.Key, s.where(e.Key))
}

// where returns where the password of a key is instead.
func (s credentialStores) where(key string) string {
	store := s.Store
	if helper := s.Helpers[key]; helper != "" {
		store = helper
	}
	if store == "" {
		return ""
	}
	return fmt.Sprintf("; it is in the credential store of its machine, where docker-credential-%s reads it", store)
}

// missing returns the error for a --server that has no entry.
func (s credentialStores) missing(server string, key clients.Key) error {
	for _, name := range slices.Sorted(maps.Keys(s.Helpers)) {
		if isFor(name, key) {
			_, _, err := s.login(clients.Entry{Key: name})
			return err
		}
	}
	return fmt.Errorf("the Docker configuration holds nothing for %s", server)
}

// dropped returns what of a Docker configuration never reaches a step: Tekton writes the steps'
// file from user, password, auth and email alone (tektoncd/pipeline#4107), and the fields beside
// auths name programs and files of the machine that the file was written on.
func (s credentialStores) dropped() []string {
	var warnings []string
	for _, field := range []string{"credHelpers", "credsStore", "HttpHeaders", "proxies"} {
		if _, found := s.fields[field]; found {
			warnings = append(warnings, fmt.Sprintf(
				"%s of the Docker configuration is left out: it means nothing on another machine, and Tekton would drop it",
				field))
		}
	}
	return warnings
}

// Warnings name what will work otherwise than one may expect.
func (r Registry) Warnings() []string { return r.warnings }

// Notes name what was changed without a loss.
func (r Registry) Notes() []string { return r.notes }

// PathKeys returns the keys with a path.
func (r Registry) PathKeys() []string { return r.pathKeys }

func (r Registry) secret(name string) (*unstructured.Unstructured, error) {
	text, err := json.Marshal(map[string]any{"auths": r.logins})
	if err != nil {
		return nil, errors.New("the credentials cannot be written as JSON")
	}
	return newSecret(name, "kubernetes.io/dockerconfigjson", map[string][]byte{".dockerconfigjson": text}), nil
}
