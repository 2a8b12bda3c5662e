package triggers

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var missingSecretRule = &rule.Rule{
	ID:       "missing-secret",
	Severity: rule.Error,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds Secrets, and keys of Secrets, that do not exist in the namespace: those that
interceptors verify signatures with, the tokens of addChangedFiles and githubOwners, the
literals that CEL's compareSecret is given, and those of an EventListener's TLS.

Without it an interceptor refuses every event, after a 202, and a Pod with TLS does not
start. A Secret must be in the trigger's own namespace, wherever the interceptor runs.

The admission server reads no Secret and has nothing to say; tekgate lint knows those in
the folder, and tekgate audit asks.`,
	Check: checkMissingSecret,
}

func checkMissingSecret(ctx context.Context, p *rule.Pass) {
	if p.Namespace == "" {
		return
	}
	for _, ref := range secretsIn(p) {
		if ref.name == "" || expression.Any(ref.name+ref.key) {
			continue
		}
		keys, err := p.Cluster.Keys(ctx, ref.namespace, ref.name)
		switch {
		case err != nil:
			p.Unknown(ref.path, "looking for Secret "+strconv.Quote(ref.name), err)
		case keys == nil:
			p.Report(ref.path,
				"Secret %q does not exist in namespace %q, so %s: create it there",
				ref.name, ref.namespace, ref.effect)
		case ref.key != "" && !slices.Contains(keys, ref.key):
			p.Report(ref.path, "Secret %q has no key %q, so %s: %s",
				ref.name, ref.key, ref.effect, suggest.DidYouMean(ref.key, keys, "add it"))
		}
	}
}

// secretReference is where a Secret's key is named.
type secretReference struct {
	path, namespace, name, key string
	effect                     string // of its absence
}

func secretsIn(p *rule.Pass) []secretReference {
	var found []secretReference
	for _, in := range walk.Interceptors(p) {
		found = append(found, secretsOf(in, p.Namespace)...)
	}
	for _, env := range listenerEnv(p) {
		found = append(found,
			secretReference{env.Path + ".valueFrom.secretKeyRef", p.Namespace, env.Secret, env.Key,
				"the EventListener's Pod does not start"})
	}
	return found
}

// secretsOf returns those that a core interceptor reads.
func secretsOf(in walk.Interceptor, namespace string) []secretReference {
	if coreName(in) == "" {
		return nil
	}
	var r object.Reader
	var found []secretReference
	add := func(path string, ref map[string]any) {
		found = append(found,
			secretReference{path, namespace, r.Text(ref, "secretName"), r.Text(ref, "secretKey"),
				"every event for " + in.Unit + " is refused"})
	}
	for _, given := range orderedParams(in) {
		value, _ := given.Value.(map[string]any)
		switch {
		case strings.EqualFold(given.Name, "secretRef"):
			add(given.Path+".value", value)
		case given.Name == "addChangedFiles" || given.Name == "githubOwners":
			add(given.Path+".value.personalAccessToken", r.Fields(value, "personalAccessToken"))
		case given.Name == "secretRefs":
			for i, ref := range r.FieldsList(map[string]any{"refs": given.Value}, "refs") {
				add(given.Path+".value["+strconv.Itoa(i)+"]", ref)
			}
		}
	}
	for _, e := range celExpressions(in) {
		for _, literals := range comparisons(e.Value) {
			if len(literals) == 2 { // with a third one, it is the namespace
				add(e.Path, map[string]any{"secretKey": literals[0], "secretName": literals[1]})
			}
		}
	}
	return found
}
