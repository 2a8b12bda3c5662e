package credentials

import (
	"encoding/base64"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/credentials/clients"
)

// registryPrefix begins the annotations with which Tekton makes a registry's login of a Secret
// of type basic-auth.
const registryPrefix = "tekton.dev/docker-"

// Source returns what registry clients read of a Secret. The error contains none of its values.
func Source(secret *unstructured.Unstructured) (clients.Source, error) {
	kind, _, _ := unstructured.NestedString(secret.Object, "type")
	fail := func(err error) (clients.Source, error) {
		return clients.Source{}, fmt.Errorf("reading Secret %s/%s: %w", secret.GetNamespace(), secret.GetName(), err)
	}
	var config clients.Config
	var err error
	switch kind {
	case "kubernetes.io/dockerconfigjson":
		config, err = clients.Parse(value(secret, ".dockerconfigjson"))
	case "kubernetes.io/dockercfg":
		config, err = clients.ParseLegacy(value(secret, ".dockercfg"))
	case "kubernetes.io/basic-auth":
		return basicSource(secret), nil
	default:
		err = fmt.Errorf("no registry client reads a Secret of type %s: "+
			"write one with `tekgate credentials registry`", kind)
	}
	if err != nil {
		return fail(err)
	}
	return clients.Source{Config: config}, nil
}

// FileSource returns what registry clients would read of a Secret with a Docker configuration as
// it is, and warnings about what of the file they would not get.
func FileSource(text []byte) (source clients.Source, warnings []string, err error) {
	var stores credentialStores
	config, err := clients.Parse(text)
	if err == nil {
		err = stores.parse(text)
	}
	return clients.Source{Config: config}, stores.dropped(), err
}

func basicSource(secret *unstructured.Unstructured) clients.Source {
	source := clients.Source{StepsOnly: true}
	for key, server := range secret.GetAnnotations() {
		if strings.HasPrefix(key, registryPrefix) {
			username, password := string(value(secret, "username")), string(value(secret, "password"))
			source.Config = append(source.Config, clients.Entry{
				Key: server, Username: username, Password: password,
				Auth: base64.StdEncoding.EncodeToString([]byte(username + ":" + password)),
			})
		}
	}
	return source
}

func value(secret *unstructured.Unstructured, key string) []byte {
	text, _, _ := unstructured.NestedString(secret.Object, "data", key)
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return nil
	}
	return decoded
}
