package diagnosis

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// failure is how a registry or the way to it fails.
type failure string

const (
	imageMissing  failure = "missing"
	otherPlatform failure = "platform"
	otherDigest   failure = "digest"
	denied        failure = "credentials"
	untrusted     failure = "certificate"
	unreachable   failure = "unreachable"
	badName       failure = "name-invalid"
	limited       failure = "rate-limit"
	other         failure = "pull"
)

// failures are the texts of containerd, CRI-O, Docker and go-containerregistry. A number is a status
// only behind a space or the like: build numbers are tags.
var failures = []struct {
	failure failure
	find    *lazyregexp.Regexp
}{
	{badName, lazyregexp.New(`(?i)InvalidImageName|couldn't parse image|invalid reference format|could not parse reference`)},
	{untrusted, lazyregexp.New(`(?i)x509:|certificate signed by unknown authority|server gave HTTP response to HTTPS client|` +
		`tls: failed to verify|remote error: tls`)},
	{otherPlatform, lazyregexp.New(`(?i)no match for platform|no matching manifest for|no image found in (?:manifest list|image index) for|` +
		`does not match the specified platform|no child with platform`)},
	{limited, lazyregexp.New(`(?i)toomanyrequests|[\s(=]429\b|pull rate limit`)},
	{denied, lazyregexp.New(`(?i)[\s(=]40[13]\b|unauthorized|authorization failed|no basic auth credentials|access denied|` +
		`authentication required|denied: `)},
	{unreachable, lazyregexp.New(`(?i)dial tcp|no such host|i/o timeout|connection refused|connection reset|network is unreachable|` +
		`no route to host|context deadline exceeded|Client\.Timeout|TLS handshake timeout|server misbehaving|` +
		`[\s(=]50[0234]\b|unexpected EOF|proxyconnect`)},
	{imageMissing, lazyregexp.New(`(?i)not found|MANIFEST_UNKNOWN|NAME_UNKNOWN|manifest unknown|[\s(=]404\b|does not exist`)},
}

// mirrorsToo finds what CRI-O reports of mirrors before it reports the registry that is named.
var mirrorsToo = lazyregexp.New(`\(Mirrors also failed: \[.*\]\): `)

// registryFailure sorts the text of a failed pull or request.
func registryFailure(text string) failure {
	text = mirrorsToo.ReplaceAllString(text, "")
	for _, f := range failures {
		if f.find.MatchString(text) {
			return f.failure
		}
	}
	return other
}

// pull is an image that a container cannot get.
type pull struct {
	container string
	image     string
	text      string // the most exact message
}

var pulled = lazyregexp.New(`(?i)(?:failed to pull|back-off pulling|failed to apply default image tag|` +
	`error: couldn't parse image reference|pull and unpack) (?:image )?"([^"]+)"`)

// pullReasons are those of containers and events that are about a pull.
var pullReasons = []string{"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull",
	"RegistryUnavailable", "ImageInspectError", "SignatureValidationFailed"}

// injected are the containers that Tekton adds to Pods (pkg/pod/pod.go, script.go, workingdir_init.go and
// sidecarlogresults, pipeline v1.15.1; place-tools is that of releases before v0.46).
var injected = append(initial, "sidecar-tekton-log-results")

// initial are those of them that have ended before a step starts.
var initial = []string{"prepare", "place-scripts", "place-tools", "working-dir-initializer"}

// pulls returns the images that cannot be pulled, one for each container.
func (t *task) pulls() []pull {
	var all []pull
	for _, e := range t.evidence {
		m := pulled.FindStringSubmatch(e.text)
		isWaiting := e.origin == fromWaiting && slices.Contains(pullReasons, e.reason)
		isFailed := e.origin == fromCondition && (e.reason == "TaskRunImagePullFailed" || e.reason == "PullImageFailed")
		isEvent := e.origin == fromEvent && m != nil
		isPending := e.origin == fromCondition && m != nil && e.reason == "Pending" && !t.anyStarted()
		if !isWaiting && !isEvent && !isFailed && !isPending {
			continue
		}
		p := pull{container: e.container, text: e.text}
		if step := conditionContainer.FindStringSubmatch(e.text); p.container == "" && step != nil {
			p.container = step[1] + "-" + step[2]
		}
		p.image = t.image(p.container)
		if m != nil {
			p.image = t.written(p.container, m[1])
		}
		all = mergePull(all, p)
	}
	return all
}

// written returns the image that a step of the run's Task names where the Pod names its digest,
// which Tekton found out before it made the Pod.
func (t *task) written(container, pulled string) string {
	at, _, found := strings.Cut(pulled, "@")
	for _, s := range t.steps() {
		name := text(s, "image")
		same := strings.HasPrefix(name, at+":") || name == at
		if found && same && !strings.Contains(name, "@") && "step-"+text(s, "name") == container {
			return name
		}
	}
	return pulled
}

// conditionContainer finds the container in Tekton's message about a failed pull.
var conditionContainer = lazyregexp.New(`the (step|sidecar) "([^"]+)" in TaskRun "[^"]*" failed to pull`)

// mergePull adds what is new: a message that says why takes the place of one that does not.
func mergePull(all []pull, p pull) []pull {
	same := func(q pull) bool {
		return q.container == p.container || q.container == "" || p.container == "" ||
			q.image == p.image && q.image != ""
	}
	i := slices.IndexFunc(all, same)
	if i < 0 {
		return append(all, p)
	}
	q := &all[i]
	q.container, q.image = cmp.Or(q.container, p.container), cmp.Or(q.image, p.image)
	if registryFailure(q.text) == other && registryFailure(p.text) != other {
		q.text = p.text
	}
	return all
}

// byPull returns the causes of failed pulls by the kubelet.
func (t *task) byPull() []Cause {
	var causes []Cause
	for _, p := range t.pulls() {
		kind, message, remedy := t.judge(p.image, p.text, registryFailure(p.text))
		id := "image-" + string(kind)
		switch {
		case p.container == "" || isStep(p.container) || kind == badName:
		case slices.Contains(injected, p.container):
			id, remedy = "injected-image-missing", ""
			message += "; Tekton adds this container to the Pod, does not report that it cannot start, " +
				"and waits until the run's timeout"
		case strings.HasPrefix(p.container, "sidecar-"):
			id = "sidecar-image-missing"
			if t.condition.status != "False" {
				message += "; Tekton does not report it and waits until the run's timeout"
			}
		}
		c := t.cause(id, t.podKey, p.container, message, remedy)
		c.Image = p.image
		causes = append(causes, c)
		causes = append(causes, t.notRewritten(p.container, p.image, kind)...)
	}
	return causes
}

// judge says what is wrong with an image: the registry's answer, if it was asked and proves
// more than the message does.
func (t *task) judge(ref, message string, seen failure) (kind failure, sentence, remedy string) {
	shown := cmp.Or(ref, "its image")
	answer := t.registryAnswer(ref)
	switch {
	case answer != nil && answer.Status == "missing platform" || seen == otherPlatform:
		return otherPlatform, shown + " is not there for the node's platform" + platforms(answer), ""
	case answer != nil && answer.Status == "wrong digest":
		return otherDigest, fmt.Sprintf("%s is not there under this digest: the tag has %s", shown, answer.Digest), ""
	case seen == imageMissing && strings.Contains(ref, "@sha256:") && !tagged(ref):
		return otherDigest, shown + " is not there: the registry has nothing under this digest", ""
	case seen == imageMissing && answer != nil && answer.Status == "ok":
		return imageMissing, shown + " was not there, and is now: " + quote(message), "start the run again"
	case seen == imageMissing:
		return imageMissing, shown + " is not there: " + quote(message), ""
	case seen == denied:
		return denied, "the registry refuses " + shown + ": " + quote(message), ""
	case seen == limited:
		return limited, "the registry limits how often " + shown + " may be pulled: " + quote(message), ""
	case seen == untrusted:
		return untrusted, "the certificate of the registry of " + shown + " is not trusted: " + quote(message), ""
	case seen == unreachable:
		return unreachable, "the registry of " + shown + " cannot be reached: " + quote(message), ""
	case seen == badName:
		return badName, shown + " is not a valid image name", ""
	case answer != nil && answer.Status == "missing":
		return imageMissing, shown + " is not there: " + answer.Problem, ""
	}
	return other, shown + " cannot be pulled: " + quote(message), ""
}

// tagged reports whether a reference with a digest has a tag, too.
func tagged(reference string) bool {
	ref, err := image.Parse(reference)
	return err == nil && ref.Tag != ""
}

func platforms(answer *Image) string {
	if answer == nil || len(answer.Platforms) == 0 {
		return ""
	}
	has := ": the registry has " + strings.Join(answer.Platforms, ", ")
	if len(answer.Wanted) > 0 {
		has += ", and the nodes are " + strings.Join(answer.Wanted, ", ")
	}
	return has
}

// registryAnswer returns what a registry answered about an image, or nil if it was not asked.
func (t *task) registryAnswer(ref string) *Image {
	for i := range t.state.Images {
		if t.state.Images[i].Reference == ref && ref != "" {
			return &t.state.Images[i]
		}
	}
	return nil
}

// wrappings are the parts of a nested error behind which the reason follows.
var wrappings = lazyregexp.New(`(?s)^.*(?:failed to resolve image: |failed to resolve reference "[^"]*": |` +
	`failed to pull and unpack image "[^"]*": |desc = |ErrImagePull: |pod errored with the message: "+)`)

// quote returns the end of a nested error, which says what happened.
func quote(message string) string {
	message = strings.TrimRight(strings.TrimSpace(cutMaybe(message)), `."`)
	message = wrappings.ReplaceAllString(message, "")
	if strings.Count(message, `"`)%2 == 1 {
		message += `"` // of a quoted name at the end
	}
	return message
}

// lookup finds the error of Tekton's controller that asks a registry for a step's command.
var lookup = lazyregexp.New(`translating TaskSpec to Pod: (.+)`)

// lookupURL finds what was asked.
var lookupURL = lazyregexp.New(`https?://([^/\s"]+)/v2/(?:([^\s"]+?)/(?:manifests|blobs)/([^\s":]+(?::[0-9a-f]+)?))?`)

// byLookup returns the cause of a failed look-up of an entrypoint.
func (t *task) byLookup() []Cause {
	m := lookup.FindStringSubmatch(t.condition.message)
	if m == nil || !t.condition.failed() {
		return nil
	}
	reason := quote(m[1])
	host, ref := "", ""
	if u := lookupURL.FindStringSubmatch(reason); u != nil {
		host = u[1]
		if u[2] != "" {
			separator := ":"
			if strings.HasPrefix(u[3], "sha256:") {
				separator = "@"
			}
			ref = host + "/" + u[2] + separator + u[3]
		}
	}
	for _, k := range knownTexts { // such as a ServiceAccount that does not exist
		if k.find.MatchString(reason) && registryFailure(reason) == imageMissing && host == "" {
			return nil
		}
	}
	step, written := t.stepOf(host, ref)
	subject := cmp.Or(written, ref, "the image of a step")
	ids := map[failure]string{
		denied: "entrypoint-credentials", untrusted: "entrypoint-certificate", unreachable: "entrypoint-unreachable",
		imageMissing: "entrypoint-image-missing", badName: "image-name-invalid", limited: "image-rate-limit",
	}
	if registryFailure(reason) == otherPlatform {
		_, message, remedy := t.judge(subject, reason, otherPlatform)
		c := t.cause("image-platform", t.key, "", message, remedy)
		c.Image = cmp.Or(written, ref)
		return []Cause{c}
	}
	id, ok := ids[registryFailure(reason)]
	if !ok {
		return nil
	}
	message := fmt.Sprintf("Tekton's controller (not the kubelet) asked the registry which command %s starts, "+
		"and failed: %s", subject, reason)
	container := ""
	if step != "" {
		container = "step-" + step
	}
	c := t.cause(id, t.key, container, message, "")
	c.Image = cmp.Or(written, ref)
	return append([]Cause{c}, t.notRewritten(container, written, registryFailure(reason))...)
}

// stepOf returns the step without a command whose image is on a host, and the image as it is written.
func (t *task) stepOf(host, ref string) (step, written string) {
	if host == "" {
		return "", ""
	}
	for i, s := range t.steps() {
		parsed, err := image.Parse(text(s, "image"))
		if err != nil || text(s, "script") != "" || s["command"] != nil {
			continue
		}
		sameHost := parsed.Host == host || parsed.Host == "docker.io" && strings.HasSuffix(host, "docker.io")
		if sameHost && (ref == "" || strings.HasPrefix(ref, host+"/"+parsed.Path)) {
			return cmp.Or(text(s, "name"), fmt.Sprintf("unnamed-%d", i)), text(s, "image")
		}
	}
	return "", ""
}

// RewrittenTo returns where the mirror's rules lead an image, or "" if it stays.
func (t *Tekgate) RewrittenTo(written string) string {
	if t == nil || t.Mirror == nil || written == "" {
		return ""
	}
	ref, err := image.Parse(written)
	if err != nil {
		return ""
	}
	to, err := t.Mirror.Rewrite(ref)
	if err != nil || to.To == ref {
		return "" // it is the mirror's, or no rule leads it there
	}
	return to.To.String()
}

// notRewritten returns why an image that fails is not one of the mirror. That is a cause only
// if the mirror has it: its registry says so, or was not asked and the other one is out of reach.
func (t *task) notRewritten(container, written string, kind failure) []Cause {
	to := t.state.Tekgate.RewrittenTo(written)
	if to == "" {
		return nil
	}
	answer := t.registryAnswer(to)
	likely := answer == nil && (kind == unreachable || kind == imageMissing)
	if !likely && (answer == nil || answer.Status != "ok") {
		return nil
	}
	why, remedy := t.whyNotRewritten(t.state.Tekgate)
	message := fmt.Sprintf("%s was not rewritten to %s: %s", written, to, why)
	if answer == nil {
		message += "; whether the mirror has it was not asked"
	}
	c := t.cause("image-not-rewritten", t.key, container, message, remedy)
	c.Image = written
	return []Cause{c}
}

func (t *task) whyNotRewritten(tekgate *Tekgate) (why, remedy string) {
	notes := t.obj.GetAnnotations()
	namespace := t.state.Get("Namespace", "", t.key.Namespace)
	var record struct{ Rules []string }
	recorded := json.Unmarshal([]byte(notes[wellknown.MutatedKey]), &record) == nil
	switch {
	case !tekgate.Installed:
		return "Tekgate's webhook is not installed", "run `tekgate install`"
	case notes[wellknown.MutateKey] == wellknown.Disabled:
		return "the run's annotation " + wellknown.MutateKey + " is " + wellknown.Disabled,
			"remove the annotation, and start the run again"
	case namespace != nil && namespace.GetLabels()[wellknown.MutateKey] == wellknown.Disabled:
		return "the label " + wellknown.MutateKey + " of namespace " + t.key.Namespace + " is " + wellknown.Disabled,
			"remove the label from the namespace, and start the run again"
	case slices.Contains(strings.FieldsFunc(notes[wellknown.SkipRulesKey],
		func(r rune) bool { return r == ',' || r == ' ' }), "image-mirror"):
		return "the run's annotation " + wellknown.SkipRulesKey + " names the rule image-mirror",
			"remove the rule from the annotation, and start the run again"
	case !tekgate.Rewrites:
		return "the rule image-mirror is off", "set mutator.imageMirror in Tekgate's configuration"
	case !tekgate.Since.IsZero() && t.obj.GetCreationTimestamp().Time.Before(tekgate.Since):
		return "the run was created before Tekgate's webhook was registered", "start the run again"
	case recorded:
		return "the rule image-mirror left it alone, though other rules changed the run",
			"`tekgate mutate --live --explain` on the run says why"
	}
	return "Tekgate's webhook left no record on the run",
		"run `tekgate check`; `tekgate mutate --live --explain` on the run says what the rules would do"
}
