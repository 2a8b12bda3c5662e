package diagnosis

import (
	"cmp"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/internal/credentials/clients"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/kaniko"
	"github.com/tekgate/tekgate/internal/lazyregexp"
)

// credentialsPath is where Tekton writes the registry credentials of a run's ServiceAccount.
const credentialsPath = "/tekton/creds/.docker"

// destination finds what was pushed, in the words of Kaniko, crane and buildah.
var destination = []*lazyregexp.Regexp{
	lazyregexp.New(`push permissions? for "([^"]+)"`),
	lazyregexp.New(`push to destination ([^\s:]+(?::\d+)?(?:/[^\s:]+)*(?::[\w.-]+)?)`),
	lazyregexp.New(`docker://([^\s":]+(?::\d+)?/[^\s"]+)`),
}

// pushURL finds the registry and repository of an upload.
var pushURL = lazyregexp.New(`https?://([^/\s"]+)/v2/(?:([^\s"?]+?)/(?:blobs|manifests)/)?`)

// pushTarget returns what was pushed to which registry; both are "" if the line does not say.
func pushTarget(line string) (reference, host string) {
	for _, find := range destination {
		if m := find.FindStringSubmatch(line); m != nil {
			reference = m[1]
			break
		}
	}
	if m := pushURL.FindStringSubmatch(line); m != nil {
		host = hostName(m[1])
		if reference == "" && m[2] != "" {
			reference = m[1] + "/" + m[2]
		}
	}
	parsed, err := image.Parse(reference)
	if err != nil || reference == "" || hostName(parsed.Host) == "" {
		return "", host
	}
	return reference, parsed.Host
}

// hostNames finds a host, with its port.
var hostNames = lazyregexp.New(`^[A-Za-z0-9._-]+(?::[0-9]+)?$|^\[[0-9A-Fa-f:.]+\](?::[0-9]+)?$`)

// hostName returns a host of a log, or "" if it is none. Remedies contain it in commands that users
// run, and whoever can change the code that a run builds can write its log.
func hostName(host string) string {
	if !hostNames.MatchString(host) || strings.HasPrefix(host, "-") {
		return ""
	}
	return host
}

// pushRefused says which Secret a push would have used, or why it used none.
func (t *task) pushRefused(container, line string, _ []string) (message, remedy string) {
	reference, host := pushTarget(line)
	message = fmt.Sprintf("registry %s refuses the push of %s", host, cmp.Or(reference, "an image"))
	if host == "" {
		return "a registry refuses the push: " + line, ""
	}
	why, remedy := t.whyRefused(container, cmp.Or(reference, host+"/x"), host)
	if why == "" {
		return message + ": " + line, fmt.Sprintf("`tekgate credentials registry NAME -n %s --server %s` writes the Secret "+
			"and lists it under secrets of ServiceAccount %s", t.key.Namespace, host, t.account)
	}
	return message + ": " + why, remedy
}

// whyRefused returns why the credentials for a registry do not reach a step, or are not enough.
func (t *task) whyRefused(container, reference, host string) (why, remedy string) {
	account := t.state.Get("ServiceAccount", t.key.Namespace, t.account)
	if account == nil {
		return "", ""
	}
	write := fmt.Sprintf("`tekgate credentials registry NAME -n %s --service-account %s --server %s` writes one",
		t.key.Namespace, t.account, host)
	listed, fits, others := t.logins(account, reference)
	if len(fits) > 0 {
		return t.whyUnread(container, reference, fits[0])
	}
	var reasons []string
	if why = cmp.Or(t.whyNoMatch(listed, reference, host), t.useless(account)); why != "" {
		reasons = append(reasons, why)
	}
	if len(others) > 0 {
		reasons = append(reasons, fmt.Sprintf("Secret %s has a login for it, but %s", others[0],
			t.notListed(account, others[0])))
		write = t.listSecret(account, others[0])
	}
	if len(reasons) == 0 {
		reasons = append(reasons, fmt.Sprintf("ServiceAccount %s lists no Secret with registry credentials under secrets",
			t.account))
	}
	return strings.Join(reasons, "; "), write
}

// notListed says where a Secret is not listed that steps should have.
func (t *task) notListed(account *unstructured.Unstructured, secret string) string {
	if slices.Contains(names(account, "imagePullSecrets"), secret) {
		return fmt.Sprintf("is listed under imagePullSecrets of ServiceAccount %s, which steps do not read, "+
			"and not under secrets", t.account)
	}
	return "is not listed under secrets of ServiceAccount " + t.account
}

// listSecret returns the command that lists a Secret in a ServiceAccount.
func (t *task) listSecret(account *unstructured.Unstructured, secret string) string {
	at, value := "/secrets/-", fmt.Sprintf(`{"name":"%s"}`, secret)
	if len(names(account, "secrets")) == 0 {
		at, value = "/secrets", "["+value+"]"
	}
	return fmt.Sprintf("kubectl patch serviceaccount %s -n %s --type=json "+
		`-p='[{"op":"add","path":"%s","value":%s}]'`, t.account, t.key.Namespace, at, value)
}

// useless says why the Secrets that an account lists are not for registries.
func (t *task) useless(account *unstructured.Unstructured) string {
	var all []string
	for _, name := range names(account, "secrets") {
		secret := t.state.Get("Secret", t.key.Namespace, name)
		switch {
		case t.state.absent("Secret", t.key.Namespace, name):
			all = append(all, fmt.Sprintf("Secret %s, which ServiceAccount %s lists, does not exist", name, t.account))
		case secret == nil, len(annotated(secret, "tekton.dev/git-")) > 0:
		case text(secret.Object, "type") == "kubernetes.io/basic-auth":
			all = append(all, fmt.Sprintf("Secret %s has no annotation tekton.dev/docker-0 that names a registry", name))
		default:
			all = append(all, fmt.Sprintf("Secret %s has type %s, which Tekton does not read for registries", name,
				text(secret.Object, "type")))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return strings.Join(all, "; ")
}

// whyNoMatch says for which registries the listed Secrets are.
func (t *task) whyNoMatch(listed []string, reference, host string) string {
	var all []string
	for _, name := range listed {
		keys := strings.Join(t.registries(name), ", ")
		reason := fmt.Sprintf("Secret %s of ServiceAccount %s has logins for %s", name, t.account, cmp.Or(keys, "no registry"))
		if keys == "" && t.unread(name) {
			reason = fmt.Sprintf("Secret %s of ServiceAccount %s could not be read", name, t.account)
		} else if why := t.clientSays(name, reference); why != "" && !strings.HasPrefix(why, "no entry is for") {
			reason += " (" + why + ")"
		} else {
			reason += ", and not for " + host
		}
		all = append(all, reason)
	}
	return strings.Join(all, "; ")
}

// unread reports whether the values of a Secret were not read.
func (t *task) unread(name string) bool {
	key := Key{"Secret", t.key.Namespace, name}
	_, read := t.state.Logins[key]
	secret := t.state.Get("Secret", t.key.Namespace, name)
	return !read && (secret == nil || text(secret.Object, "type") != "kubernetes.io/basic-auth")
}

// logins sorts the Secrets of the namespace: those that the account lists and that are for
// registries, those of them that fit an image, and those that fit and are not listed.
func (t *task) logins(account *unstructured.Unstructured, reference string) (listed, fits, others []string) {
	inAccount := names(account, "secrets")
	for _, secret := range t.state.Kind("Secret") {
		if secret.GetNamespace() != t.key.Namespace || !forRegistries(secret) {
			continue
		}
		name := secret.GetName()
		isListed := slices.Contains(inAccount, name)
		if isListed {
			listed = append(listed, name)
		}
		switch fit := t.clientFinds(name, reference); {
		case fit && isListed:
			fits = append(fits, name)
		case fit:
			others = append(others, name)
		}
	}
	slices.Sort(listed)
	slices.Sort(others)
	return listed, fits, others
}

// forRegistries reports whether a Secret is for registries, by its type or Tekton's annotation.
func forRegistries(secret *unstructured.Unstructured) bool {
	switch text(secret.Object, "type") {
	case "kubernetes.io/dockerconfigjson", "kubernetes.io/dockercfg":
		return true
	}
	return len(annotated(secret, "tekton.dev/docker-")) > 0
}

// annotated returns the values of the annotations with a prefix, in the order of their keys.
func annotated(obj *unstructured.Unstructured, prefix string) []string {
	var values []string
	notes := obj.GetAnnotations()
	for _, key := range slices.Sorted(maps.Keys(notes)) {
		if strings.HasPrefix(key, prefix) {
			values = append(values, notes[key])
		}
	}
	return values
}

// source returns what clients read of a Secret, as far as it is known without its values.
func (t *task) source(name string) (clients.Source, bool) {
	if source, ok := t.state.Logins[Key{"Secret", t.key.Namespace, name}]; ok {
		return source, true
	}
	secret := t.state.Get("Secret", t.key.Namespace, name)
	if secret == nil {
		return clients.Source{}, false
	}
	var source clients.Source
	for _, server := range annotated(secret, "tekton.dev/docker-") {
		source.Config = append(source.Config, clients.Entry{Key: server, Username: "x", Password: "x", Auth: "eDp4"})
	}
	source.StepsOnly = true
	return source, len(source.Config) > 0
}

// registries returns the keys of a Secret's logins.
func (t *task) registries(name string) []string {
	source, _ := t.source(name)
	var keys []string
	for _, e := range source.Config {
		keys = append(keys, clients.WithoutLogin(e.Key))
	}
	return keys
}

// inSteps is the client that stands for the programs in steps: go-containerregistry's keychain,
// which Kaniko, crane and ko use.
const inSteps = "Kaniko (chainguard, osscontainertools)"

func (t *task) explanation(name, reference string) (clients.Explanation, bool) {
	source, ok := t.source(name)
	parsed, err := clients.ParseImage(reference)
	if !ok || err != nil {
		return clients.Explanation{}, false
	}
	for _, e := range clients.Explain(source, parsed) {
		if e.Client == inSteps {
			return e, true
		}
	}
	return clients.Explanation{}, false
}

// clientFinds reports whether a client in a step finds a login for an image in a Secret.
func (t *task) clientFinds(name, reference string) bool {
	e, ok := t.explanation(name, reference)
	return ok && (e.Result == "password" || e.Result == "token")
}

// clientSays returns why a client in a step finds no login in a Secret.
func (t *task) clientSays(name, reference string) string {
	e, _ := t.explanation(name, reference)
	return e.Why
}

// whyUnread returns why a step does not use a login that Tekton gives it, or that it does.
func (t *task) whyUnread(container, reference, secret string) (why, remedy string) {
	value, set := t.env(container, "DOCKER_CONFIG")
	is := path.Clean(strings.ReplaceAll(value, "$(credentials.path)", "/tekton/creds"))
	ref, err := image.Parse(t.image(container))
	program := err == nil && isKaniko(ref) || slices.Contains(t.words(container), kaniko.Executor)
	target, _ := image.Parse(reference)
	fix := "set DOCKER_CONFIG to " + credentialsPath + " in the step, or let the mutator's rule docker-config do it"
	switch {
	case set && is != credentialsPath:
		return fmt.Sprintf("Secret %s has a login for it, but the step's DOCKER_CONFIG is %s, where Tekton puts none",
			secret, value), fix
	case !set && program:
		return fmt.Sprintf("Secret %s has a login for it, but the step does not set DOCKER_CONFIG, "+
			"so Kaniko reads /kaniko/.docker, where Tekton puts none", secret), fix
	case !set && t.image(container) == "":
		return fmt.Sprintf("Secret %s has a login for it: either the step does not read it, or the registry refuses it",
			secret), fix
	}
	return fmt.Sprintf("it does not accept the login%s in Secret %s: the password is wrong, or the account may not push to %s",
			t.sent(secret, reference), secret, reference), fmt.Sprintf("`tekgate credentials registry %s -n %s --service-account %s --server %s` "+
			"writes a new one", secret, t.key.Namespace, t.account, target.Host)
}

// sent returns the key of the login that a client sends, and why it is a surprising one.
func (t *task) sent(secret, reference string) string {
	e, _ := t.explanation(secret, reference)
	if len(e.Sends) == 0 || e.Sends[0].Key == "" {
		return ""
	}
	key := " for " + clients.WithoutLogin(e.Sends[0].Key)
	if e.Why != "" {
		key += " (" + e.Why + ")"
	}
	return key
}

func isKaniko(ref image.Reference) bool {
	return slices.ContainsFunc(kaniko.Upstream, func(end string) bool {
		return ref.Path == end || strings.HasSuffix(ref.Path, "/"+end)
	})
}

// env returns a variable of a container, from the Pod or else from the run's steps.
func (t *task) env(container, name string) (value string, set bool) {
	for _, c := range t.specs() {
		if text(c, "name") != container && "step-"+text(c, "name") != container {
			continue
		}
		for _, v := range list(c, "env") {
			if text(v, "name") == name {
				value, set = text(v, "value"), true
			}
		}
	}
	return value, set
}

// names returns the names in a list of references of a ServiceAccount.
func names(account *unstructured.Unstructured, field string) []string {
	var all []string
	for _, ref := range list(account.Object, field) {
		all = append(all, text(ref, "name"))
	}
	return all
}

// hostKey finds whose key is not known.
var hostKey = lazyregexp.New(`No \S+ host key is known for (\S+) and|^(\S+): Permission|Host key for (\S+) has changed`)

// sshURL finds the host of a URL for SSH, in either form.
var sshURL = lazyregexp.New(`^(?:ssh://)?(?:[\w.-]+@)([\w.-]+)(?::|/)`)

// noHostKey says why the key of a Git server is not known, as far as that is known.
func (t *task) noHostKey(container, line string, _ []string) (message, remedy string) {
	host := ""
	for _, line := range lastLines(t.log(container)) {
		if m := hostKey.FindStringSubmatch(line); m != nil {
			host = hostName(strings.Trim(cmp.Or(m[1], m[2], m[3]), "[]'\""))
		}
	}
	for _, word := range t.words(container) {
		if m := sshURL.FindStringSubmatch(word); m != nil && host == "" {
			host = m[1]
		}
	}
	message = strings.TrimSpace("ssh does not know the key of the Git server " + host)
	account := t.state.Get("ServiceAccount", t.key.Namespace, t.account)
	if account != nil {
		message += ": " + t.whyGit(account, host, true)
	} else {
		message += ": " + line
	}
	return message, fmt.Sprintf("`tekgate credentials git NAME -n %s --service-account %s --host %s --ssh-key FILE "+
		"--known-hosts FILE` writes the Secret", t.key.Namespace, t.account, cmp.Or(host, "HOST"))
}

// gitRefused finds the errors of git when credentials are missing or wrong.
var gitRefused = lazyregexp.New(`could not read (?:Username|Password) for '([^']+)'|` +
	`Authentication failed for '([^']+)'|(\S+@\S+?): Permission denied|` +
	`HTTP Basic: Access denied|Invalid username or (?:password|token)|Permission denied \(publickey`)

// gitRefused says which Secret git would have used, or why it used none.
func (t *task) gitRefused(_, line string, groups []string) (message, remedy string) {
	written := cmp.Or(groups[1], groups[2])
	ssh := written == "" && (groups[3] != "" || strings.Contains(line, "publickey"))
	host := ""
	if u, err := url.Parse(written); err == nil {
		host = hostName(u.Host)
	}
	if _, at, found := strings.Cut(groups[3], "@"); found {
		host = hostName(at)
	}
	subject := "the Git server"
	if host != "" {
		subject += " " + host
	}
	fix := fmt.Sprintf("`tekgate credentials git NAME -n %s --service-account %s --host %s` writes the Secret",
		t.key.Namespace, t.account, cmp.Or(gitURL(host, ssh), "HOST"))
	account := t.state.Get("ServiceAccount", t.key.Namespace, t.account)
	if account == nil || host == "" {
		return subject + " refuses the step: " + line, fix
	}
	return fmt.Sprintf("%s refuses the step: %s", subject, t.whyGit(account, host, ssh)), fix
}

func gitURL(host string, ssh bool) string {
	if host == "" || ssh {
		return host
	}
	return "https://" + host
}

// whyGit returns why no Secret of the account is for a Git server.
func (t *task) whyGit(account *unstructured.Unstructured, host string, ssh bool) string {
	inAccount := names(account, "secrets")
	var listed []string
	other := ""
	for _, secret := range t.state.Kind("Secret") {
		values := annotated(secret, "tekton.dev/git-")
		if secret.GetNamespace() != t.key.Namespace || len(values) == 0 {
			continue
		}
		name, kind := secret.GetName(), text(secret.Object, "type")
		fits := slices.ContainsFunc(values, func(v string) bool { return gitHost(v) == host })
		switch {
		case !slices.Contains(inAccount, name):
			if fits {
				other = name
			}
		case fits && ssh == (kind == "kubernetes.io/basic-auth") && kind != "":
			form := map[bool]string{true: "a password, and the URL is one for SSH", false: "a key for SSH, and the URL is not"}[ssh]
			return fmt.Sprintf("Secret %s of ServiceAccount %s is for it, but has %s", name, t.account, form)
		case fits:
			return t.gitAccepted(name, host, values, ssh)
		default:
			listed = append(listed, fmt.Sprintf("Secret %s is for %s", name, strings.Join(values, ", ")))
		}
	}
	switch {
	case other != "":
		return fmt.Sprintf("Secret %s is for it, but ServiceAccount %s does not list it under secrets", other, t.account)
	case len(listed) == 0:
		return fmt.Sprintf("ServiceAccount %s lists no Secret with an annotation tekton.dev/git-0", t.account)
	}
	return fmt.Sprintf("no annotation of a Secret of ServiceAccount %s is for this host: %s", t.account, strings.Join(listed, "; "))
}

// gitAccepted says why a Secret for the right host does not work.
func (t *task) gitAccepted(name, host string, values []string, ssh bool) string {
	for _, v := range values {
		if gitHost(v) != host || ssh {
			continue
		}
		u, err := url.Parse(v)
		if err != nil || u.Scheme == "" || u.Host == "" {
			return fmt.Sprintf("the annotation %q of Secret %s lacks the scheme: it must be https://%s", v, name, host)
		}
		if p := strings.Trim(u.Path, "/"); p != "" && !strings.HasSuffix(p, ".git") {
			return fmt.Sprintf("the annotation %q of Secret %s has the path of a group, and git finds no password for "+
				"repositories below it: it must be https://%s, or the URL of one repository", v, name, host)
		}
	}
	return fmt.Sprintf("it does not accept the login in Secret %s: it is wrong, or its account may not read the repository", name)
}

// gitHost returns the host of an annotation, with its port.
func gitHost(value string) string {
	if _, rest, found := strings.Cut(value, "://"); found {
		value = rest
	}
	host, _, _ := strings.Cut(value, "/")
	return host[strings.LastIndex(host, "@")+1:]
}
