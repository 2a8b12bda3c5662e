package images

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
)

// exportContainerd writes a hosts.toml for every registry whose images have their own paths
// on the mirror: containerd can use another host and a prefix, and nothing else.
func exportContainerd(e export) (map[string][]byte, []string, error) {
	byHost := map[string][]image.Rewritten{}
	for _, done := range e.images {
		host := done.From.Canonical().Host
		byHost[host] = append(byHost[host], done)
	}
	files := map[string][]byte{}
	warnings := []string{
		"containerd's mirrors serve the nodes only: Tekton's controller looks up entrypoints in the registry itself, under the name that a Task says; install with the mirror, or give steps a command",
		"containerd sends the account for an upstream registry to the mirror, too, and uses no other for it: store the mirror's account under the upstream's host in the pull Secret",
	}
	for _, host := range slices.Sorted(maps.Keys(byHost)) {
		prefix, ok := commonPrefix(byHost[host], func(from image.Reference) string { return from.Path })
		if !ok {
			warnings = append(warnings,
				fmt.Sprintf(
					"%s is left out: its images have other paths on the mirror, which containerd cannot express", host))
			continue
		}
		files["certs.d/"+host+"/hosts.toml"] = hostsTOML(host, prefix, plainHosts(e))
	}
	if len(files) == 0 {
		return nil, nil,
			fmt.Errorf(
				"no registry's images keep their paths on this mirror: containerd needs mirror.layout keep-path or host-path, or a preset such as daocloud")
	}
	return files, warnings, nil
}

func hostsTOML(host, prefix string, plain []string) []byte {
	server := host
	if server == "docker.io" {
		server = "registry-1.docker.io"
	}
	at, path, below := strings.Cut(prefix, "/")
	url, override := address(at, plain), ""
	if below {
		// The path of the API, which containerd would put at the root.
		url, override = url+"/v2/"+path, "  override_path = true\n"
	}
	text := fmt.Appendf(nil, "\nserver = %q\n\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n%s",
		address(server, plain), url, override)
	return withHeader(text,
		"Copy it to /etc/containerd/certs.d/"+host+"/hosts.toml on every node. containerd reads it",
		"without a restart, if its configuration has config_path = \"/etc/containerd/certs.d\" under",
		"[plugins.\"io.containerd.cri.v1.images\".registry] (containerd 1: io.containerd.grpc.v1.cri).",
		"",
		"Accounts: containerd sends the account that a pull Secret has for "+host+" to the mirror first,",
		"whoever runs the mirror. An account of the mirror has to be stored under "+host+", too, as in",
		"`tekgate credentials pull NAME --server "+host+"`; an entry under "+at+" is never used.",
		"",
		"Failures: containerd asks "+server+" next if the mirror refuses the connection, or answers",
		"404, 401 without a challenge, 403, 429 (after retries) or 500, and if it lacks a blob. It does",
		"not if the mirror redirects to a web page or answers 200 with one: then the pull fails.")
}

// address returns the URL of a registry.
func address(host string, plain []string) string {
	if slices.Contains(plain, host) {
		return "http://" + host
	}
	return "https://" + host
}
