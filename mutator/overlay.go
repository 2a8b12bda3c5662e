package mutator

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/tekgate/tekgate/internal/strict"
)

// The bounds of namespaces' own settings, which are called overlays here.
const (
	// MaxOverlay is how many bytes one may have, with its aliases written out.
	MaxOverlay = 64 << 10
	// MaxOverlays is how many bytes of memory all of them may take, by OverlayCost.
	MaxOverlays = 48 << 20

	maxOverlayValues = 4096 // at overlayValue each, an eighth of MaxOverlays
	// The estimate of what an overlay takes, from measurements: a pattern of images takes 1.3
	// KB, and everything else takes less for each value.
	overlayBase  = 32 << 10
	overlayValue = 1536
	// maxOverlayKnown takes the place of maxKnown in overlays.
	maxOverlayKnown = 25
)

// OverlayCost estimates how many bytes of memory the settings of a text take, and what
// compiles from them. The error says that the text alone is too large.
//
// YAML's aliases are counted where they are used: a text of 64 KB can stand for gigabytes.
func OverlayCost(text string) (int, error) {
	tooLarge := fmt.Errorf("it has more than %d bytes, which is the most: leave out what the cluster's configuration has already",
		MaxOverlay)
	if len(text) > MaxOverlay {
		return 0, tooLarge
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil {
		return 0, fmt.Errorf("parsing YAML: %w", err)
	}
	size := expanded{bytes: MaxOverlay, values: maxOverlayValues}
	size.add(&document)
	if size.bytes < 0 {
		return 0, tooLarge
	}
	if size.values < 0 {
		return 0, fmt.Errorf("it has more than %d values, which is the most: leave out what the cluster's configuration has already",
			maxOverlayValues)
	}
	return overlayBase + len(text) + overlayValue*(maxOverlayValues-size.values), nil
}

// expanded is what is left of the bounds of an overlay.
type expanded struct{ bytes, values int }

func (e *expanded) add(node *yaml.Node) {
	if e.values--; e.values < 0 || e.bytes < 0 {
		return
	}
	if node.Kind == yaml.AliasNode {
		e.add(node.Alias)
		return
	}
	e.bytes -= len(node.Value)
	for _, child := range node.Content {
		e.add(child)
	}
}

// overlays are the settings of namespaces that have their own, by the text of their
// annotation. Many namespaces have the same text, and it is needed for every object.
type overlays struct {
	mutex sync.Mutex
	known map[string]*overlay
	cost  int // of all that are known
}

// overlay is compiled once, by the first request that needs it.
type overlay struct {
	once     sync.Once
	settings *settings
	err      error
}

// get returns the settings of a text. While they are compiled, only requests that need the
// same settings wait.
func (o *overlays) get(base *settings, text string) (*settings, error) {
	found, err := o.find(text)
	if err != nil {
		return nil, err // and it is not kept: the text may be as long as its writer likes
	}
	found.once.Do(func() {
		if found.settings, err = lay(base, text); err != nil {
			found.err = shortened(err)
		}
	})
	return found.settings, found.err
}

// shortened returns an error that is told with every run of a Namespace.
func shortened(err error) error {
	const most = 1000
	if text := err.Error(); len(text) > most {
		return errors.New(strings.ToValidUTF8(text[:most], "") + "…")
	}
	return err
}

// find returns the entry of a text.
func (o *overlays) find(text string) (*overlay, error) {
	o.mutex.Lock()
	found := o.known[text]
	o.mutex.Unlock()
	if found != nil {
		return found, nil
	}
	cost, err := OverlayCost(text)
	if err != nil {
		return nil, err
	}
	o.mutex.Lock()
	defer o.mutex.Unlock()
	if found := o.known[text]; found != nil {
		return found, nil
	}
	if o.known == nil || o.cost+cost > MaxOverlays {
		o.known, o.cost = map[string]*overlay{}, 0
	}
	found = &overlay{}
	o.known[text] = found
	o.cost += cost
	return found, nil
}

// lay returns the base's settings with those of the text over them.
func lay(base *settings, text string) (*settings, error) {
	if err := base.Overlays.allow(text); err != nil {
		return nil, err
	}
	copied, err := json.Marshal(base.Config)
	if err != nil {
		return nil, err
	}
	var config Config
	if err := json.Unmarshal(copied, &config); err != nil {
		return nil, err
	}
	if err := strict.UnmarshalYAML([]byte(text), &config); err != nil {
		return nil, err
	}
	compiled, err := compile(config, base.mirror)
	if err == nil {
		compiled.seen.images.most, compiled.seen.mirrored.most = maxOverlayKnown, maxOverlayKnown
	}
	return compiled, err
}

// CheckOverlay reports what is wrong with the settings of a Namespace, and what they cost.
func (m *Mutator) CheckOverlay(text string) (int, error) {
	if m.settings.Overlays.Disabled {
		return 0, errors.New(overlaysOff)
	}
	cost, err := OverlayCost(text)
	if err == nil {
		_, err = lay(m.settings, text)
	}
	return cost, err
}

// overlaysOff is the reason why no Namespace has settings of its own.
const overlaysOff = "mutator.overlays.disabled is true in Tekgate's configuration"

// allow reports the fields of a text that Namespaces must not set.
func (o Overlays) allow(text string) error {
	raw, err := sigsyaml.YAMLToJSONStrict([]byte(text))
	if err != nil {
		return fmt.Errorf("parsing YAML: %w", err)
	}
	var decoded any
	if err := json.Unmarshal(raw, &decoded); err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	fields, _ := decoded.(map[string]any) // of what is no map, strict says so
	var problems []error
	for _, path := range o.refused("", fields) {
		reason := "must be one of mutator.overlays.fields of Tekgate's configuration: " + strings.Join(o.Fields, ", ")
		if path == "overlays" || len(o.Fields) == 0 {
			reason = "can be set in Tekgate's configuration only"
		}
		problems = append(problems, fmt.Errorf("%s %s", path, reason))
	}
	return errors.Join(problems...)
}

// MaySet reports whether the settings of a Namespace may have a field.
func (o Overlays) MaySet(path string) bool {
	return !o.Disabled && (len(o.Fields) == 0 ||
		slices.ContainsFunc(o.Fields, func(allowed string) bool { return covers(allowed, path) }))
}

func covers(outer, inner string) bool { return inner == outer || strings.HasPrefix(inner, outer+".") }

// compileOverlays checks that the fields exist, by decoding an empty one of each.
func (s *settings) compileOverlays() error {
	c := checker{section: "overlays"}
	for _, path := range s.Overlays.Fields {
		if covers("overlays", path) {
			c.problem("fields: %q can be set in this file only: leave it out", path)
			continue
		}
		var nested any
		for _, name := range slices.Backward(strings.Split(path, ".")) {
			nested = map[string]any{name: nested}
		}
		text, err := json.Marshal(nested)
		if err == nil {
			err = strict.UnmarshalJSON(text, &Config{})
		}
		if err != nil {
			c.problem("fields: %q is not a field of the section mutator: %s", path, err)
		}
	}
	return c.err()
}

// refused returns the paths that are not allowed, each as short as it can be.
func (o Overlays) refused(at string, fields map[string]any) []string {
	var paths []string
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		path := at + name
		if path == "overlays" {
			paths = append(paths, path)
			continue
		}
		isAllowed := func(allowed string) bool { return covers(allowed, path) }
		if len(o.Fields) == 0 || slices.ContainsFunc(o.Fields, isAllowed) {
			continue
		}
		below, has := fields[name].(map[string]any)
		leadsTo := func(allowed string) bool { return covers(path, allowed) }
		if has && slices.ContainsFunc(o.Fields, leadsTo) {
			paths = append(paths, o.refused(path+".", below)...)
			continue
		}
		paths = append(paths, path)
	}
	return paths
}
