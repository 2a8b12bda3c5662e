package sources

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/validator/rule"
)

var resolverNodeAddressRule = &rule.Rule{
	ID:       "resolver-node-address",
	Severity: rule.Error,
	Kinds:    withSources,
	Doc: `Finds an address of the git or http resolver that only the resolver's Pod or its node can
mean: localhost, loopback and link-local addresses, and the clouds' metadata services,
which hand out the node's credentials. What is fetched comes back in the
ResolutionRequest's status, where whoever wrote the run can read it.

Services of the cluster pass: a Git server may well be one. policy.trust.resolverHosts
says which hosts are meant, see resolver-host.`,
	Check: checkResolverNodeAddress,
}

// metadataHosts are the names and addresses at which clouds tell a node about itself
// beside the link-local ones.
var metadataHosts = []string{"metadata", "metadata.google.internal", "instance-data", "100.100.100.200",
	"fd00:ec2::254"}

func checkResolverNodeAddress(_ context.Context, p *rule.Pass) {
	for _, s := range sourcesIn(p) {
		for _, a := range s.addresses() {
			if _, host, ok := a.parts(); ok && isNode(host) {
				p.Report(a.Path,
					"%s is the resolver's Pod or its node, whose credentials whoever writes the run could read: name the server that has the %s",
					host, s.Kind)
			}
		}
	}
}

func isNode(host string) bool {
	if host == "localhost" || strings.HasSuffix(host, ".localhost") || slices.Contains(metadataHosts, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap()
	return ip.IsLoopback() || ip.IsLinkLocalUnicast() || ip.IsUnspecified()
}
