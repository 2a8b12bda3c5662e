package release

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/cmd/internal/config"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/installer"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/release"
	"github.com/tekgate/tekgate/internal/suggest"
	"github.com/tekgate/tekgate/manifests"
)

// selection has the flags that name components and further manifests.
type selection struct {
	with, without []string
	manifests     []string // NAME=SOURCE
}

func (s *selection) flags(f *pflag.FlagSet) {
	f.StringSliceVar(&s.with, "with", nil,
		"`COMPONENT` of Tekton to install as well: "+strings.Join(componentsBeside(), ", ")+" (repeatable, or separated by commas)")
	f.StringArrayVar(&s.manifests, "manifest", nil,
		"`NAME=SOURCE` of a component's own release, in place of the embedded one, or of any further manifest under a name of yours: a file, a folder, a URL, or - for standard input (repeatable, also for one name)")
}

// removalFlag adds the flag of the commands that know what is installed.
func (s *selection) removalFlag(f *pflag.FlagSet) {
	f.StringSliceVar(&s.without, "without", nil,
		"`NAME` of an installed component or further manifest to remove; what is installed and not named stays (repeatable)")
}

// componentsBeside returns the components that are not installed unless they are named.
func componentsBeside() []string { return release.ComponentNames()[2:] }

// validName is that of a further manifest: it becomes a key of the inventory.
var validName = lazyregexp.New(`^[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?$`)

// source is a value of --manifest.
type source struct{ name, source string }

func (s *selection) sources(streams cli.Streams) ([]source, error) {
	var all []source
	for _, written := range s.manifests {
		name, from, ok := strings.Cut(written, "=")
		switch {
		case !ok || from == "":
			return nil, fmt.Errorf("--manifest %s: it must be NAME=SOURCE, such as chains=release.yaml", written)
		case !validName.MatchString(name) || name == "tekgate":
			return nil, fmt.Errorf("--manifest %s: %q is not a name for a manifest: use lower-case letters, digits, dots and dashes, and not tekgate",
				written, name)
		}
		if config.CheckComponent(name) != nil {
			if near := suggest.Closest(name, release.ComponentNames()); near != "" {
				streams.Warn(fmt.Sprintf("--manifest %s is a manifest of your own; for the component write %s=", written, near))
			}
		}
		all = append(all, source{name, from})
	}
	return all, nil
}

// chosen returns the components to install: those of the configuration, of --with, and of
// --manifest, without those of --without.
func (s *selection) chosen(c *config.Configuration, sources []source) ([]string, error) {
	chosen := []string{release.Pipelines, release.Triggers}
	if c.Components != nil {
		chosen = slices.Clone(c.Components)
	}
	for _, name := range s.with {
		if err := config.CheckComponent(name); err != nil {
			return nil, fmt.Errorf("--with: %w", err)
		}
		chosen = append(chosen, name)
	}
	for _, source := range sources {
		if config.CheckComponent(source.name) == nil {
			chosen = append(chosen, source.name)
		}
	}
	for _, name := range s.without {
		named := slices.Contains(s.with, name) || slices.Contains(c.Components, name) ||
			slices.ContainsFunc(sources, func(s source) bool { return s.name == name })
		switch {
		case name == release.Pipelines:
			return nil, errors.New("--without pipelines: all other components need it, and so does Tekgate: use `tekgate uninstall`")
		case named:
			return nil, fmt.Errorf("--without %s contradicts --with, --manifest or the components of the configuration", name)
		}
		chosen = slices.DeleteFunc(chosen, func(c string) bool { return c == name })
	}
	return chosen, nil
}

// manifestsRead are the manifests of a release before anything is done with them.
type manifestsRead struct {
	objects []*unstructured.Unstructured
	chosen  []string // components
	parts   []installer.Part
	news    []string // see newsOf
}

// loadChosen reads the manifests of all components that are chosen, and further manifests.
func (s *Source) loadChosen(
	ctx context.Context, streams cli.Streams, c *config.Configuration, line release.Line,
) (read manifestsRead, err error) {
	sources, err := s.parts.sources(streams)
	if err != nil {
		return read, err
	}
	if read.chosen, err = s.parts.chosen(c, sources); err != nil {
		return read, err
	}
	if len(s.triggers) > 0 {
		read.chosen = append(read.chosen, release.Triggers)
	}
	if read.objects, read.news, err = s.load(ctx, streams, line, read.chosen, sources); err != nil {
		return read, err
	}
	more, parts, err := s.loadParts(ctx, streams, read.chosen, sources)
	read.objects, read.parts = append(read.objects, more...), parts
	return read, err
}

// loadParts reads the manifests of components, except Pipelines and Triggers, and further
// manifests.
func (s *Source) loadParts(ctx context.Context, streams cli.Streams, chosen []string, sources []source,
) (objects []*unstructured.Unstructured, parts []installer.Part, err error) {
	add := func(name string, embedded bool, read []*unstructured.Unstructured) {
		objects = append(objects, read...)
		parts = append(parts, installer.NewPart(name, embedded, read))
	}
	for _, name := range s.partNames(chosen, sources) {
		var from []string
		for _, source := range sources {
			if source.name == name {
				from = append(from, source.source)
			}
		}
		if len(from) > 0 {
			read, err := s.pins.loadAll(ctx, from, streams.In)
			if err != nil {
				return nil, nil, fmt.Errorf("manifest %s: %w", name, err)
			}
			add(name, false, read)
			continue
		}
		component, _ := release.FindComponent(name)
		embedded, err := manifests.Component(component)
		if err != nil {
			return nil, nil, err
		}
		fmt.Fprintf(streams.ErrOut, "%s %s (embedded), %d objects\n", name, embedded.Version, len(embedded.Objects))
		add(name, true, embedded.Objects)
	}
	return objects, parts, nil
}

// partNames returns the names of all parts, each once: components in their order, then
// further manifests in that of the flags.
func (s *Source) partNames(chosen []string, sources []source) []string {
	var names []string
	for _, component := range release.Components {
		if slices.Contains(chosen, component.Name) {
			names = append(names, component.Name)
		}
	}
	for _, source := range sources {
		base := source.name == release.Pipelines || source.name == release.Triggers
		if !base && !slices.Contains(names, source.name) {
			names = append(names, source.name)
		}
	}
	return names
}

// keep adds the parts that are installed and not named: an install without --with must not
// remove what an earlier one added. A component that was embedded is the one of this
// Tekgate, like Pipelines; another part stays as it was recorded, because its manifest is
// not there. Parts that the user drops are left out, and so pruned. It returns notes.
func (l *Loaded) keep(ctx context.Context, cluster *installer.Cluster) ([]string, error) {
	inventory, err := cluster.Inventory(ctx)
	if apierrors.IsForbidden(err) { // the checks before an install say so
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !slices.Contains(l.chosen, release.Triggers) {
		l.dropped = append(l.dropped, release.Triggers)
	}
	var components, further []string
	installed := inventory.InstalledParts()
	for _, name := range slices.Sorted(maps.Keys(installed)) {
		part := installed[name]
		if slices.ContainsFunc(l.parts, func(p installer.Part) bool { return p.Name == name }) {
			continue
		}
		isComponent := config.CheckComponent(name) == nil
		if slices.Contains(l.without, name) || isComponent && l.config.Components != nil {
			l.dropped = append(l.dropped, name)
			continue
		}
		if err := l.keepPart(part); err != nil {
			return nil, err
		}
		if isComponent {
			components = append(components, installer.Title(name))
		} else {
			further = append(further, installer.Title(name))
		}
	}
	if err := l.unknownRemovals(ctx, cluster, inventory); err != nil {
		return nil, err
	}
	return sayKept(components, further), manifest.Distinct(l.Objects)
}

// sayKept returns notes about components and further manifests that stay.
func sayKept(components, further []string) []string {
	var notes []string
	if len(components) > 0 {
		notes = append(notes, fmt.Sprintf("kept because it is installed: %s; --without NAME removes one, and so does a list of `components` in the configuration without it",
			strings.Join(components, ", ")))
	}
	if len(further) > 0 {
		notes = append(notes, fmt.Sprintf("kept because it is installed: %s; --without NAME removes one",
			strings.Join(further, ", ")))
	}
	return notes
}

// keepPart adds an installed part to the release.
func (l *Loaded) keepPart(part installer.InstalledPart) error {
	kept := part.Part
	var objects []*unstructured.Unstructured
	component, known := release.FindComponent(part.Name)
	if part.Embedded && known {
		embedded, err := manifests.Component(component)
		if err != nil {
			return err
		}
		objects = embedded.Objects
		kept = installer.NewPart(part.Name, true, objects)
	} else {
		for _, obj := range part.Objects {
			objects = append(objects, obj.DeepCopy())
		}
	}
	l.Objects = append(l.Objects, objects...)
	l.parts = append(l.parts, kept)
	for written, origin := range manifest.Copies(objects) {
		l.copies[written] = origin
	}
	l.Rules = l.Rules.WithCopies(l.copies)
	l.references = manifest.FindReferences(l.Objects)
	return nil
}

// unknownRemovals returns an error if --without names something that is not installed, or that
// is in the cluster without being recorded.
func (l *Loaded) unknownRemovals(
	ctx context.Context, cluster *installer.Cluster, inventory *installer.Inventory,
) error {
	for _, name := range l.without {
		if slices.Contains(l.dropped, name) {
			continue
		}
		if component, known := release.FindComponent(name); known {
			_, runs, err := running(ctx, cluster, component)
			if err != nil {
				return err
			}
			if runs {
				return fmt.Errorf("--without %s: %s is in the cluster, and the record of the installation does not have it: "+
					"install once with --with %[1]s, which records it, and then with --without %[1]s", name, component.Title)
			}
		}
		installed := append([]string{release.Pipelines, release.Triggers},
			slices.Sorted(maps.Keys(inventory.InstalledParts()))...)
		return fmt.Errorf("--without %s: no such component or manifest is installed: %s", name,
			suggest.DidYouMean(name, installed, "installed are "+strings.Join(installed, ", ")))
	}
	return nil
}
