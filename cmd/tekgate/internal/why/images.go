package why

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/diagnosis"
	"github.com/tekgate/tekgate/installer/live"
	"github.com/tekgate/tekgate/internal/credentials"
	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/registry"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// mirror reads what decides whether an image is rewritten: Tekgate's webhook, its
// configuration, and the labels of the run's namespace.
func (r *reader) mirror(ctx context.Context, namespace string) {
	r.get(ctx, namespaces, "", namespace)
	if !r.first("mirror") {
		return
	}
	hook := r.get(ctx, mutatingHooks, "", wellknown.MutatingConfiguration)
	stored := r.get(ctx, configMaps, wellknown.TekgateNamespace, wellknown.ConfigMap)
	if stored == nil {
		return
	}
	parsed, err := config.Parse([]byte(live.Data(stored)[wellknown.ConfigMapKey]))
	if err != nil {
		r.lacks("Tekgate's configuration", err)
		return
	}
	known := &diagnosis.Tekgate{Rewrites: parsed.Mutator.ImageMirror.Enabled}
	if !parsed.Mirror.Empty() {
		if known.Mirror, err = parsed.Mirror.Compile(); err != nil {
			r.lacks("the mirror's rules", err)
			return
		}
	}
	if hook != nil {
		known.Installed, known.Since = true, hook.GetCreationTimestamp().Time
	}
	if hook != nil || slices.Contains(r.state.Absent, diagnosis.Key{Kind: "MutatingWebhookConfiguration",
		Name: wellknown.MutatingConfiguration}) {
		r.state.Tekgate = known
	}
}

// credentials reads a run's ServiceAccount, and the Secrets of some types in its namespace.
// Their passwords and tokens are dropped at once.
func (r *reader) credentials(ctx context.Context, run diagnosis.Key, types ...string) {
	account := r.get(ctx, accounts, run.Namespace, r.account(run))
	for _, kind := range types {
		found, asked, err := fetch(r, r.secretsOf(ctx, run.Namespace, kind))
		if !asked {
			continue
		}
		if err != nil {
			r.lacks("Secrets of namespace "+run.Namespace, err)
			r.listed(ctx, run.Namespace, account)
			return
		}
		for i := range found.Items {
			r.secret(&found.Items[i])
		}
	}
	r.listed(ctx, run.Namespace, account) // those of other types, or that do not exist
}

// listed reads only the Secrets that a ServiceAccount lists.
func (r *reader) listed(ctx context.Context, namespace string, account *unstructured.Unstructured) {
	if account == nil {
		return
	}
	for _, name := range first(referenced(account, "secrets"), 4) {
		key := diagnosis.Key{Kind: "Secret", Namespace: namespace, Name: name}
		if r.state.Get("Secret", namespace, name) != nil || !r.once("get "+key.String()) {
			continue
		}
		found, err := r.client.Resource(secrets.gvr()).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			r.state.Absent = append(r.state.Absent, key)
		case err == nil:
			r.secret(found)
		}
	}
}

// secret adds a Secret to the state without its values, and what registry clients would read
// of it without passwords.
func (r *reader) secret(secret *unstructured.Unstructured) {
	if source, err := credentials.Source(secret); err == nil {
		if r.state.Logins == nil {
			r.state.Logins = map[diagnosis.Key]clients.Source{}
		}
		source.Config = source.Config.WithoutSecrets()
		r.state.Logins[diagnosis.Key{Kind: "Secret", Namespace: secret.GetNamespace(), Name: secret.GetName()}] = source
	}
	r.state.Add(credentials.Masked(secret))
}

// referenced returns the names in a list of references.
func referenced(obj *unstructured.Unstructured, path ...string) []string {
	list, _, _ := unstructured.NestedSlice(obj.Object, path...)
	var names []string
	for _, item := range list {
		if ref, ok := item.(map[string]any); ok {
			if name, ok := ref["name"].(string); ok {
				names = append(names, name)
			}
		}
	}
	return names
}

// probed are the causes that the registry of the image can say more about.
var probed = []string{"image-missing", "image-digest", "image-platform", "image-pull", "entrypoint-image-missing",
	"injected-image-missing", "sidecar-image-missing"}

// probe asks the registry about the image of a cause, and the mirror about what it should have been
// rewritten to.
func (r *reader) probe(ctx context.Context, cause diagnosis.Cause) {
	if slices.Contains(probed, cause.ID) {
		r.ask(ctx, cause.Run, cause.Image)
	}
	r.ask(ctx, cause.Run, r.state.Tekgate.RewrittenTo(cause.Image))
}

// ask asks a registry about an image, with the pull Secrets of the run, once. answers waits for what it
// says.
func (r *reader) ask(ctx context.Context, run diagnosis.Key, reference string) {
	if r.registries == nil || reference == "" || !r.first("ask "+reference) {
		return
	}
	ref, err := image.Parse(reference)
	if err != nil {
		return
	}
	r.all(ctx, nodes, "", metav1.ListOptions{})
	platforms := slices.Collect(func(yield func(string) bool) {
		for platform := range live.Platforms(r.state.Kind("Node")) {
			if !yield(platform) {
				return
			}
		}
	})
	slices.Sort(platforms)
	options := *r.registries
	options.Attempts = 1
	options.Keychain = r.keychain(ctx, run)
	var found registry.Result
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.slots <- struct{}{}
		defer func() { <-r.slots }()
		ctx, cancel := context.WithTimeout(ctx, r.timeout)
		defer cancel()
		found = registry.Probe(ctx, registry.ProbeRequest{
			Images: [][]image.Rewritten{{{From: ref, To: ref}}}, Platforms: platforms}, options)[0]
	}()
	r.asked = append(r.asked, func() {
		<-done
		r.answered(reference, platforms, found)
	})
}

// answers waits for the registries that were asked.
func (r *reader) answers() {
	for _, wait := range r.asked {
		wait()
	}
	r.asked = nil
}

// answered notes what a registry said about an image.
func (r *reader) answered(reference string, platforms []string, found registry.Result) {
	if found.Status == registry.StatusUnreachable || found.Status == registry.StatusDenied {
		r.lacks(reference+" from its registry, from this machine", found.Err)
		return
	}
	answer := diagnosis.Image{Reference: reference, Status: string(found.Status), Platforms: found.Platforms,
		Wanted: platforms, Digest: found.Digest}
	if found.Err != nil {
		answer.Problem = found.Err.Error()
	}
	r.state.Images = append(r.state.Images, answer)
}

// pullSecrets are the logins with which the kubelet pulls the images of a run.
type pullSecrets map[diagnosis.Key]clients.Config

// keychain returns the logins of the pull Secrets that the run's Pod and ServiceAccount list.
func (r *reader) keychain(ctx context.Context, run diagnosis.Key) authn.Keychain {
	var names []string
	if account := r.get(ctx, accounts, run.Namespace, r.account(run)); account != nil {
		names = referenced(account, "imagePullSecrets")
	}
	if obj := r.state.Get(run.Kind, run.Namespace, run.Name); obj != nil {
		names = append(names, referenced(obj, "spec", "podTemplate", "imagePullSecrets")...)
	}
	var config clients.Config
	for _, name := range first(names, 3) {
		config = append(config, r.pullSecret(ctx, run.Namespace, name)...)
	}
	return logins(config)
}

// pullSecret reads the logins of a Secret, once.
func (r *reader) pullSecret(ctx context.Context, namespace, name string) clients.Config {
	key := diagnosis.Key{Kind: "Secret", Namespace: namespace, Name: name}
	if config, read := r.pulls[key]; read {
		return config
	}
	if r.pulls == nil {
		r.pulls = pullSecrets{}
	}
	r.pulls[key] = nil
	if !r.once("get the logins of " + key.String()) {
		return nil
	}
	secret, err := r.client.Resource(secrets.gvr()).Namespace(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		r.lacks(key.String(), err)
		return nil
	}
	if source, err := credentials.Source(secret); err == nil && !source.StepsOnly {
		r.pulls[key] = source.Config
	}
	r.secret(secret)
	return r.pulls[key]
}

// logins is a keychain of a Docker configuration.
type logins clients.Config

// Resolve returns the login with the longest key that is for a repository.
func (l logins) Resolve(target authn.Resource) (authn.Authenticator, error) {
	parsed, err := clients.ParseImage(target.String())
	if err != nil {
		return authn.Anonymous, nil //nolint:nilerr // no key fits a name that clients cannot read
	}
	best, length := authn.Anonymous, -1
	for _, entry := range l {
		key, err := clients.ParseKey(entry.Key)
		if err != nil || !key.Covers(parsed) || len(key.Path) <= length {
			continue
		}
		username, password, err := entry.Login()
		if err != nil || strings.TrimSpace(username) == "" {
			continue
		}
		best, length = authn.FromConfig(authn.AuthConfig{Username: username, Password: password}), len(key.Path)
	}
	return best, nil
}

// String keeps logins out of what is printed.
func (l logins) String() string { return fmt.Sprintf("%d logins", len(l)) }
