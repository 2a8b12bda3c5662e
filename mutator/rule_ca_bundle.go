package mutator

import (
	"cmp"
	"context"
	"fmt"
	"path"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekgate/tekgate/internal/object"
)

var caBundleRule = Rule{
	ID:    "ca-bundle",
	Kinds: slices.Concat(runs, tasks, pipelines, pods),
	Doc: `Makes steps that build or push images trust your own certificate authority, so that nobody
has to write --insecure or --skip-tls-verify.

Configured by ` + "`mutator.caBundle.configMap`" + `, a ConfigMap that each namespace has to have
itself, and ` + "`mutator.caBundle.key`" + `, by default ca.crt, which holds the certificates as PEM.
It has no default: without a name the rule does nothing. Builders are recognised as by the
rule docker-config. With ` + "`mutator.caBundle.steps`" + ` (` + "`names`" + ` and ` + "`images`" + `) the rule is for
the steps that it selects instead.

A step gets the volume tekgate-ca, which is mounted read-only at /tekgate-ca, and variables
with the path of the file. A mount of its own directly below / is used since Kaniko leaves
mounts out of what it deletes and snapshots.

- SSL_CERT_FILE: Go reads this file in place of the system's, and beside it all files in
  the system's folders or those of SSL_CERT_DIR (crypto/x509, root_unix.go). Images keep the
  public authorities in such a folder: /etc/ssl/certs, /etc/pki/tls/certs, in Kaniko's
  /kaniko/ssl/certs. So all known builders trust both. OpenSSL reads it in place of its own
  file, too, and goes on to read its folder of hashed names
  (X509_STORE_set_default_paths), which Fedora's and Red Hat's images lack.
- NODE_EXTRA_CA_CERTS: Node.js adds this file to its own authorities.

With ` + "`mutator.caBundle.complete: true`" + `, which says that the key holds the public authorities as
well, steps also get the variables that replace all other authorities: GIT_SSL_CAINFO
(git, http.sslCAInfo), CURL_CA_BUNDLE (curl), REQUESTS_CA_BUNDLE (requests of Python),
PIP_CERT (pip), AWS_CA_BUNDLE (the command line of AWS) and CARGO_HTTP_CAINFO (cargo).
Java reads none of them; its keystore is not changed.

Nothing is overridden. A step is left alone if

- one of these variables or SSL_CERT_DIR is set already: in the step, its stepTemplate, the
  run's podTemplate or Tekton's default-pod-template; or what it runs speaks of one;
- it has envFrom, or its stepTemplate has, for that may set them;
- something is mounted at /tekgate-ca, below it or above;
- the task, the run's podTemplate or the default-pod-template has another volume of that name;
- its env or volumeMounts, or the task's volumes, are null;
- it refers to a StepAction, beside which Tekton allows neither env nor volumeMounts. It gets
  them in the Pod. StepActions themselves cannot have volumes;
- in a Pod it runs a script, for its text is not seen there;
- the namespace has no such ConfigMap, or that lacks the key. The answer has a warning, also
  if the look-up fails. The server may only look up ConfigMaps called tekgate-ca; for another
  name see [private authorities](../docs/mutation.md#private-certificate-authorities).

The volume is optional: if the ConfigMap is deleted before the Pod starts, or another namespace
runs the Task, the step starts without the file, in place of a Pod that waits for it. Sidecars
get nothing: the daemon of docker needs its own certificates.`,
	scope: func(s *settings) *scope { return &s.scopes.ca },
	apply: applyCABundle,
}

// The volume of the rule ca-bundle, and where it is mounted.
const (
	caVolume = "tekgate-ca"
	caFolder = "/tekgate-ca"
	caFile   = "ca.crt" // in caFolder
)

var (
	// addingCA are variables that add a file to the authorities that a program trusts: Go and
	// OpenSSL, Node.js.
	addingCA = []string{"SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"}
	// replacingCA are variables by which a file takes the place of all other authorities.
	replacingCA = []string{"GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "AWS_CA_BUNDLE",
		"CARGO_HTTP_CAINFO"}
)

// caSettings are what the rule ca-bundle adds to steps.
type caSettings struct {
	key    string
	chosen bool // whether steps selects them
	steps  steps

	volume, mount map[string]any
	env           []map[string]any
	deciding      []string // variables of which none may be set
}

func (s *settings) compileCABundle() error {
	c := checker{section: "caBundle"}
	own := s.CABundle
	s.scopes.ca = compileScope(own.Scope, own.ConfigMap != "", true, c.problem)
	if own.ConfigMap != "" {
		c.names("configMap", own.ConfigMap)
	}
	ca := caSettings{key: cmp.Or(own.Key, "ca.crt"), steps: compileSteps(own.Steps, "steps", c.problem),
		chosen: !own.Steps.empty()}
	if problems := validation.IsConfigMapKey(ca.key); len(problems) > 0 {
		c.problem("key: %q is not a key of a ConfigMap: %s", ca.key, problems[0])
	}
	ca.volume = map[string]any{"name": caVolume, "configMap": map[string]any{"name": own.ConfigMap,
		"items": []any{map[string]any{"key": ca.key, "path": caFile}}, "optional": true}}
	ca.mount = map[string]any{"name": caVolume, "mountPath": caFolder, "readOnly": true}
	names := addingCA
	if own.Complete {
		names = slices.Concat(addingCA, replacingCA)
	}
	for _, name := range names {
		ca.env = append(ca.env, map[string]any{"name": name, "value": path.Join(caFolder, caFile)})
	}
	ca.deciding = append(slices.Clip(names), "SSL_CERT_DIR")
	s.ca = ca
	return c.err()
}

func applyCABundle(ctx context.Context, p *pass) {
	if len(p.tasks()) == 0 {
		p.not("", "no steps are written out in it")
	}
	asked, none := false, ""
	for _, task := range p.tasks() {
		for _, v := range p.views(task) {
			why := p.notForCA(v)
			if why == "" {
				why = p.decidedCA(v)
			}
			if why == "" && !asked { // only now, for most steps need none
				asked, none = true, p.noCABundle(ctx)
			}
			if why = cmp.Or(why, none); why != "" {
				p.notStep(v, why)
				continue
			}
			p.addCA(v)
		}
	}
}

// notForCA says why the rule is not for a step, or "".
func (p *pass) notForCA(v *view) string {
	ca := &p.settings.ca
	switch {
	case ca.chosen && !p.selects(&ca.steps, v):
		return "mutator.caBundle.steps does not select it"
	case !ca.chosen && p.settings.builds(v) == nil:
		return "neither its command nor its image is known to build or push images"
	}
	return p.excludesImage(&p.settings.scopes.ca, v.known)
}

// decidedCA says what would be overridden, or may be, if a step got the authorities, or "".
func (p *pass) decidedCA(v *view) string {
	for _, name := range p.settings.ca.deciding {
		switch {
		case v.variable(name) != nil:
			return name + " is set already"
		case setsEnv(p.tekton.DefaultPodTemplate, name):
			return "Tekton's default-pod-template sets " + name
		}
	}
	if why := v.closed(); why != "" {
		return why
	}
	if v.step.InPod() && v.scripted {
		return "it runs a script, whose text is not seen in a Pod"
	}
	if word := v.says(p.settings.ca.deciding); word != "" {
		return "what it runs speaks of " + word
	}
	if mounts, has := v.step.Fields["volumeMounts"]; has && mounts == nil {
		return "its volumeMounts are null"
	}
	if v.mounted(caFolder) {
		return "something is mounted at " + caFolder + ", below it or above"
	}
	return p.decidedVolume(v.task)
}

// decidedVolume says why a task cannot get the volume, or "". It may have the very same.
func (p *pass) decidedVolume(task object.Task) string {
	if volumes, has := task.Spec["volumes"]; has && volumes == nil {
		return "the volumes of its task are null"
	}
	var r object.Reader
	for _, pod := range append(slices.Clip(task.Run.PodTemplates), p.tekton.DefaultPodTemplate) {
		if slices.ContainsFunc(r.FieldsList(pod, "volumes"), isCAVolume) {
			return "a podTemplate has a volume " + caVolume
		}
	}
	for _, volume := range r.FieldsList(task.Spec, "volumes") {
		if isCAVolume(volume) && !p.settings.ca.is(volume) {
			return "its task has another volume " + caVolume
		}
	}
	if r.Odd {
		return "the volumes of its task are not of the shape that Tekton takes"
	}
	return ""
}

func isCAVolume(volume map[string]any) bool { return volume["name"] == caVolume }

// is reports whether a volume is the one that the rule adds. The API server may have filled in
// its mode.
func (ca *caSettings) is(volume map[string]any) bool {
	var r object.Reader
	own := r.Fields(ca.volume, "configMap")
	source := r.Fields(volume, "configMap")
	items := r.FieldsList(source, "items")
	return !r.Odd && source["name"] == own["name"] && len(items) == 1 && items[0]["key"] == ca.key &&
		items[0]["path"] == caFile
}

// noCABundle says why the namespace has no authorities to give, or "".
func (p *pass) noCABundle(ctx context.Context) string {
	name, key := p.settings.CABundle.ConfigMap, p.settings.ca.key
	found, err := p.cluster.ConfigMap(ctx, p.space, name)
	switch {
	case err != nil:
		p.warn("no step was given the certificate authority: looking up ConfigMap %q in namespace %q failed: %q", name,
			p.space, err)
		return fmt.Sprintf("looking up ConfigMap %q failed: %q", name, err)
	case found == nil:
		p.warn("no step was given the certificate authority, since namespace %q has no ConfigMap %q: create it with the key %s",
			p.space, name, key)
		return fmt.Sprintf("namespace %q has no ConfigMap %q", p.space, name)
	case !found.Assumed && !slices.Contains(found.Keys, key):
		p.warn("no step was given the certificate authority, since ConfigMap %q in namespace %q lacks the key %s: add it, or name another in mutator.caBundle.key",
			name, p.space, key)
		return fmt.Sprintf("ConfigMap %q lacks the key %s", name, key)
	}
	return ""
}

// addCA gives a step the variables and the mount, and its task the volume.
func (p *pass) addCA(v *view) {
	ca := &p.settings.ca
	volumes, _ := v.task.Spec["volumes"].([]any)
	if !slices.ContainsFunc(volumes, func(volume any) bool {
		fields, _ := volume.(map[string]any)
		return isCAVolume(fields)
	}) {
		v.task.Spec["volumes"] = append(slices.Clip(volumes), ca.volume)
	}
	mounts, _ := v.step.Fields["volumeMounts"].([]any)
	v.step.Fields["volumeMounts"] = append(slices.Clip(mounts), ca.mount)
	v.mounts = append(v.mounts, caFolder)
	for _, entry := range ca.env {
		v.add(entry)
	}
	p.did(v.place(), fmt.Sprintf("mount ConfigMap %s at %s, for SSL_CERT_FILE and %d more",
		p.settings.CABundle.ConfigMap, caFolder, len(ca.env)-1))
}
