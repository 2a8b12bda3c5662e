package callers

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"

	"github.com/tekgate/tekgate/interceptor"
)

// API reads the group triggers.tekton.dev of an API server.
type API interface {
	Get() *rest.Request
}

// Connect returns the API of the cluster that config names. Its answers are decoded here, as
// far as they are needed: objects of tenants may take 1.5 MB each.
func Connect(config *rest.Config) (API, error) {
	config = rest.CopyConfig(config)
	config.GroupVersion = &schema.GroupVersion{Group: "triggers.tekton.dev", Version: "v1beta1"}
	config.APIPath = "/apis"
	config.NegotiatedSerializer = scheme.Codecs.WithoutConversion()
	c, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("preparing a client for the Triggers of %s: %w", config.Host, err)
	}
	return c, nil
}

// pageSize is small, since the process holds a page in memory.
const pageSize = 5

// used is an interceptor in a trigger.
type used struct {
	Params []struct {
		Name  string          `json:"name"`
		Value json.RawMessage `json:"value"`
	} `json:"params"`
}

type trigger struct {
	Spec struct {
		Interceptors []used `json:"interceptors"`
	} `json:"spec"`
}

type listeners struct {
	Metadata struct {
		Continue string `json:"continue"`
	} `json:"metadata"`
	Items []listener `json:"items"`
}

type listener struct {
	Spec struct {
		Triggers []struct {
			Name         string    `json:"name"`
			Template     *struct{} `json:"template"` // without one, triggerRef names a Trigger
			Interceptors []used    `json:"interceptors"`
		} `json:"triggers"`
		Groups []struct {
			Name         string `json:"name"`
			Interceptors []used `json:"interceptors"`
		} `json:"triggerGroups"`
	} `json:"spec"`
}

type reader struct{ api API }

// read looks for the objects of a trigger id. A Trigger that has the wanted params is enough;
// otherwise the EventListeners of the namespace are read, too.
func (r reader) read(ctx context.Context, id caller, wanted interceptor.ParamsDigest) outcome {
	var got outcome
	if !id.group && len(validation.IsDNS1123Subdomain(id.name)) == 0 {
		got.err = r.trigger(ctx, id, &got)
		if got.err != nil || slices.Contains(got.params, wanted) {
			return got
		}
	}
	got.err = r.listeners(ctx, id, &got)
	got.whole = got.err == nil
	return got
}

func (r reader) trigger(ctx context.Context, id caller, got *outcome) error {
	text, err := r.api.Get().Namespace(id.namespace).Resource("triggers").Name(id.name).DoRaw(ctx)
	if apierrors.IsNotFound(err) {
		return nil
	}
	var t trigger
	if err == nil {
		err = json.Unmarshal(text, &t)
	}
	if err != nil {
		return fmt.Errorf("reading Trigger %s/%s: %w", id.namespace, id.name, err)
	}
	return got.add(t.Spec.Interceptors)
}

func (r reader) listeners(ctx context.Context, id caller, got *outcome) error {
	for next := ""; ; {
		request := r.api.Get().Namespace(id.namespace).Resource("eventlisteners").
			Param("limit", strconv.Itoa(pageSize))
		if next != "" {
			request = request.Param("continue", next)
		}
		text, err := request.DoRaw(ctx)
		if apierrors.IsNotFound(err) {
			return nil
		}
		var page listeners
		if err == nil {
			err = json.Unmarshal(text, &page)
		}
		for i := range page.Items {
			if err == nil {
				err = page.Items[i].find(id, got)
			}
		}
		if err != nil {
			return fmt.Errorf("reading the EventListeners of namespace %s: %w", id.namespace, err)
		}
		if next = page.Metadata.Continue; next == "" {
			return nil
		}
	}
}

// find adds the triggers of an EventListener that ask with an id.
func (l *listener) find(id caller, got *outcome) error {
	if id.group {
		for _, g := range l.Spec.Groups {
			if g.Name != id.name {
				continue
			}
			if err := got.add(g.Interceptors); err != nil {
				return err
			}
		}
		return nil
	}
	for _, t := range l.Spec.Triggers {
		if t.Name != id.name || t.Template == nil {
			continue
		}
		if err := got.add(t.Interceptors); err != nil {
			return err
		}
	}
	return nil
}

// add notes the params of interceptors, as an EventListener sends them: the last one of a
// name counts. It does not ask what an interceptor is called, since a NamespacedInterceptor of
// any name may lead to this server.
func (o *outcome) add(interceptors []used) error {
	o.named = true
	for _, i := range interceptors {
		params := map[string]json.RawMessage{}
		for _, p := range i.Params {
			params[p.Name] = p.Value
		}
		text, err := json.Marshal(params)
		if err != nil {
			return err
		}
		digest, err := interceptor.DigestParams(text)
		if err != nil {
			return err
		}
		if len(o.params) >= maxFound {
			return fmt.Errorf("more than %d triggers have the same name", maxFound)
		}
		o.params = append(o.params, digest)
	}
	return nil
}
