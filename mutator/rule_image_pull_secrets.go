package mutator

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
)

var imagePullSecretsRule = Rule{
	ID:    "image-pull-secrets",
	Kinds: runs,
	Doc: `Gives runs the Secrets by which their Pods pull images from a mirror with a
password. Tekton's controller asks the registry for entrypoints by them, too.

Configured by ` + "`mutator.imagePullSecrets.names`" + `: Secrets of type
kubernetes.io/dockerconfigjson, which each namespace has to have
(` + "`tekgate credentials pull`" + ` puts them there). A name that a namespace lacks does no
harm.

Once a Pod names pull secrets of its own, Kubernetes no longer adds those of its
ServiceAccount. So these are named, too. A run is left alone if

- its podTemplate has imagePullSecrets, or Tekton's default-pod-template has: the
  run's would hide them;
- its ServiceAccount cannot be looked up;
- it is a PipelineRun that gives single tasks other ServiceAccounts; its TaskRuns
  are given theirs.`,
	scope: func(s *settings) *scope { return &s.scopes.secrets },
	apply: applyImagePullSecrets,
}

const imagePullSecrets = "imagePullSecrets"

func applyImagePullSecrets(ctx context.Context, p *pass) {
	given, where, ok := p.givenPod()
	switch {
	case !ok:
		p.not("", "it is not of the shape that Tekton takes")
		return
	case given[imagePullSecrets] != nil:
		p.not(where, "it has imagePullSecrets")
		return
	case p.tekton.DefaultPodTemplate[imagePullSecrets] != nil:
		p.not(where, "Tekton's default-pod-template has imagePullSecrets")
		return
	}
	names, why := p.pullSecrets(ctx)
	if why != "" {
		p.not(where, why)
		return
	}
	list := make([]any, 0, len(names))
	for _, name := range names {
		list = append(list, map[string]any{"name": name})
	}
	p.podTemplate()[imagePullSecrets] = list
	p.did(where, "set imagePullSecrets to "+strings.Join(names, ", "))
}

// pullSecrets returns those of the configuration and of the ServiceAccount, each
// once, or why they are not known.
func (p *pass) pullSecrets(ctx context.Context) (names []string, why string) {
	place, _ := object.SettingsOf(p.object)
	var r object.Reader
	account := r.Text(place.Fields, "serviceAccountName")
	if account == "" {
		account = p.defaultAccount()
	}
	spec := r.Fields(p.object, "spec")
	for _, own := range r.FieldsList(spec, "taskRunSpecs") {
		if r.Text(own, "serviceAccountName") != "" || r.Text(own, "taskServiceAccountName") != "" {
			return nil, "single tasks have other ServiceAccounts"
		}
	}
	if r.Odd || len(r.List(spec, "serviceAccountNames")) > 0 {
		return nil, "single tasks have other ServiceAccounts"
	}
	found, err := p.serviceAccount(ctx, account)
	if err != nil {
		return nil, fmt.Sprintf("looking up ServiceAccount %q failed: %q", account, err)
	}
	names = slices.Clone(p.settings.ImagePullSecrets.Names)
	if found == nil {
		return names, ""
	}
	for _, name := range found.PullSecrets {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, ""
}
