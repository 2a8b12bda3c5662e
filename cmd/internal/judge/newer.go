package judge

import (
	"context"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/validator"
)

// parts are the parts of Tekton whose objects rules judge, with the ConfigMaps that name their releases.
var parts = []struct{ group, name, info string }{
	{validator.TektonGroup, "Tekton", "pipelines-info"},
	{validator.TriggersGroup, "Triggers", "triggers-info"},
}

var (
	configMaps = schema.GroupKind{Kind: "ConfigMap"}
	crds       = schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"}
)

// Newer returns the releases of Tekton in the cluster that are newer than what the rules know, by API group, and
// what the user should know of them: a sentence each.
func (c *Cluster) Newer(ctx context.Context) (releases map[string]*validator.Newer, notes []string) {
	var r object.Reader
	releases = map[string]*validator.Newer{}
	for _, part := range parts {
		info, err := c.Get(ctx, configMaps, wellknown.PipelinesNamespace, part.info)
		if err != nil {
			notes = append(notes, fmt.Sprintf("which %s the cluster has is not known, so its objects were judged as for %s: %v",
				part.name, validator.KnownRelease(part.group), err))
			continue
		}
		version := r.Text(r.Fields(info, "data"), "version")
		if !validator.IsNewer(part.group, version) {
			continue
		}
		newer := &validator.Newer{Version: version}
		note := fmt.Sprintf("the cluster's %s %s is newer than %s that this tekgate knows; what it adds was judged by the "+
			"cluster's schema alone", part.name, version, validator.KnownRelease(part.group))
		if newer.Schemas, err = c.schemas(ctx, part.group); err != nil {
			note = fmt.Sprintf("the cluster's %s %s is newer than %s that this tekgate knows, and its schemas cannot be read, so "+
				"what is not known is only a hint: %v: ask for the permission to list customresourcedefinitions", part.name,
				version, validator.KnownRelease(part.group), err)
		}
		releases[part.group] = newer
		notes = append(notes, note)
	}
	return releases, notes
}

// schemas returns the schemas of the kinds of a group.
func (c *Cluster) schemas(ctx context.Context, group string) (map[schema.GroupVersionKind]map[string]any, error) {
	found := map[schema.GroupVersionKind]map[string]any{}
	err := c.reader.Each(ctx, crds, "", func(crd *unstructured.Unstructured) error {
		if !strings.HasSuffix(crd.GetName(), "."+group) {
			return nil
		}
		var r object.Reader
		spec := r.Fields(crd.Object, "spec")
		kind := schema.GroupKind{Group: r.Text(spec, "group"), Kind: r.Text(r.Fields(spec, "names"), "kind")}
		for _, version := range r.FieldsList(spec, "versions") {
			own := r.Fields(r.Fields(version, "schema"), "openAPIV3Schema")
			if served, _ := version["served"].(bool); served && own != nil {
				found[kind.WithVersion(r.Text(version, "name"))] = own
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}
