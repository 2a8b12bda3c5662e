package main

import (
	"context"
	"io"
	"os"
	"strings"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/config"
	"github.com/google/go-containerregistry/pkg/authn"
	kubernetesauth "github.com/google/go-containerregistry/pkg/authn/kubernetes"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/moby/buildkit/session/auth/authprovider"
	podmanreference "go.podman.io/image/v5/docker/reference"
	podmanconfig "go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/kubernetes/pkg/credentialprovider"
	"k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
	"oras.land/oras-go/v2/registry"
	"oras.land/oras-go/v2/registry/remote/credentials"
)

func pullSecret(q question) []corev1.Secret {
	return []corev1.Secret{{
		Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(q.Config)},
	}}
}

// kubelet looks up the image's credentials as the kubelet's image manager does.
func kubelet(q question) ([]string, error) {
	repository, _, _, err := parsers.ParseImageName(q.Image)
	if err != nil {
		return nil, err
	}
	keyring, err := secrets.MakeDockerKeyring(pullSecret(q), &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return nil, err
	}
	var all []string
	found, _ := keyring.Lookup(repository)
	for _, c := range found {
		all = append(all, sent(c.Username, c.Password, c.IdentityToken, c.RegistryToken))
	}
	if len(all) == 0 {
		return []string{"anonymous"}, nil
	}
	return all, nil
}

// tektonController looks up the image's credentials as Tekton's controller does before it asks
// for an entrypoint.
func tektonController(q question) ([]string, error) {
	keychain, err := kubernetesauth.NewFromPullSecrets(context.Background(), pullSecret(q))
	if err != nil {
		return nil, err
	}
	return resolve(keychain, q.Image)
}

// containerRegistry is what Kaniko, ko and crane do.
func containerRegistry(q question) ([]string, error) {
	return resolve(authn.DefaultKeychain, q.Image)
}

func resolve(keychain authn.Keychain, image string) ([]string, error) {
	ref, err := name.ParseReference(image, name.WeakValidation)
	if err != nil {
		return nil, err
	}
	authenticator, err := keychain.Resolve(ref.Context())
	if err != nil {
		return nil, err
	}
	c, err := authenticator.Authorization()
	if err != nil {
		return nil, err
	}
	return []string{sent(c.Username, c.Password, c.IdentityToken, c.RegistryToken)}, nil
}

// containers is what buildah, podman and skopeo do.
func containers(q question) ([]string, error) {
	ref, err := podmanreference.ParseNormalizedNamed(q.Image)
	if err != nil {
		return nil, err
	}
	sys := &types.SystemContext{
		SystemRegistriesConfPath:    registriesConf(),
		SystemRegistriesConfDirPath: os.Getenv("DOCKER_CONFIG") + "/none",
	}
	c, err := podmanconfig.GetCredentialsForRef(sys, ref)
	if err != nil {
		return nil, err
	}
	return []string{sent(c.Username, c.Password, c.IdentityToken)}, nil
}

// buildkit is what buildctl does.
func buildkit(q question) ([]string, error) {
	ref, err := reference.ParseNormalizedNamed(q.Image)
	if err != nil {
		return nil, err
	}
	host := reference.Domain(ref)
	if host == "docker.io" {
		host = authprovider.DockerHubRegistryHost
	}
	load := authprovider.LoadAuthConfig(config.LoadDefaultConfigFile(io.Discard))
	c, err := load(context.Background(), host, nil, nil)
	if err != nil {
		return nil, err
	}
	return []string{sent(c.Username, c.Password, c.IdentityToken, c.RegistryToken)}, nil
}

// orasStore is what oras does. A reference of oras has a registry.
func orasStore(q question) ([]string, error) {
	image := q.Image
	named, err := reference.ParseNormalizedNamed(image)
	if err != nil {
		return nil, err
	}
	if host, _, _ := strings.Cut(named.String(), "/"); host == "docker.io" &&
		!strings.HasPrefix(image, "docker.io/") && !strings.HasPrefix(image, "index.docker.io/") {
		image = named.String()
	}
	ref, err := registry.ParseReference(image)
	if err != nil {
		return nil, err
	}
	store, err := credentials.NewStore(configFile(), credentials.StoreOptions{})
	if err != nil {
		return nil, err
	}
	c, err := credentials.Credential(store)(context.Background(), ref.Host())
	if err != nil {
		return nil, err
	}
	return []string{sent(c.Username, c.Password, c.RefreshToken, c.AccessToken)}, nil
}
