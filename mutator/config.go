package mutator

import (
	"errors"
	"fmt"
	"path"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/image"
)

// Config is the section `mutator` of the configuration file, with one field per
// rule.
type Config struct {
	ServiceAccount   ServiceAccount   `json:"serviceAccount"`
	DockerConfig     DockerConfig     `json:"dockerConfig"`
	Kaniko           Kaniko           `json:"kaniko"`
	Env              Env              `json:"env"`
	CABundle         CABundle         `json:"caBundle,omitzero"`
	Resources        Resources        `json:"resources"`
	ImagePullSecrets ImagePullSecrets `json:"imagePullSecrets"`
	PodTemplate      PodTemplate      `json:"podTemplate"`
	ImageMirror      ImageMirror      `json:"imageMirror"`

	LocalTasks LocalTasks `json:"localTasks,omitzero"`

	Overlays Overlays `json:"overlays,omitzero"`
}

// LocalTasks configures how rules reach the steps of Tasks and StepActions that are stored
// in the namespace of the run that names them.
type LocalTasks struct {
	Scope `json:",inline"`
	// Mode is how: see LocalTasksMode. Empty means resolve.
	Mode LocalTasksMode `json:"mode,omitempty"`
}

// LocalTasksMode is a way to the steps of a Task that is stored in the run's namespace.
type LocalTasksMode string

const (
	// TasksResolved makes the run fetch its Task by Tekton's cluster resolver. For that run
	// alone the Task passes through the rules; what is stored stays as it is.
	TasksResolved LocalTasksMode = "resolve"
	// TasksStored changes Tasks, StepActions and Pipelines when they are stored.
	TasksStored LocalTasksMode = "stored"
	// TasksInPods changes neither: DOCKER_CONFIG reaches the steps through the run's
	// podTemplate, and what can be added in a Pod is added there.
	TasksInPods LocalTasksMode = "pod-template"
)

// Overlays configures the settings that Namespaces have of their own, see
// wellknown.MutatorKey.
type Overlays struct {
	// Disabled makes the cluster's configuration hold in all namespaces.
	Disabled bool `json:"disabled,omitempty"`
	// Fields are the paths in the section mutator that Namespaces may set, with
	// everything below them, such as serviceAccount.name. Empty means all.
	Fields []string `json:"fields,omitempty"`
}

// IsZero makes an empty list the same as none.
func (o Overlays) IsZero() bool { return !o.Disabled && len(o.Fields) == 0 }

// ServiceAccount configures the rule service-account.
type ServiceAccount struct {
	Scope `json:",inline"`
	// Name is the ServiceAccount for runs that name none. Empty, as it is by
	// default, switches the rule off: a ServiceAccount is a privilege, which
	// nobody should be given unasked.
	Name string `json:"name,omitempty"`
	// TreatAsUnset lists names that count as none, such as default.
	TreatAsUnset []string `json:"treatAsUnset,omitempty"`
}

// DockerConfig configures the rule docker-config.
type DockerConfig struct {
	Scope `json:",inline"`
	// Path is the folder whose config.json builders read their credentials from.
	Path string `json:"path"`
	// Builders are programs that read it, besides those that Tekgate knows.
	Builders Builders `json:"builders,omitzero"`
	// WorkloadIdentity lists annotations of ServiceAccounts that give their Pods
	// an identity at a cloud, besides those that Tekgate knows.
	WorkloadIdentity []string `json:"workloadIdentity,omitempty"`
}

// Builders are programs that read DOCKER_CONFIG.
type Builders struct {
	// Images are patterns of host and path, as in mirror.rules.
	Images []string `json:"images,omitempty"`
	// Commands are names of programs, or paths.
	Commands []string `json:"commands,omitempty"`
}

// Kaniko configures the rule kaniko.
type Kaniko struct {
	Scope `json:",inline"`
	// Image takes the place of Kaniko's public images: a repository, which keeps
	// the author's tag, or one with a tag, which keeps the flavour of the author's
	// tag (debug or slim). Empty leaves images alone.
	Image string `json:"image,omitempty"`
	// Command sets the command of steps that have arguments alone, so that Tekton
	// need not ask the registry for the image's entrypoint.
	Command bool `json:"command"`
	// RegistryMap are mirrors of registries (KANIKO_REGISTRY_MAP).
	RegistryMap map[string]string `json:"registryMap,omitempty"`
	// RegistryMirror is the mirror of Docker Hub (KANIKO_REGISTRY_MIRROR).
	RegistryMirror string `json:"registryMirror,omitempty"`
	// Args are default arguments, such as --push-retry=3.
	Args []string `json:"args,omitempty"`
}

// Env configures the rule env.
type Env struct {
	Scope `json:",inline"`
	// Set are the variables, by steps.
	Set []EnvSet `json:"set,omitempty"`
}

// EnvSet are variables for some steps.
type EnvSet struct {
	Steps     Steps           `json:"steps,omitzero"`
	Variables []corev1.EnvVar `json:"variables"`
}

// CABundle configures the rule ca-bundle.
type CABundle struct {
	Scope `json:",inline"`
	// ConfigMap holds the certificates, in each namespace that has it. Empty, as it is by
	// default, switches the rule off.
	ConfigMap string `json:"configMap,omitempty"`
	// Key is the one that holds them, as PEM. Empty means ca.crt.
	Key string `json:"key,omitempty"`
	// Complete says that they include the public authorities, so that variables may be set
	// which replace all other authorities.
	Complete bool `json:"complete,omitempty"`
	// Steps selects the steps, in place of those that build or push.
	Steps Steps `json:"steps,omitzero"`
}

// IsZero makes a section that says nothing the same as none.
func (c CABundle) IsZero() bool {
	return !c.Disabled && c.Only == nil && c.Except == nil && c.ConfigMap == "" && c.Key == "" && !c.Complete &&
		c.Steps.empty()
}

// Resources configures the rule resources.
type Resources struct {
	Scope `json:",inline"`
	// Set are the resources, by steps; the first that selects a step counts.
	Set []ResourcesSet `json:"set,omitempty"`
}

// ResourcesSet are requests and limits for some steps.
type ResourcesSet struct {
	Steps    Steps               `json:"steps,omitzero"`
	Requests corev1.ResourceList `json:"requests,omitempty"`
	Limits   corev1.ResourceList `json:"limits,omitempty"`
}

// ImagePullSecrets configures the rule image-pull-secrets.
type ImagePullSecrets struct {
	Scope `json:",inline"`
	// Names are those of Secrets, which each namespace has to have itself.
	Names []string `json:"names,omitempty"`
}

// PodTemplate configures the rule pod-template: what of it a run's podTemplate
// lacks is added. The fields are those of Tekton's podTemplate of these names.
type PodTemplate struct {
	Scope                     `json:",inline"`
	NodeSelector              map[string]string                 `json:"nodeSelector,omitempty"`
	Tolerations               []corev1.Toleration               `json:"tolerations,omitempty"`
	Affinity                  *corev1.Affinity                  `json:"affinity,omitempty"`
	TopologySpreadConstraints []corev1.TopologySpreadConstraint `json:"topologySpreadConstraints,omitempty"`
	SecurityContext           *corev1.PodSecurityContext        `json:"securityContext,omitempty"`
	DNSPolicy                 corev1.DNSPolicy                  `json:"dnsPolicy,omitempty"`
	DNSConfig                 *corev1.PodDNSConfig              `json:"dnsConfig,omitempty"`
	HostAliases               []corev1.HostAlias                `json:"hostAliases,omitempty"`
	PriorityClassName         string                            `json:"priorityClassName,omitempty"`
	RuntimeClassName          string                            `json:"runtimeClassName,omitempty"`
	SchedulerName             string                            `json:"schedulerName,omitempty"`
}

// ImageMirror configures the rule image-mirror.
type ImageMirror struct {
	Scope `json:",inline"`
	// Enabled switches the rule on. It is off by default, since a mirror that
	// holds Tekton's images need not hold those of every TaskRun.
	Enabled bool `json:"enabled,omitempty"`
	// Mirror takes the place of the file's section mirror for the images of
	// steps; where it is left out, that section holds for them too.
	Mirror *image.Mirror `json:"mirror,omitempty"`
	// Entrypoints says of which images the rule names the command: see Entrypoints.
	Entrypoints Entrypoints `json:"entrypoints,omitempty"`
}

// Entrypoints says in which steps the rule image-mirror names the command, so that Tekton need
// not look the image's entrypoint up.
type Entrypoints string

const (
	// EntrypointsKnown is those with arguments, and with an image and a release of which Tekgate
	// knows for certain what it starts. Empty means the same.
	EntrypointsKnown Entrypoints = "known"
	// EntrypointsMirror is also those whose image `tekgate images lock` has read on the mirror.
	EntrypointsMirror Entrypoints = "mirror"
	// EntrypointsOff is none.
	EntrypointsOff Entrypoints = "off"
)

// Default returns the configuration that holds where the file says nothing.
func Default() Config {
	return Config{DockerConfig: DockerConfig{Path: "/tekton/creds/.docker"}, Kaniko: Kaniko{Command: true},
		ImageMirror: ImageMirror{Entrypoints: EntrypointsKnown}}
}

// Validate reports all that is wrong, joined, each problem with the path of its
// field in the section.
func (c Config) Validate() error {
	_, err := compile(c, nil)
	return err
}

// checker collects what is wrong with one rule's section.
type checker struct {
	section  string
	problems []error
}

func (c *checker) problem(format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s.%s", c.section, fmt.Sprintf(format, args...)))
}

// brokenPaths are values that look right, and that people paste from old
// articles, with the reason why Kaniko finds no credentials there.
var brokenPaths = []struct{ path, reason string }{
	{"/tekton/home", "Tekton has put no credentials there since v0.24"},
	{"/root", "Kaniko deletes it after each stage of a Dockerfile"},
	{"/kaniko", "it is where Kaniko's image looks anyway, and where Tekton puts nothing"},
}

func (c *checker) dockerConfigPath(value string) {
	const remedy = `write /tekton/creds/.docker, which every version of Tekton fills`
	if value == "" {
		c.problem("path: is empty: write `disabled: true` to switch the rule off")
		return
	}
	if !path.IsAbs(value) || strings.Contains(value, "$(") {
		c.problem("path: %q is not an absolute path: %s", value, remedy)
		return
	}
	for _, broken := range brokenPaths {
		if within(broken.path, path.Clean(value)) {
			c.problem("path: %q does not work, since %s: %s", value, broken.reason, remedy)
		}
	}
}

// names checks names of objects.
func (c *checker) names(at string, names ...string) {
	for _, name := range names {
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			c.problem("%s: %q is not a name: %s", at, name, problems[0])
		}
	}
}

func (c *checker) err() error { return errors.Join(c.problems...) }
