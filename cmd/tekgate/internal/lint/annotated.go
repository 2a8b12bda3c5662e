package lint

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator"
)

// annotatedReferences returns the definitions that the annotations of a run of Pipelines-as-Code bring from
// elsewhere: URLs, and names in the hub with a version or without. Files of the repository are read as files.
func annotatedReferences(fields map[string]any) []validator.RemoteReference {
	annotations, _ := objects.Metadata(fields)["annotations"].(map[string]any)
	var found []validator.RemoteReference
	for _, key := range slices.Sorted(maps.Keys(annotations)) {
		kind, ours := annotatedKind(key)
		list, _ := annotations[key].(string)
		if !ours {
			continue
		}
		for name := range strings.SplitSeq(strings.Trim(strings.TrimSpace(list), "[]"), ",") {
			name = strings.Trim(strings.TrimSpace(name), `"'`)
			ref := validator.RemoteReference{Path: "metadata.annotations[" + key + "]", Kind: kind}
			if ref.Resolver, ref.Params = annotatedSource(name); ref.Resolver != "" {
				found = append(found, ref)
			}
		}
	}
	return found
}

// annotatedKind returns the kind that an annotation brings.
func annotatedKind(key string) (kind string, ours bool) {
	rest, ours := strings.CutPrefix(key, ofPipelinesAsCode)
	for name, kind := range map[string]string{"task": "Task", "pipeline": "Pipeline"} {
		if ours && (rest == name || strings.HasPrefix(rest, name+"-")) {
			return kind, true
		}
	}
	return "", false
}

// annotatedSource returns what resolves an item of such an annotation, "" for a file and for nothing.
func annotatedSource(name string) (resolver string, params map[string]string) {
	switch {
	case strings.HasPrefix(name, "https://") || strings.HasPrefix(name, "http://"):
		return "http", map[string]string{"url": name}
	case strings.Contains(name, "://"):
		return "catalog " + name, nil // of the administrator's
	case name == "" || strings.Contains(name, "/") || slices.Contains([]string{".yaml", ".yml"}, path.Ext(name)):
		return "", nil
	}
	name, version, exact := strings.Cut(name, ":")
	if !exact || version == "latest" {
		version = ">=0.0.0"
	}
	return "hub", map[string]string{"name": name, "version": version}
}

// expandAnnotated resolves what the annotations of a run bring, and has it stand for the names in the run.
func (e *expansion) expandAnnotated(ctx context.Context, subject validator.Subject) {
	if subject.Kind.Kind != "PipelineRun" {
		return
	}
	references := annotatedReferences(subject.Object())
	found := make([]validator.Resolved, len(references))
	var group sync.WaitGroup
	for i, ref := range references {
		group.Go(func() { found[i] = e.follow(ctx, subject, ref, reached{}) })
	}
	group.Wait()
	var r object.Reader
	named := map[[2]string]validator.Resolved{}
	for i, ref := range references {
		if name := r.Text(r.Fields(found[i].Fields, "metadata"), "name"); name != "" {
			named[[2]string{ref.Kind, name}] = found[i]
		}
	}
	spec := r.Fields(subject.Object(), "spec")
	stand := func(fields map[string]any, key, kind, path string) {
		ref := r.Fields(fields, key)
		if found, ok := named[[2]string{kind, r.Text(ref, "name")}]; ok && ref["resolver"] == nil {
			e.resolved[path+"."+key] = found
		}
	}
	stand(spec, "pipelineRef", "Pipeline", "spec")
	for _, list := range []string{"tasks", "finally"} {
		for i, task := range r.FieldsList(r.Fields(spec, "pipelineSpec"), list) {
			stand(task, "taskRef", "Task", fmt.Sprintf("spec.pipelineSpec.%s[%d]", list, i))
		}
	}
}
