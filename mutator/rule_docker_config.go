package mutator

import (
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/object"
)

const (
	dockerConfig = "DOCKER_CONFIG"
	authFile     = "REGISTRY_AUTH_FILE"
)

var dockerConfigRule = Rule{
	ID:    "docker-config",
	Kinds: slices.Concat(withSteps, pods),
	Doc: `Sets the environment variable DOCKER_CONFIG in every step that builds or pushes
images, so that it finds the registry credentials of the run's ServiceAccount.

Tekton writes these credentials to /tekton/creds/.docker, while Kaniko's image
looks into /kaniko/.docker, and the push ends in UNAUTHORIZED
(tektoncd/pipeline#706, #7453). The value /tekton/home/.docker of older articles
has been empty since Tekton v0.24 (tektoncd/pipeline#3943), and what stands in
/root/.docker Kaniko deletes between the stages of a Dockerfile. /tekton/creds is
a mount, which Kaniko neither deletes nor snapshots; a Dockerfile that copies it, by
COPY --from=0 /tekton or by RUN, has the credentials in its image all the same. The other
builders look into the home of their user, where Tekton's copy may fail.

Steps with an image of Skopeo also get REGISTRY_AUTH_FILE, config.json in the same folder:
these images set it to a file that does not exist, and Skopeo reads no other.

Configured by ` + "`mutator.dockerConfig.path`" + `, by default /tekton/creds/.docker.

A step builds if its command is one of these programs, or its image one of their
repositories in any registry: Kaniko, buildah, podman, skopeo, ko, crane, cosign,
buildctl and docker; and what ` + "`mutator.dockerConfig.builders`" + ` adds
(` + "`images`, `commands`" + `). What the mirror of the configuration makes of their
repositories is theirs, too. What a step does not say its stepTemplate says.
Parameters of the image are filled in as far as the run or the Task says them.

A local Task is looked up. If it has a step that builds, the run's podTemplate is
given the variable, which all its steps see: so each of them must be free of the
reasons below, and the cluster's Tekton v0.43 or later.

A step is left alone if

- DOCKER_CONFIG is set already: in the step, its stepTemplate, the run's
  podTemplate or the cluster's default-pod-template, by value or from elsewhere,
  empty or not; or DOCKER_AUTH_CONFIG is, which outranks it;
- REGISTRY_AUTH_FILE is set, and the builder reads it: buildah, podman and skopeo read that
  file alone (those of Debian 12 read DOCKER_CONFIG after it); Kaniko, ko, crane and cosign
  read it where there is no docker configuration, which DOCKER_CONFIG would be. docker and
  buildctl do not read it;
- it has envFrom, or its stepTemplate has, for that may set it;
- a volume or workspace is mounted where the builder looks, below it or above, or at
  any folder called .docker. A workspace that is optional and that the TaskRun does
  not bind does not count;
- its script, command or arguments speak of credentials: DOCKER_CONFIG, a folder
  .docker, --authfile, --creds, a login;
- --kaniko-dir or KANIKO_DIR moves Kaniko, which then sets DOCKER_CONFIG itself.
  The answer has a warning, unless something is mounted there. osscontainertools' Kaniko
  keeps DOCKER_CONFIG from v1.28.3 on, so such a step gets it. A step with an older or
  unknown release of theirs is left alone without a warning;
- it refers to a StepAction, beside which Tekton allows no env;
- the ServiceAccount has an annotation for a workload identity at a cloud, which
  the variable would switch off (tektoncd/catalog#448). Where no run is known yet,
  one such ServiceAccount in the namespace is enough. More annotations:
  ` + "`mutator.dockerConfig.workloadIdentity`" + `;
- there will be no credentials: the ServiceAccount lists no Secret, or Tekton's
  flag disable-creds-init is on. The variable would hide what the image brings. The
  answer has a warning;
- Tekton's default-forbidden-env names DOCKER_CONFIG and the podTemplate would have
  to carry it.

The answer also has a warning where a step sets DOCKER_CONFIG or REGISTRY_AUTH_FILE to a path
below /tekton/home, since nothing fills that any more.

In a Pod a step that runs a script is left alone, for its text is not seen there.`,
	scope: func(s *settings) *scope { return &s.scopes.docker },
	apply: applyDockerConfig,
}

// workloadIdentities are the annotations by which clouds give a ServiceAccount an
// identity: Google, Amazon, Azure, Alibaba and Tencent.
var workloadIdentities = []string{
	"iam.gke.io/gcp-service-account",
	"eks.amazonaws.com/role-arn",
	"azure.workload.identity/client-id",
	"pod-identity.alibabacloud.com/role-name",
	"tke.cloud.tencent.com/role-arn",
}

func applyDockerConfig(ctx context.Context, p *pass) {
	if p.kind.Kind == "TaskRun" {
		if ref, ok := object.ReferenceOf(p.object); ok {
			p.dockerConfigOfTask(ctx, ref)
			return
		}
	}
	if len(p.tasks()) == 0 {
		p.not("", "no steps are written out in it")
	}
	for _, task := range p.tasks() {
		p.dockerConfigOf(ctx, task)
	}
}

// dockerConfigOf edits the steps of one task.
func (p *pass) dockerConfigOf(ctx context.Context, task object.Task) {
	asked, none := false, ""
	for _, v := range p.views(task) {
		if why := p.notBuilding(v); why != "" {
			p.notStep(v, why)
			continue
		}
		p.warnDockerConfig(v)
		if why := p.decided(v); why != "" {
			p.notStep(v, why)
			continue
		}
		if !asked { // only now, for most tasks never build
			asked, none = true, p.noCredentials(ctx, task)
		}
		if none != "" {
			p.notStep(v, none)
			continue
		}
		v.add(p.settings.dockerEntry)
		if !p.settings.setsAuthFile(v) {
			p.did(v.place(), "set "+dockerConfig)
			continue
		}
		v.add(p.settings.authFileEntry)
		p.did(v.place(), "set "+dockerConfig+" and "+authFile+", which its image sets to a file that does not exist")
	}
}

// setsAuthFile reports whether the image of a step sets REGISTRY_AUTH_FILE.
func (s *settings) setsAuthFile(v *view) bool {
	holds := s.image(v.known).builder
	return holds != nil && holds.SetsAuthFile
}

// notBuilding says why a step does not need credentials, or "".
func (p *pass) notBuilding(v *view) string {
	if p.settings.builds(v) == nil {
		return "neither its command nor its image is known to build or push images"
	}
	return p.excludesImage(&p.settings.scopes.docker, v.known)
}

// decisions are words that decide about credentials.
var decisions = []string{dockerConfig, "/.docker", authFile, "auth.json", "--authfile", "-creds", " login",
	"auth login"}

// moves are words by which Kaniko moves to another folder.
var moves = []string{kanikoDirVariable, kanikoDirFlag}

// decided says who has decided already where a step finds its credentials, or "".
func (p *pass) decided(v *view) string {
	if why := p.givenCredentials(v); why != "" {
		return why
	}
	if why := v.closed(); why != "" {
		return why
	}
	if v.step.InPod() && v.scripted {
		return "it runs a script, whose text is not seen in a Pod"
	}
	if why := p.moved(v); why != "" {
		return why
	}
	if word := v.says(decisions); word != "" {
		return fmt.Sprintf("what it runs speaks of credentials (%q)", strings.TrimSpace(word))
	}
	for _, dir := range p.settings.builds(v).Configs {
		if v.mounted(dir) {
			return "something is mounted at " + dir
		}
	}
	if v.mountsConfig() {
		return "a folder of docker's configuration is mounted"
	}
	return ""
}

// givenCredentials says which variable gives a step credentials already, or "".
func (p *pass) givenCredentials(v *view) string {
	for _, name := range [...]string{dockerConfig, "DOCKER_AUTH_CONFIG"} {
		if v.variable(name) != nil {
			return name + " is set already"
		}
	}
	if v.variable(authFile) != nil || setsEnv(p.tekton.DefaultPodTemplate, authFile) {
		switch p.settings.builds(v).AuthFile {
		case builder.AuthFileAlone:
			return authFile + " is set already, and is the only file that current releases read"
		case builder.AuthFileLast:
			return authFile + " is set already, and DOCKER_CONFIG would hide it"
		}
	}
	if setsEnv(p.tekton.DefaultPodTemplate, dockerConfig) {
		return "Tekton's default-pod-template sets DOCKER_CONFIG"
	}
	return ""
}

// moved says why a Kaniko that is moved to another folder does not read DOCKER_CONFIG, or "".
func (p *pass) moved(v *view) string {
	if _, moved := v.kanikoDir(); !moved && v.says(moves) == "" {
		return ""
	}
	switch p.movedDockerConfig(v) {
	case kaniko.KeepsDockerConfig:
		return ""
	case kaniko.UnknownDockerConfig:
		return "--kaniko-dir or KANIKO_DIR moves Kaniko, and it is not known whether this release keeps DOCKER_CONFIG"
	}
	return "--kaniko-dir or KANIKO_DIR makes Kaniko set DOCKER_CONFIG itself"
}

// movedDockerConfig returns what the Kaniko that a step will run does with DOCKER_CONFIG when it
// is moved.
func (p *pass) movedDockerConfig(v *view) kaniko.DockerConfig {
	known := p.settings.image(v.known)
	if known.err != nil || !v.certain {
		return kaniko.ReplacesDockerConfig
	}
	ref := known.ref
	to, why := p.houseOf(v)
	if to.text != "" && p.replacesKaniko(v) && (why == "" || p.settings.isReplaced(v.image, to)) {
		ref = to.Reference
	}
	return kaniko.MovedDockerConfig(ref.Repository(), kaniko.Release(ref.Tag))
}

// replacesKaniko reports whether the rule kaniko is for a step.
func (p *pass) replacesKaniko(v *view) bool {
	scope := &p.settings.scopes.kaniko
	return scope.on && !slices.Contains(p.skipped, "kaniko") && scope.excludes(p.space, labelled(p.labels)) == "" &&
		p.excludesImage(scope, v.known) == ""
}

// mountsConfig tells whether any mount is a folder or file of that purpose.
func (v *view) mountsConfig() bool {
	return slices.ContainsFunc(v.mounts, func(mountPath string) bool {
		base := path.Base(mountPath)
		return slices.Contains(strings.Split(mountPath, "/"), ".docker") || base == "auth.json" || base == "config.json"
	})
}

func setsEnv(podTemplate map[string]any, name string) bool {
	var r object.Reader
	return slices.ContainsFunc(r.FieldsList(podTemplate, "env"),
		func(e map[string]any) bool { return e["name"] == name })
}

// noCredentials says why Tekton will put no credentials into the steps of a task,
// or that a cloud gives them, or "".
func (p *pass) noCredentials(ctx context.Context, task object.Task) string {
	if p.tekton.CredsInitDisabled {
		p.warn("Tekton's flag disable-creds-init is on, so no step finds registry credentials and DOCKER_CONFIG is not set: " +
			"mount them, or switch the flag off in the ConfigMap feature-flags")
		return "Tekton's flag disable-creds-init is on"
	}
	if slices.Contains(stored, p.kind) {
		return p.identityNearby(ctx)
	}
	name := task.Run.ServiceAccount
	if name == "" {
		name = p.defaultAccount()
	}
	account, err := p.serviceAccount(ctx, name)
	if err != nil || account == nil || account.Assumed {
		return "" // unknown: what is there is better than nothing
	}
	for _, key := range p.settings.identities {
		if account.Annotations[key] != "" {
			return fmt.Sprintf("ServiceAccount %q has the workload identity annotation %s", name, key)
		}
	}
	if len(credentialSecrets(name, account.Secrets)) == 0 {
		p.warn("ServiceAccount %q in namespace %q lists no Secret, so Tekton gives the steps no registry credentials and DOCKER_CONFIG is not set: "+
			"add one with `tekgate credentials registry`, or to its field secrets", name, p.space)
		return fmt.Sprintf("ServiceAccount %q lists no Secret", name)
	}
	return ""
}

// identityNearby asks for any ServiceAccount, where no run is known yet.
func (p *pass) identityNearby(ctx context.Context) string {
	name, err := p.cluster.WorkloadIdentity(ctx, p.space, p.settings.identities)
	if err != nil || name == "" {
		return ""
	}
	return fmt.Sprintf(
		"ServiceAccount %q of the namespace has a workload identity, and which one will run this is not known yet",
		name)
}

// defaultAccount is what Tekton sets where a run names none.
func (p *pass) defaultAccount() string {
	if p.tekton.DefaultServiceAccount != "" {
		return p.tekton.DefaultServiceAccount
	}
	return "default"
}

// credentialSecrets leaves out the tokens that Kubernetes before v1.24 gave to
// every ServiceAccount, which are no credentials of a registry.
func credentialSecrets(account string, secrets []string) []string {
	return slices.DeleteFunc(slices.Clone(secrets), func(name string) bool {
		return strings.HasPrefix(name, account+"-token-")
	})
}

// warnDockerConfig says why a builder will not find credentials in spite of what
// the author wrote.
func (p *pass) warnDockerConfig(v *view) {
	if dir, moved := v.kanikoDir(); moved && dir != "" && !v.ref && !v.envFrom &&
		!v.mounted(path.Join(dir, ".docker")) && p.movedDockerConfig(v) == kaniko.ReplacesDockerConfig {
		p.warn("%s: --kaniko-dir or KANIKO_DIR makes Kaniko look for credentials in %q, "+
			"where Tekton puts none: leave it out, or mount a config.json there", v.place(), path.Join(dir, ".docker"))
		return
	}
	legacy := v.task.Spec["resources"] != nil || v.task.Spec["inputs"] != nil // a git PipelineResource sets HOME
	if legacy || v.variable("HOME") != nil {
		return
	}
	for _, right := range [...]struct{ name, value string }{
		{dockerConfig, "/tekton/creds/.docker"}, {authFile, "/tekton/creds/.docker/config.json"},
	} {
		if value, _ := v.variable(right.name)["value"].(string); within("/tekton/home", path.Clean(value)) {
			p.warn("%s: %s is %q, where Tekton has put no credentials since v0.24: "+
				"leave it out, or set it to %s", v.place(), right.name, value, right.value)
		}
	}
}

// dockerConfigOfTask gives a run that refers to a local Task the variable through
// its podTemplate, which wins over what steps say: so none may say anything.
func (p *pass) dockerConfigOfTask(ctx context.Context, ref object.Reference) {
	spec, why := p.localTask(ctx, ref.Name)
	if why != "" {
		p.not("", why)
		return
	}
	task := ref.TaskOf(spec)
	views := p.views(task)
	if steps, ok := task.Steps(); !ok || len(steps) != len(views) {
		return // views has said why
	}
	if !slices.ContainsFunc(views, func(v *view) bool { return p.notBuilding(v) == "" }) {
		p.not("", fmt.Sprintf("no step of Task %q is known to build or push images", ref.Name))
		return
	}
	for _, v := range views {
		if why := p.objects(v); why != "" {
			p.objected = true
			p.notStep(v, why+", which a podTemplate would override")
			return
		}
	}
	why = p.noPodEnv(dockerConfig)
	if why == "" {
		why = p.noCredentials(ctx, task)
	}
	if why != "" {
		p.not("", why)
		return
	}
	p.addPodEnv(p.settings.dockerEntry)
	p.did("spec.podTemplate", fmt.Sprintf("set %s for Task %q", dockerConfig, ref.Name))
	p.authFileOfTask(views, ref.Name)
}

// authFileOfTask also gives the run's podTemplate REGISTRY_AUTH_FILE, if a step's image sets it
// and no step sets it itself.
func (p *pass) authFileOfTask(views []*view, task string) {
	needed := func(v *view) bool { return p.notBuilding(v) == "" && p.settings.setsAuthFile(v) }
	if !slices.ContainsFunc(views, needed) {
		return
	}
	why := p.noPodEnv(authFile)
	for _, v := range views {
		if v.variable(authFile) != nil || v.says([]string{authFile}) != "" {
			why = v.place() + " sets " + authFile + ", which a podTemplate would override"
		}
	}
	if why != "" {
		p.not("spec.podTemplate", why)
		return
	}
	p.addPodEnv(p.settings.authFileEntry)
	p.did("spec.podTemplate", fmt.Sprintf("set %s for Task %q", authFile, task))
}

// objects says why a step must not be given the variable by a podTemplate, or "".
func (p *pass) objects(v *view) string {
	if p.notBuilding(v) == "" {
		p.warnDockerConfig(v)
		return p.decided(v)
	}
	switch {
	case v.variable(dockerConfig) != nil:
		return "DOCKER_CONFIG is set already"
	case v.ref:
		return "a StepAction defines it, and may set DOCKER_CONFIG"
	case v.envFrom:
		return "it has envFrom, which may set DOCKER_CONFIG"
	case v.mountsConfig():
		return "a folder of docker's configuration is mounted"
	}
	return ""
}
