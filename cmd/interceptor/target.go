package main

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/url"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/interceptor"
	"github.com/tekgate/tekgate/internal/certs"
)

// servicePort is the port of the Service, as the manifest has it.
const servicePort = 443

// target is where EventListeners find this server: a URL, or else a Service.
type target struct {
	url                *url.URL
	service, namespace string
}

func (o options) target() (target, error) {
	t := target{service: o.service, namespace: o.namespace}
	if o.url == "" {
		return t, nil
	}
	u, err := url.Parse(o.url)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return t, fmt.Errorf(
			"reading --url: %q has to be https://HOST:PORT, since EventListeners send what was signed", o.url)
	}
	if strings.Trim(u.Path, "/") == "" {
		u.Path = interceptor.Path
	}
	t.url = u
	return t, nil
}

// names returns what the serving certificate must hold for clients to trust it.
func (t target) names() ([]string, []net.IP) {
	names := certs.ServiceNames(t.service, t.namespace)
	if t.url == nil {
		return names, nil
	}
	if ip := net.ParseIP(t.url.Hostname()); ip != nil {
		return names, []net.IP{ip}
	}
	return append(names, t.url.Hostname()), nil
}

// clusterInterceptor returns the whole object; see the package's comment.
func (t target) clusterInterceptor(bundle []byte) *unstructured.Unstructured {
	config := map[string]any{"caBundle": base64.StdEncoding.EncodeToString(bundle)}
	if t.url != nil {
		config["url"] = t.url.String()
	} else {
		config["service"] = map[string]any{
			"name": t.service, "namespace": t.namespace,
			"path": strings.TrimPrefix(interceptor.Path, "/"), "port": int64(servicePort),
		}
	}
	u := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "triggers.tekton.dev/v1alpha1",
		"kind":       "ClusterInterceptor",
		"spec":       map[string]any{"clientConfig": config},
	}}
	u.SetName("tekgate")
	u.SetLabels(map[string]string{
		"server/type":                  "https",
		"app.kubernetes.io/name":       "tekgate",
		"app.kubernetes.io/part-of":    "tekgate",
		"app.kubernetes.io/managed-by": "tekgate",
	})
	return u
}
