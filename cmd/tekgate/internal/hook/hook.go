// Package hook registers webhooks at forges, signs, sends, explains and lists deliveries, and
// reports commit statuses.
package hook

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/internal/display"
	"github.com/tekgate/tekgate/internal/hooks"
)

// Command returns the command.
func Command() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "hook",
		Short: "Register webhooks at forges; sign, send, explain and list deliveries",
		Long: `A forge is told 202 whatever becomes of its event, and an EventListener does not
say why it stopped one. These commands do: deliveries lists what the interceptor
decided lately and why, explain finds the mistake in a delivery that was caught,
sign and send make one that is right, and scaffold writes all the objects that a
build on push takes.

register creates the webhook at the forge with its secret, and checks that a delivery
arrives; status shows it from both sides, and unregister deletes it. report-status tells
the forge what became of a commit; it runs in a step.

Secrets are read from a file, an environment variable or a Kubernetes Secret, never
from an argument, where everybody on the machine could read them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(deliveriesCommand(), explainCommand(), signCommand(), sendCommand(), scaffoldCommand(),
		registerCommand(), unregisterCommand(), statusCommand(), reportCommand())
	return cmd
}

// plain replaces control characters in names that others chose.
func plain(text string) string { return display.Printable(text, '?') }

// errRefused is the result for a delivery that starts nothing.
var errRefused = cli.Exit(2, errors.New("the event is refused"))

// hook says how deliveries are signed: what a Trigger gives the interceptor as
// params, and with which secrets.
type hook struct {
	kube      kubeflags.Flags
	namespace string
	trigger   string

	provider, mode string
	extra          []string
	file           string

	secretFile, secretEnv string
	secretRef             string
}

func (h *hook) flags(cmd *cobra.Command) {
	h.kube.Add(cmd)
	f := cmd.Flags()
	f.StringVarP(&h.namespace, "namespace", "n", "default", "`NAMESPACE` of the Trigger and its Secret")
	f.StringVar(&h.trigger, "trigger", "",
		"take params and secrets from the Trigger of this `NAME`, or from the trigger or, as group/NAME, the trigger group of an EventListener")
	f.StringVar(&h.provider, "provider", "", "the param provider: `NAME` of the forge, such as gitee")
	f.StringVar(&h.mode, "mode", "",
		"the param mode, such as sign (default with --provider: the provider's recommended one, which is printed)")
	f.StringArrayVar(&h.extra, "param", nil, "another param as `NAME=VALUE`; the value is JSON, or else a word")
	f.StringVar(&h.file, "params", "", "`FILE` with the params, in YAML or JSON")
	f.StringVar(&h.secretFile, "secret-file", "", "`FILE` that holds the secret; - for standard input")
	f.StringVar(&h.secretEnv, "secret-env", "", "environment `VARIABLE` that holds the secret")
	f.StringVar(&h.secretRef, "secret", "", "`NAME/KEY` of the Kubernetes Secret that holds it, in the namespace")
}

// params returns a Trigger's params, those of the flags over those of a file over
// those of the Trigger.
func (h *hook) params(ctx context.Context, streams cli.Streams) (map[string]any, error) {
	all := map[string]any{}
	if h.trigger != "" {
		c, err := h.kube.Client()
		if err != nil {
			return nil, err
		}
		if all, err = triggerParams(ctx, c, h.namespace, h.trigger); err != nil {
			return nil, err
		}
	}
	if h.file != "" {
		text, err := streams.ReadFile("the params", h.file)
		if err != nil {
			return nil, err
		}
		if err := readParams(text, all); err != nil {
			return nil, fmt.Errorf("reading the params in %s: %w", h.file, err)
		}
	}
	if h.provider != "" {
		all["provider"] = h.provider
	}
	if h.mode != "" {
		all["mode"] = h.mode
	}
	for _, pair := range h.extra {
		name, text, found := strings.Cut(pair, "=")
		if !found || name == "" {
			return nil, fmt.Errorf("reading --param %q: it has to be NAME=VALUE", pair)
		}
		var value any
		if json.Unmarshal([]byte(text), &value) != nil {
			value = text
		}
		all[name] = value
	}
	h.recommend(streams.ErrOut, all)
	return all, nil
}

// recommend names the provider's recommended mode where the flags name the provider and
// nothing names a mode. Params that a Trigger has, or that a file has for one, stay as they
// are: the interceptor does not guess either.
func (h *hook) recommend(errOut io.Writer, params map[string]any) {
	mode := hooks.RecommendedMode(h.provider)
	if _, named := params["mode"]; named || mode == "" || h.trigger != "" || h.file != "" {
		return
	}
	params["mode"] = mode
	fmt.Fprintln(errOut, modeNote(h.provider, mode))
}

// modeNote tells which mode was taken, and which others there are.
func modeNote(provider, mode string) string {
	var others []string
	for _, p := range hooks.Providers {
		for _, m := range p.Modes {
			if p.Name == provider && m.Name != mode {
				others = append(others, m.Name)
			}
		}
	}
	note := fmt.Sprintf("mode %s, the recommended one for %s", mode, provider)
	if len(others) > 0 {
		note += "; --mode takes " + strings.Join(others, " or ") + ", too"
	}
	if provider == "gitlab" {
		note += ": GitLab before 19.0 has no signing token, so pass --mode token there"
	}
	return note
}

// readParams reads params as an object, or as the list of names and values that a Trigger
// has them in.
func readParams(text []byte, into map[string]any) error {
	var value any
	if err := yaml.Unmarshal(text, &value); err != nil {
		return err
	}
	switch v := value.(type) {
	case nil:
	case map[string]any:
		maps.Copy(into, v)
	case []any:
		for i, item := range v {
			pair, _ := item.(map[string]any)
			name, _ := pair["name"].(string)
			if name == "" {
				return fmt.Errorf("item %d has no name: write - {name: NAME, value: VALUE}", i+1)
			}
			into[name] = pair["value"]
		}
	default:
		return errors.New("they are neither an object nor a list of names and values")
	}
	return nil
}

// secrets returns the values that may have signed, as they lie there: with the
// newline that a file ends with, too. Without a flag they are those that the
// params refer to.
func (h *hook) secrets(ctx context.Context, streams cli.Streams, params map[string]any) ([][]byte, error) {
	given := 0
	for _, flag := range []string{h.secretFile, h.secretEnv, h.secretRef} {
		if flag != "" {
			given++
		}
	}
	switch {
	case given > 1:
		return nil, errors.New("--secret-file, --secret-env and --secret name one thing: pass one of them")
	case h.secretFile != "":
		text, err := streams.ReadFile("the secret", h.secretFile)
		return [][]byte{text}, err
	case h.secretEnv != "":
		value := os.Getenv(h.secretEnv)
		if value == "" {
			return nil, fmt.Errorf("reading the secret: the environment has no variable %s, or it is empty",
				h.secretEnv)
		}
		return [][]byte{[]byte(value)}, nil
	case h.secretRef != "":
		name, key, found := strings.Cut(h.secretRef, "/")
		if !found || name == "" || key == "" {
			return nil, fmt.Errorf("reading --secret %q: it has to be NAME/KEY of a Secret", h.secretRef)
		}
		return h.read(ctx, [][2]string{{name, key}})
	}
	refs := secretRefs(params)
	if len(refs) == 0 {
		return nil, errors.New(
			"no secret is named: pass --secret-file, --secret-env or --secret, or --trigger to use the Trigger's own")
	}
	return h.read(ctx, refs)
}

// secretRefs returns the names and keys of the Secrets in params.
func secretRefs(params map[string]any) [][2]string {
	list, _ := params["secretRefs"].([]any)
	if single, found := params["secretRef"]; found {
		list = append([]any{single}, list...)
	}
	var refs [][2]string
	for _, item := range list {
		fields, _ := item.(map[string]any)
		name, _ := fields["secretName"].(string)
		key, _ := fields["secretKey"].(string)
		if name != "" && key != "" {
			refs = append(refs, [2]string{name, key})
		}
	}
	return refs
}

func (h *hook) read(ctx context.Context, refs [][2]string) ([][]byte, error) {
	c, err := h.kube.Client()
	if err != nil {
		return nil, err
	}
	var values [][]byte
	for _, ref := range refs {
		secret := &unstructured.Unstructured{}
		secret.SetAPIVersion("v1")
		secret.SetKind("Secret")
		if err := c.Get(ctx, client.ObjectKey{Namespace: h.namespace, Name: ref[0]}, secret); err != nil {
			return nil, fmt.Errorf("reading Secret %s/%s: %w", h.namespace, ref[0], err)
		}
		encoded, found, _ := unstructured.NestedString(secret.Object, "data", ref[1])
		value, err := base64.StdEncoding.DecodeString(encoded)
		if !found || err != nil {
			return nil, fmt.Errorf("reading Secret %s/%s: it has no key %s", h.namespace, ref[0], ref[1])
		}
		values = append(values, value)
	}
	return values, nil
}

// triggerParams returns what a trigger gives Tekgate's interceptor.
func triggerParams(ctx context.Context, c client.Client, namespace, name string) (map[string]any, error) {
	place, err := findTrigger(ctx, c, namespace, name)
	if err != nil {
		return nil, err
	}
	return paramsIn(place.interceptors, place.what)
}

// triggerPlace is where a trigger's interceptors are: in a Trigger or an EventListener.
type triggerPlace struct {
	object       *unstructured.Unstructured
	what         string // for sentences
	pointer      string // JSON pointer to the list of interceptors
	interceptors []any
}

func findTrigger(ctx context.Context, c client.Client, namespace, name string) (*triggerPlace, error) {
	object := triggersObject("Trigger")
	group, isGroup := strings.CutPrefix(name, "group/")
	if !isGroup {
		err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object)
		if err == nil {
			list, _, _ := unstructured.NestedSlice(object.Object, "spec", "interceptors")
			return &triggerPlace{object, "Trigger " + namespace + "/" + name, "/spec/interceptors", list}, nil
		}
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("reading Trigger %s/%s: %w", namespace, name, err)
		}
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(triggersObject("EventListenerList").GroupVersionKind())
	if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
		return nil, fmt.Errorf("listing the EventListeners of namespace %s: %w", namespace, err)
	}
	for i := range list.Items {
		listener := &list.Items[i]
		field, wanted := "triggers", name
		if isGroup {
			field, wanted = "triggerGroups", group
		}
		items, _, _ := unstructured.NestedSlice(listener.Object, "spec", field)
		for at, item := range items {
			fields, _ := item.(map[string]any)
			if fields["name"] != wanted {
				continue
			}
			interceptors, _, _ := unstructured.NestedSlice(fields, "interceptors")
			return &triggerPlace{listener,
				"trigger " + name + " of EventListener " + namespace + "/" + listener.GetName(),
				fmt.Sprintf("/spec/%s/%d/interceptors", field, at), interceptors}, nil
		}
	}
	return nil, fmt.Errorf(
		"finding trigger %s: namespace %s has neither a Trigger nor a part of an EventListener of that name", name,
		namespace)
}

func triggersObject(kind string) *unstructured.Unstructured {
	u := &unstructured.Unstructured{}
	u.SetAPIVersion("triggers.tekton.dev/v1beta1")
	u.SetKind(kind)
	return u
}

// paramsIn returns the params of the first interceptor that is Tekgate's.
func paramsIn(interceptors []any, what string) (map[string]any, error) {
	_, one := ownInterceptor(interceptors)
	if one == nil {
		return nil, fmt.Errorf(
			"reading %s: it has no interceptor with ref.name tekgate, so Tekgate verifies nothing for it", what)
	}
	params := map[string]any{}
	list, _, _ := unstructured.NestedSlice(one, "params")
	for _, p := range list {
		pair, _ := p.(map[string]any)
		name, _ := pair["name"].(string)
		params[name] = pair["value"]
	}
	return params, nil
}

// ownInterceptor returns the first interceptor that is Tekgate's, or nil, and its index.
func ownInterceptor(interceptors []any) (int, map[string]any) {
	for i, item := range interceptors {
		one, _ := item.(map[string]any)
		if ref, _, _ := unstructured.NestedString(one, "ref", "name"); ref == "tekgate" {
			return i, one
		}
	}
	return 0, nil
}
