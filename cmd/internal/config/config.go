// Package config reads the one configuration file of Tekgate.
//
// The file is strict: whatever is not known in it is an error with its path,
// and everything that is wrong is said at once. Each section belongs to the
// component that it configures; only `install`, `certificates` and `tekton`, which tell the
// command line where the servers are, who certifies them and how to set up Tekton, belong
// to none. It lives beside the commands, since it is the one place that knows all components.
package config

import (
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/declared"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/problems"
	"github.com/tekgate/tekgate/internal/strict"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/policy"
	"github.com/tekgate/tekgate/validator"
)

// kind is what the file says it is.
const kind = "Configuration"

// Configuration is the whole file.
type Configuration struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`

	// Mirror says where images are to come from.
	Mirror image.Mirror `json:"mirror,omitzero"`
	// Components are what is installed of Tekton; nil for Pipelines, Triggers, and whatever
	// else is installed already. It is for the command line alone.
	Components []string `json:"components,omitempty"`
	// Install is for the command line alone.
	Install Install `json:"install,omitzero"`
	// Certificates says where the servers' certificates come from; it is for the
	// command line, too.
	Certificates Certificates `json:"certificates,omitzero"`
	// Tekton declares settings of Tekton; it is for the command line, too.
	Tekton declared.Settings `json:"tekton,omitzero"`
	// Mutator, Validator and Interceptor configure the servers.
	Mutator     mutator.Config     `json:"mutator,omitzero"`
	Validator   validator.Config   `json:"validator,omitzero"`
	Interceptor interceptor.Config `json:"interceptor,omitzero"`

	saysSecretLabel bool // the file does
}

// Account returns the ServiceAccount that the webhook gives to all runs that name none; "" where
// there is none, or where some runs get none.
func (c *Configuration) Account() string {
	rule := c.Mutator.ServiceAccount
	if rule.Disabled || rule.Only != nil || rule.Except != nil {
		return ""
	}
	return rule.Name
}

// Install configures `tekgate install`.
type Install struct {
	// Version is the line or the version of Tekton Pipelines to install, such as v1.12 or
	// v1.12.2, and with it the release of Triggers that fits. Empty means the newest line.
	Version string `json:"version,omitempty"`
	// WebhookURL is where the API server finds the admission server when that
	// runs outside the cluster: scheme, host and port, for example
	// https://127.0.0.1:9443. Empty means its Service.
	WebhookURL string `json:"webhookURL,omitempty"`
	// FailurePolicy is PolicyIgnore or PolicyFail by the webhook's name; PolicyIgnore
	// where it says nothing.
	FailurePolicy map[string]string `json:"failurePolicy,omitempty"`
	// APIServerCIDRs are the addresses of the API servers, as the admission server's Pods
	// see them: others may not call it. Empty means that any may.
	APIServerCIDRs []string `json:"apiServerCIDRs,omitempty"`
	// APIServerClient describes the client certificate that API servers present.
	APIServerClient APIServerClient `json:"apiServerClient,omitzero"`
}

// APIServerClient describes client certificates of API servers. An API server presents one
// only where its AdmissionConfiguration says so.
type APIServerClient struct {
	// CA are the certificates, as PEM, that theirs must lead to.
	CA string `json:"ca,omitempty"`
	// Names are the common names that they may have: the CA may sign others, too.
	Names []string `json:"names,omitempty"`
}

func (c APIServerClient) validate() error {
	switch {
	case c.CA == "" && len(c.Names) == 0:
		return nil
	case !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)):
		return errors.New("apiServerClient.ca: it holds no certificate as PEM")
	case len(c.Names) == 0:
		return errors.New("apiServerClient.names: name the certificates of the API servers, since the CA may sign others, too")
	}
	return nil
}

// What becomes of a request while the admission server does not answer.
const (
	PolicyIgnore = "ignore" // it passes, without having been judged
	PolicyFail   = "fail"   // it is refused
)

// Default returns the configuration that holds where a file says nothing.
func Default() *Configuration {
	return &Configuration{
		APIVersion:   wellknown.APIVersion,
		Kind:         kind,
		Certificates: Certificates{Source: SourceAuto},
		Mutator:      mutator.Default(),
		Validator:    validator.Default(),
		Interceptor:  interceptor.Default(),
	}
}

// Load reads and checks a file. The empty path stands for Default.
func Load(path string) (*Configuration, error) {
	if path == "" {
		return Default(), nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	c, err := Parse(text)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", path, err)
	}
	return c, nil
}

// Parse reads and checks the text of a file.
func Parse(text []byte) (*Configuration, error) {
	c := Default()
	c.APIVersion, c.Kind = "", ""
	if err := strict.UnmarshalYAML(text, c); err != nil {
		if strict.Decoded(err) {
			return nil, problems.Flatten(errors.Join(err, c.Validate()))
		}
		return nil, err
	}
	_, c.saysSecretLabel = SecretLabel(text)
	return c, c.Validate()
}

// SecretLabel returns interceptor.secretLabel of a file, and whether it has one. The file may
// be of another version of Tekgate.
func SecretLabel(text []byte) (label string, found bool) {
	var file struct {
		Interceptor struct {
			SecretLabel *string `json:"secretLabel"`
		} `json:"interceptor"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil || file.Interceptor.SecretLabel == nil {
		return "", false
	}
	return *file.Interceptor.SecretLabel, true
}

// SaysSecretLabel reports whether the file sets interceptor.secretLabel.
func (c *Configuration) SaysSecretLabel() bool { return c.saysSecretLabel }

// Validate reports all that is wrong, joined.
func (c *Configuration) Validate() error {
	if c.APIVersion != wellknown.APIVersion || c.Kind != kind {
		return fmt.Errorf("not a Tekgate configuration: it has to say `apiVersion: %s` and `kind: %s`",
			wellknown.APIVersion, kind)
	}
	_, mirror := c.Mirror.Compile()
	return errors.Join(
		mirror,
		validateComponents(c.Components),
		problems.Prefix("install.", c.Install.validate()),
		problems.Prefix("certificates.", c.Certificates.validate()),
		problems.Prefix("tekton.", c.Tekton.Validate()),
		problems.Prefix("mutator.", c.Mutator.Validate()),
		problems.Prefix("validator.", c.Validator.Validate()),
		problems.Prefix("interceptor.", c.Interceptor.Validate()),
	)
}

func (i Install) validate() error {
	var problems []error
	for _, hook := range slices.Sorted(maps.Keys(i.FailurePolicy)) {
		policy := i.FailurePolicy[hook]
		switch {
		case hook == wellknown.ValidateConfiguration:
			problems = append(problems, fmt.Errorf("failurePolicy.%s: it is always %s, so that a wrong configuration can be corrected while the server is down: leave it out",
				hook, PolicyIgnore))
		case !slices.Contains(wellknown.SettableFailurePolicy, hook):
			problems = append(problems, fmt.Errorf("failurePolicy: webhook %q does not exist: %s", hook,
				suggest.DidYouMean(hook, wellknown.SettableFailurePolicy,
					"the webhooks are "+strings.Join(wellknown.SettableFailurePolicy, ", "))))
		case policy != PolicyIgnore && policy != PolicyFail:
			problems = append(problems, fmt.Errorf("failurePolicy.%s: %q must be %s or %s", hook, policy, PolicyIgnore,
				PolicyFail))
		case policy == PolicyFail && i.WebhookURL != "":
			problems = append(problems, fmt.Errorf("failurePolicy.%s: %s needs the Service of the cluster, whose replicas are watched: leave out webhookURL, or set %s",
				hook, PolicyFail, PolicyIgnore))
		}
	}
	for n, cidr := range i.APIServerCIDRs {
		if _, err := netip.ParsePrefix(cidr); err != nil {
			problems = append(problems,
				fmt.Errorf("apiServerCIDRs[%d]: %q is not a range of addresses such as 10.0.0.1/32", n, cidr))
		}
	}
	return errors.Join(append(problems, i.APIServerClient.validate(), i.validateURL())...)
}

func (i Install) validateURL() error {
	if i.WebhookURL == "" {
		return nil
	}
	u, err := url.Parse(i.WebhookURL)
	if err == nil && u.User != nil {
		return errors.New("webhookURL: it has to be https://HOST:PORT and no more, without a user and a password")
	}
	if err != nil || u.Scheme != "https" || u.Host == "" || strings.Trim(u.Path, "/") != "" {
		return fmt.Errorf("webhookURL: %q has to be https://HOST:PORT and no more", i.WebhookURL)
	}
	return nil
}

// Failing returns the webhooks that have failurePolicy Fail, sorted.
func (i Install) Failing() []string {
	var failing []string
	for _, hook := range slices.Sorted(maps.Keys(i.FailurePolicy)) {
		if i.FailurePolicy[hook] == PolicyFail {
			failing = append(failing, hook)
		}
	}
	return failing
}

// Servers returns the text of the servers' part, which `tekgate install` puts
// into their ConfigMap. The error says why they could not use it.
func (c *Configuration) Servers() ([]byte, error) {
	if c.Mutator.ImageMirror.Enabled && c.Mutator.ImageMirror.Mirror == nil && c.Mirror.Empty() {
		return nil, errors.New(
			"mutator.imageMirror.enabled: there is no mirror: write a section mirror, or mutator.imageMirror.mirror")
	}
	part := *c
	// By these the admission server knows API servers.
	part.Install = Install{APIServerCIDRs: c.Install.APIServerCIDRs, APIServerClient: c.Install.APIServerClient}
	part.Certificates, part.Tekton, part.Components = Certificates{}, declared.Settings{}, nil
	return yaml.Marshal(part)
}

// Conditions returns the expressions of the match conditions that come from the
// configuration, by the webhook's name: which objects the rules have to do with. Own
// are the namespaces with settings of their own, see policy.Conditions.
func (c *Configuration) Conditions(own []string) (map[string]string, error) {
	var mirror *image.Rules
	if !c.Mirror.Empty() {
		var err error
		if mirror, err = c.Mirror.Compile(); err != nil {
			return nil, err
		}
	}
	conditions, err := policy.Conditions(c.Mutator, mirror, own)
	if err != nil {
		return nil, fmt.Errorf("mutator.%w", err)
	}
	maps.Copy(conditions, validator.Conditions(c.Validator))
	return conditions, nil
}
