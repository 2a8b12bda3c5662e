// Package clients models which entry of a Docker configuration each registry client sends for an
// image.
//
// Clients agree on the file and disagree on its keys. The functions here describe the libraries
// that the clients link, one function per library; a test compares each with the library itself
// (e2e/clients). Everything that Tekgate prints or documents about clients comes from the table
// Clients.
package clients

// Client is a registry client, or several that use the same library.
type Client struct {
	Name string
	// Library is what the answers were compared with.
	Library string
	// Pulls is true for those that read pull Secrets as they are. The others run in steps, and
	// read the file that Tekton writes from the Secrets of the run's ServiceAccount.
	Pulls bool
	// PathKeys is how keys with a path, such as reg.example.com/team, count.
	PathKeys string

	library string // its name in e2e/clients
	answer  func(Config, Image) Answer
}

// Clients is the table of all clients.
var Clients = []Client{
	{
		Name: "kubelet", Library: "k8s.io/kubernetes/pkg/credentialprovider v1.36.3", Pulls: true,
		PathKeys: "by text: team/app also counts for team/appendix; the longest is tried first, then the others",
		library:  "kubelet", answer: kubelet,
	},
	{
		Name: "Tekton's controller", Library: "go-containerregistry/pkg/authn/kubernetes 20250225", Pulls: true,
		PathKeys: "by text: team/app also counts for team/appendix; only the longest is tried",
		library:  "tekton", answer: tektonController,
	},
	{
		Name: "Kaniko (chainguard, osscontainertools)", Library: "go-containerregistry v0.22.1",
		PathKeys: "only for exactly that repository; without a key for the host, any of its keys counts, at random",
		library:  "ggcr", answer: containerRegistry,
	},
	{
		Name: "ko, crane", Library: "go-containerregistry v0.22.1",
		PathKeys: "only for exactly that repository; without a key for the host, any of its keys counts, at random",
		library:  "ggcr", answer: containerRegistry,
	},
	{
		Name: "buildah, podman, skopeo", Library: "go.podman.io/image v5.42.1",
		PathKeys: "as expected: the longest path that covers the image counts",
		library:  "containers", answer: containers,
	},
	{
		Name: "BuildKit", Library: "moby/buildkit v0.34.2",
		PathKeys: "never; without a key for the host, any of its keys counts, at random",
		library:  "buildkit", answer: buildkit,
	},
	{
		Name: "oras", Library: "oras-go v2.7.0",
		PathKeys: "never; without a key for the host, any of its keys counts, at random",
		library:  "oras", answer: oras,
	},
	{
		Name: "regctl", Library: "regclient v0.11.7",
		PathKeys: "never: such keys are dropped",
		library:  "regclient", answer: regctl,
	},
}

// Source is what clients can read of a Secret.
type Source struct {
	Config Config
	// StepsOnly is true for a Secret that Tekton makes a login of, and that neither the kubelet
	// nor Tekton's controller reads.
	StepsOnly bool
}

// reads returns what the client gets to see of a Secret.
func (c Client) reads(source Source) Config {
	switch {
	case !c.Pulls:
		return source.Config.InSteps()
	case source.StepsOnly:
		return nil
	}
	return source.Config
}
