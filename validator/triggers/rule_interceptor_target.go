package triggers

import (
	"context"
	"net"
	"net/url"
	"strings"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
	"github.com/tekgate/tekgate/validator/walk"
)

var interceptorTargetRule = &rule.Rule{
	ID:       "interceptor-target",
	Severity: rule.Error,
	OptIn:    true,
	Kinds:    interceptorOutsideRule.Kinds,
	Doc: `Finds interceptors, of a ClusterInterceptor, an Interceptor or a webhook, that are none of
policy.triggers.interceptorTargets: Services as namespace/name, and hosts outside the
cluster, in which * stands for any characters but a slash.

An interceptor sees every event with its headers and decides what runs. Without a list
the rule has nothing to say.`,
	Check: checkInterceptorTarget,
}

func checkInterceptorTarget(_ context.Context, p *rule.Pass) {
	allowed := rule.PolicyOf[Policy](p).InterceptorTargets
	if len(allowed) == 0 {
		return
	}
	for _, target := range interceptorTargets(p) {
		name := target.service
		if name == "" {
			name = target.host
		}
		if !rule.MatchesAny(allowed, name) {
			p.Report(target.path,
				"events may not be sent to %q here: use one of policy.triggers.interceptorTargets, which are %s",
				name, strings.Join(allowed, ", "))
		}
	}
}

// interceptorTarget is who is asked about events.
type interceptorTarget struct {
	path    string
	service string // namespace/name, or "" for a host outside the cluster
	host    string
}

// interceptorTargets returns who is asked by an object, of a namespaced Service whose
// namespace is not known nothing.
func interceptorTargets(p *rule.Pass) []interceptorTarget {
	var r object.Reader
	var found []interceptorTarget
	add := func(path string, target interceptorTarget, ok bool) {
		if target.path = path; ok {
			found = append(found, target)
		}
	}
	if p.Kind.Kind == "ClusterInterceptor" || p.Kind.Kind == "Interceptor" {
		c := clientOf(p)
		target, ok := byURL(c.url, p.Namespace)
		add("spec.clientConfig.url", target, ok)
		target, ok = byService(r.Text(c.service, "namespace"), r.Text(c.service, "name"))
		add("spec.clientConfig.service", target, ok)
		return found
	}
	for _, in := range walk.Interceptors(p) {
		webhook := r.Fields(in.Fields, "webhook")
		target, ok := byURL(r.Text(webhook, "url"), p.Namespace)
		if ok {
			add(in.Path+".webhook.url", target, ok) // Tekton prefers it
			continue
		}
		ref := r.Fields(webhook, "objectRef")
		namespace := r.Text(ref, "namespace")
		if namespace == "" {
			namespace = p.Namespace
		}
		target, ok = byService(namespace, r.Text(ref, "name"))
		add(in.Path+".webhook.objectRef", target, ok)
	}
	return found
}

func byService(namespace, name string) (interceptorTarget, bool) {
	return interceptorTarget{service: namespace + "/" + name}, namespace != "" && name != ""
}

// byURL takes a host of the cluster's DNS for its Service.
func byURL(text, namespace string) (interceptorTarget, bool) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Hostname() == "" {
		return interceptorTarget{}, false
	}
	host := parsed.Hostname()
	labels := strings.Split(host, ".")
	switch {
	case net.ParseIP(host) != nil:
	case len(labels) == 1:
		return interceptorTarget{service: namespace + "/" + host, host: host}, true
	case len(labels) > 2 && labels[2] == "svc":
		return interceptorTarget{service: labels[1] + "/" + labels[0], host: host}, true
	}
	return interceptorTarget{host: host}, true
}
