package pipelines

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/builder"
	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator/rule"
)

var unfitSecretRule = &rule.Rule{
	ID:       "unfit-secret",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.WithSteps,
	Doc: `Finds Secrets whose keys do not fit their use:

- a workspace or volume that is a builder's docker configuration (it is mounted at a folder
  .docker, is the value of DOCKER_CONFIG, or a step reads config.json in it), of a Secret
  without a file config.json. kubectl create secret docker-registry writes the key
  .dockerconfigjson, and the push ends in UNAUTHORIZED (tektoncd/catalog#1227, #1192). A Task
  whose steps speak of .dockerconfigjson passes;
- a workspace from which git's .git-credentials or .gitconfig are copied, of a Secret that has
  username and password, and one that becomes ~/.ssh, of a Secret that has ssh-privatekey: ssh
  looks for id_rsa and the like;
- a key that the Secret lacks, in items or in a variable's secretKeyRef: the Pod never starts;
- imagePullSecrets of a run without .dockerconfigjson and .dockercfg: the kubelet ignores them;
- Secrets with a user's password or an SSH key that a run's ServiceAccount lists and that have no
  annotation tekton.dev/git-… or tekton.dev/docker-…: Tekton ignores them
  (pkg/credentials, docs/auth.md).

The keys are known of Secrets in the files, and of those in a cluster that you may read. The
admission server may not, and finds nothing. Values are never read.`,
	Check: checkUnfitSecret,
}

func checkUnfitSecret(ctx context.Context, p *rule.Pass) {
	if isAdmission(p) {
		return
	}
	for _, s := range specificationsIn(p) {
		if s.Kind == "Task" {
			checkSecretVolumes(ctx, p, s)
			checkSecretVariables(ctx, p, s)
		}
	}
	if p.Kind.Kind != "TaskRun" && p.Kind.Kind != "PipelineRun" || p.OfPipelineRun() {
		return
	}
	var r object.Reader
	for _, binding := range itemsIn(r.Fields(p.Object, "spec"), "spec", "workspaces") {
		checkSecretWorkspace(ctx, p, binding)
	}
	checkPullSecretsOfRun(ctx, p)
	checkAccountSecrets(ctx, p)
}

// source is a Secret as a volume or workspace.
type source struct {
	path, name string
	keys       []string
	files      []string // that it has
	mapped     bool     // whether items say so
}

// sourceOf returns the files of a Secret's volume, and reports keys that do not exist.
func sourceOf(ctx context.Context, p *rule.Pass, fields map[string]any, at, nameField string) (source, bool) {
	var r object.Reader
	s := source{path: at + "." + nameField, name: r.Text(fields, nameField)}
	if s.keys = secretKeys(ctx, p, s.name); s.keys == nil {
		return s, false
	}
	items := r.FieldsList(fields, "items")
	if s.mapped = len(items) > 0; !s.mapped {
		s.files = s.keys
		return s, true
	}
	for i, item := range items {
		key := r.Text(item, "key")
		if expression.Any(key) || expression.Any(r.Text(item, "path")) {
			return s, false
		}
		s.files = append(s.files, r.Text(item, "path"))
		if !slices.Contains(s.keys, key) && !r.Flag(fields, "optional") {
			p.Report(fmt.Sprintf("%s.items[%d].key", at, i),
				"Secret %q has no key %q, so its volume cannot be mounted and the Pod never starts: write one of %s", s.name, key,
				strings.Join(s.keys, ", "))
			return s, false
		}
	}
	return s, true
}

func checkSecretWorkspace(ctx context.Context, p *rule.Pass, binding namedItem) {
	var r object.Reader
	secret := r.Fields(binding.Fields, "secret")
	if secret == nil {
		return
	}
	s, known := sourceOf(ctx, p, secret, binding.Path+".secret", "secretName")
	if !known {
		return
	}
	for _, task := range boundTasks(ctx, p, binding.Name) {
		use := usesOf(p, task)
		problem := ""
		switch {
		case use.holdsDockerConfig():
			problem = s.noDockerConfig(fmt.Sprintf("the workspace %s", task.name), builderOf(task.spec),
				"give the ServiceAccount the Secret and leave the workspace unbound")
		case use.says("/.git-credentials") || use.says("/.gitconfig"):
			problem = s.noGitCredentials(task.name)
		case use.copiesToSSH():
			problem = s.noSSHKey(task.name)
		}
		if problem != "" {
			p.Report(s.path, "%s", problem)
			return
		}
	}
}

// noDockerConfig says why a builder finds no credentials, or "".
func (s source) noDockerConfig(what, who, instead string) string {
	if slices.Contains(s.files, "config.json") {
		return ""
	}
	loss := fmt.Sprintf("%s finds no credentials and ends in UNAUTHORIZED", who)
	switch {
	case slices.Contains(s.keys, dockerConfigJSON):
		return fmt.Sprintf("Secret %q is of type kubernetes.io/dockerconfigjson, so %s holds %s and no config.json; %s: "+
			"add items: [{key: .dockerconfigjson, path: config.json}], or %s", s.name, what, listed(s.files), loss, instead)
	case slices.Contains(s.keys, dockerCfg):
		return fmt.Sprintf("Secret %q is of type kubernetes.io/dockercfg, the old form, so %s holds no config.json; %s: "+
			"create it anew with `tekgate credentials registry`, or %s", s.name, what, loss, instead)
	}
	return fmt.Sprintf("Secret %q has the keys %s, so %s holds no config.json; %s: bind a Secret with the key config.json, "+
		"or %s", s.name, listed(s.keys), what, loss, instead)
}

// noGitCredentials says why git finds no credentials, or "".
func (s source) noGitCredentials(workspace string) string {
	if slices.Contains(s.files, ".git-credentials") || !slices.Contains(s.keys, "password") {
		return ""
	}
	return fmt.Sprintf("Secret %q has the keys %s, so the workspace %s holds no .git-credentials, and git asks for a password: "+
		"bind a Secret with the keys .gitconfig and .git-credentials, or give the ServiceAccount this one with the annotation tekton.dev/git-0 (tekgate credentials git)",
		s.name, listed(s.keys), workspace)
}

// noSSHKey says why ssh finds no key, or "". A file config may name any.
func (s source) noSSHKey(workspace string) string {
	isKey := func(file string) bool { return strings.HasPrefix(file, "id_") || file == "config" }
	if !slices.Contains(s.keys, sshPrivateKey) || slices.ContainsFunc(s.files, isKey) {
		return ""
	}
	return fmt.Sprintf("Secret %q is of type kubernetes.io/ssh-auth, so the workspace %s holds %s, and ssh looks for id_rsa and "+
		"the like: add items: [{key: ssh-privatekey, path: id_rsa}], and known_hosts if the Secret has it",
		s.name, workspace, listed(s.files))
}

// listed names some keys or files.
func listed(list []string) string {
	const most = 5
	if len(list) > most {
		return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
	}
	return strings.Join(list, ", ")
}

// builderOf names the builder of a Task to readers.
func builderOf(spec map[string]any) string {
	var r object.Reader
	for _, step := range r.FieldsList(spec, "steps") {
		ref, err := image.Parse(r.Text(step, "image"))
		for _, b := range builder.Known {
			if b.Starts(r.TextList(step, "command")) || err == nil && b.Holds(ref) {
				return strings.ToUpper(b.Name[:1]) + b.Name[1:]
			}
		}
	}
	return "the step"
}

// checkSecretVolumes looks at the Secrets that a Task mounts itself.
func checkSecretVolumes(ctx context.Context, p *rule.Pass, spec specification) {
	var r object.Reader
	for _, volume := range itemsIn(spec.Fields, spec.Path, "volumes") {
		secret := r.Fields(volume.Fields, "secret")
		if secret == nil {
			continue
		}
		s, known := sourceOf(ctx, p, secret, volume.Path+".secret", "secretName")
		if !known || !mountedAsDocker(spec.Fields, volume.Name) {
			continue
		}
		problem := s.noDockerConfig("the volume "+volume.Name, builderOf(spec.Fields),
			"give the ServiceAccount the Secret and leave the volume out")
		if problem != "" {
			p.Report(s.path, "%s", problem)
		}
	}
}

// mountedAsDocker reports whether a step mounts a whole volume as a docker configuration.
func mountedAsDocker(spec map[string]any, volume string) bool {
	var r object.Reader
	for _, step := range append(r.FieldsList(spec, "steps"), r.Fields(spec, "stepTemplate")) {
		for _, mount := range r.FieldsList(step, "volumeMounts") {
			if r.Text(mount, "name") == volume && r.Text(mount, "subPath") == "" &&
				isDockerFolder(path.Clean(r.Text(mount, "mountPath"))) {
				return true
			}
		}
	}
	return false
}

// checkSecretVariables looks for keys that variables take from Secrets.
func checkSecretVariables(ctx context.Context, p *rule.Pass, spec specification) {
	var r object.Reader
	places := append(itemsAt(spec, "steps"), itemsAt(spec, "sidecars")...)
	if template := r.Fields(spec.Fields, "stepTemplate"); template != nil {
		places = append(places, namedItem{Path: spec.Path + ".stepTemplate", Fields: template})
	}
	for _, holder := range places {
		for i, variable := range r.FieldsList(holder.Fields, "env") {
			ref := r.Fields(r.Fields(variable, "valueFrom"), "secretKeyRef")
			name, key := r.Text(ref, "name"), r.Text(ref, "key")
			if ref == nil || r.Flag(ref, "optional") || key == "" || expression.Any(key) {
				continue
			}
			if keys := secretKeys(ctx, p, name); keys != nil && !slices.Contains(keys, key) {
				p.Report(fmt.Sprintf("%s.env[%d].valueFrom.secretKeyRef.key", holder.Path, i),
					"Secret %q has no key %q, so the container never starts: write one of %s, or optional: true", name, key,
					listed(keys))
			}
		}
	}
}

// itemsAt returns those of a list that are objects, with or without a name.
func itemsAt(spec specification, key string) []namedItem {
	var r object.Reader
	var found []namedItem
	for i, fields := range r.FieldsList(spec.Fields, key) {
		found = append(found, namedItem{Path: fmt.Sprintf("%s.%s[%d]", spec.Path, key, i), Fields: fields})
	}
	return found
}

func checkPullSecretsOfRun(ctx context.Context, p *rule.Pass) {
	settings, ok := object.SettingsOf(p.Object)
	if !ok {
		return
	}
	var r object.Reader
	pod := r.Fields(settings.Fields, "podTemplate")
	for _, secret := range itemsIn(pod, settings.Path+".podTemplate", "imagePullSecrets") {
		if keys := secretKeys(ctx, p, secret.Name); keys != nil && !isPullSecret(keys) {
			p.Report(secret.Path+".name",
				"Secret %q has the keys %s, and the kubelet pulls images by .dockerconfigjson alone: create it with `tekgate credentials pull`",
				secret.Name, listed(keys))
		}
	}
}

// checkAccountSecrets looks at what the ServiceAccounts of a run list.
func checkAccountSecrets(ctx context.Context, p *rule.Pass) {
	for _, account := range object.AccountsOf(p.Object) {
		account.Name = accountName(ctx, p, account.Name)
		fields := accountOf(ctx, p, account.Name)
		for _, secret := range itemsIn(fields, "", "imagePullSecrets") {
			if keys := secretKeys(ctx, p, secret.Name); keys != nil && !isPullSecret(keys) {
				p.Report(account.Path,
					"ServiceAccount %q has Secret %q among its imagePullSecrets, which has the keys %s, and the kubelet pulls images by .dockerconfigjson alone: list it under secrets, or create it with `tekgate credentials pull`",
					account.Name, secret.Name, listed(keys))
			}
		}
		for _, secret := range itemsIn(fields, "", "secrets") {
			if kind := ignoredByTekton(ctx, p, secret.Name); kind != "" {
				p.Report(account.Path,
					"ServiceAccount %q lists Secret %q of type %s, which Tekton ignores, since it has no annotation tekton.dev/git-0 or tekton.dev/docker-0 with the address of its server: add one",
					account.Name, secret.Name, kind)
			}
		}
	}
}

// accountName returns the ServiceAccount of a run that may name none.
func accountName(ctx context.Context, p *rule.Pass, name string) string {
	if name == "" && p.Account == "" {
		var r object.Reader
		return cmp.Or(r.Text(configDefaults(ctx, p), "default-service-account"), "default")
	}
	return cmp.Or(name, p.Account)
}

// configDefaults returns the data of Tekton's config-defaults, nil where that is not known.
func configDefaults(ctx context.Context, p *rule.Pass) map[string]any {
	configMap := schema.GroupKind{Kind: "ConfigMap"}
	found, err := p.Cluster.Get(ctx, configMap, wellknown.PipelinesNamespace, "config-defaults")
	if err != nil {
		return nil
	}
	var r object.Reader
	return r.Fields(found, "data")
}

// accountOf returns a ServiceAccount, nil for one that is not known.
func accountOf(ctx context.Context, p *rule.Pass, name string) map[string]any {
	if name == "" || p.Namespace == "" || expression.Any(name) || expression.Any(p.Namespace) {
		return nil
	}
	fields, err := p.Cluster.Get(ctx, schema.GroupKind{Kind: "ServiceAccount"}, p.Namespace, name)
	if err != nil {
		return nil
	}
	return fields
}

// ignoredByTekton returns the type of a Secret that Tekton reads by its annotations and that has
// none, or "".
func ignoredByTekton(ctx context.Context, p *rule.Pass, name string) string {
	fields, err := p.Cluster.Get(ctx, schema.GroupKind{Kind: "Secret"}, p.Namespace, name)
	if err != nil || fields == nil {
		return ""
	}
	var r object.Reader
	kind := r.Text(fields, "type")
	if kind != "kubernetes.io/basic-auth" && kind != "kubernetes.io/ssh-auth" {
		return ""
	}
	for key := range r.Fields(r.Fields(fields, "metadata"), "annotations") {
		if strings.HasPrefix(key, "tekton.dev/git-") || strings.HasPrefix(key, "tekton.dev/docker-") {
			return ""
		}
	}
	return kind
}
