package scan

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/tekgate/internal/objects"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/internal/wellknown"
	"github.com/tekgate/tekgate/mutator"
	"github.com/tekgate/tekgate/mutator/record"
)

// The states of an image, see Command.
const (
	stateMirrored  = "mirrored"
	stateResolved  = "resolved"
	stateStays     = "stays"
	stateNoRule    = "no rule"
	stateLeft      = "left alone"
	stateParameter = "parameter"
	stateInvalid   = "invalid"
	// stateListed is for all where no mirror is named.
	stateListed = "listed"
)

// scanStates are all, in the order of the summary.
var scanStates = []string{stateMirrored, stateResolved, stateInstalled, stateStays, stateNoRule, stateLeft,
	stateParameter, stateInvalid, stateListed}

// survey collects the images of objects, each with what becomes of it.
type survey struct {
	mutator *mutator.Mutator
	reach   objects.Reach
	rules   *image.Rules // nil where no mirror is named
	instead string       // what else one may do where the rule leaves an image alone
	objects int
	images  []*scanned
	known   map[fate]*scanned
	fetches bool // whether runs fetch the Tasks that they name
}

// imageMirror is the rule that images are judged by.
const imageMirror = "image-mirror"

// fate is what an image becomes. The same image may have several: a namespace
// opts out, or a Task is stored.
type fate struct {
	Image   string `json:"image"`             // as it is written
	Default string `json:"default,omitempty"` // with the defaults of its parameters
	State   string `json:"state"`
	To      string `json:"to,omitempty"`     // what the webhook makes of it, or would
	Rule    string `json:"rule,omitempty"`   // that decides
	Digest  string `json:"digest,omitempty"` // of a pinned image: kept, dropped, to be locked
	Why     string `json:"why,omitempty"`    // why not, and what to do

	// CopyOf is the upstream image of Tekton's releases that a mirror has renamed to Image, with
	// the program that it holds and what this is known by. InPlaceOf is the image of a release
	// that Image is used instead of.
	CopyOf     string `json:"copyOf,omitempty"`
	ImportPath string `json:"importPath,omitempty"`
	Version    string `json:"version,omitempty"`
	Evidence   string `json:"evidence,omitempty"`
	InPlaceOf  string `json:"inPlaceOf,omitempty"`
}

// scanned is an image, and where it stands.
type scanned struct {
	fate
	Places []place `json:"places"`
	// Written and Target are what the registries answered, with --probe.
	Written *probed `json:"writtenProbe,omitempty"`
	Target  *probed `json:"targetProbe,omitempty"`
}

// place is where an image stands.
type place struct {
	Object string `json:"object"`         // kind, namespace and name
	File   string `json:"file,omitempty"` // and document
	Path   string `json:"path"`
}

func (p place) String() string {
	if p.File == "" {
		return p.Object + ": " + p.Path
	}
	return p.File + ": " + p.Object + ": " + p.Path
}

// newSurvey prepares the rules that change images, and leaves all others out.
func newSurvey(config mutator.Config, mirror *image.Rules, cluster mutator.Cluster) (*survey, error) {
	s := &survey{rules: mirror, known: map[fate]*scanned{}}
	if !config.ImageMirror.Enabled {
		s.instead = ", or set mutator.imageMirror.enabled"
	}
	mode := cmp.Or(config.LocalTasks.Mode, mutator.TasksResolved)
	s.fetches = !config.LocalTasks.Disabled && mode == mutator.TasksResolved
	config = mutator.Config{ImageMirror: config.ImageMirror, Kaniko: config.Kaniko, DockerConfig: config.DockerConfig,
		LocalTasks: config.LocalTasks}
	config.DockerConfig.Disabled = true
	var err error
	if s.mutator, err = mutator.New(config, mirror, cluster); err != nil {
		return nil, fmt.Errorf("mutator.%w", err)
	}
	if config.ImageMirror.Mirror != nil {
		if s.rules, err = config.ImageMirror.Mirror.Compile(); err != nil {
			return nil, err
		}
	}
	s.reach, err = objects.ReadReach()
	return s, err
}

// surveyed is an object that a survey looks at.
type surveyed struct {
	fields    map[string]any
	namespace string // where it names none
	file      string // "" in a cluster

	// within is what a TriggerTemplate says about a run of its own.
	within *around
	// path stands before the paths of what a run has fetched.
	path string
	// fetched says that a resolver has, or will have, fetched it.
	fetched bool
}

// around is a TriggerTemplate around a run.
type around struct {
	object   string
	path     string
	defaults map[string]string // of its parameters
}

// add looks at an object, and at the runs in it.
func (s *survey) add(ctx context.Context, o surveyed) error {
	s.objects++
	if err := s.look(ctx, o); err != nil {
		return err
	}
	metadata := objects.Metadata(o.fields)
	for _, t := range objects.Templates(o.fields) {
		name := fmt.Sprintf("TriggerTemplate/%s/%s", objects.NamespaceOr(metadata, o.namespace), objects.Name(metadata))
		inner := surveyed{fields: t.Fields, namespace: objects.NamespaceOr(metadata, o.namespace), file: o.file,
			within: &around{object: name, path: t.Path + ".", defaults: templateDefaults(o.fields)}}
		if err := s.look(ctx, inner); err != nil {
			return err
		}
	}
	if task := fetchedTask(o.fields); task != nil {
		return s.look(ctx,
			surveyed{fields: task, namespace: o.namespace, file: o.file, path: "status.taskSpec", fetched: true})
	}
	return nil
}

// templateDefaults returns the parameters of a TriggerTemplate that have one.
func templateDefaults(fields map[string]any) map[string]string {
	var r object.Reader
	defaults := map[string]string{}
	for _, param := range r.FieldsList(r.Fields(fields, "spec"), "params") {
		if value, is := param["default"].(string); is {
			defaults[r.Text(param, "name")] = value
		}
	}
	return defaults
}

// fetchedTask returns the Task that a resolver or bundle has given a TaskRun, as
// it stands in the TaskRun's status, nil for none. Its images stand nowhere else
// in the cluster.
func fetchedTask(run map[string]any) map[string]any {
	var r object.Reader
	spec, status := r.Fields(run, "spec"), r.Fields(run, "status")
	ref := r.Fields(spec, "taskRef")
	fetched := r.Text(ref, "resolver") != "" || r.Text(ref, "bundle") != ""
	task := r.Fields(status, "taskSpec")
	if run["kind"] != "TaskRun" || !fetched || task == nil || r.Odd {
		return nil
	}
	return map[string]any{"apiVersion": run["apiVersion"], "kind": "Task", "metadata": run["metadata"], "spec": task}
}

// look notes the images of one object, before and after the rules.
func (s *survey) look(ctx context.Context, o surveyed) error {
	version, _ := o.fields["apiVersion"].(string)
	kind, _ := o.fields["kind"].(string)
	gvk := schema.FromAPIVersionAndKind(version, kind)
	before := imagesOf(o.fields)
	if len(before) == 0 {
		return nil
	}
	after, decisions, kept := before, []mutator.Decision{}, false
	namespace := objects.NamespaceOr(objects.Metadata(o.fields), o.namespace)
	switch {
	case !mutator.Matches(gvk):
	case !s.reach.Has(namespace):
		decisions = []mutator.Decision{{Rule: imageMirror,
			Why: fmt.Sprintf("the API server does not ask Tekgate in namespace %q", namespace)}}
	default:
		raw, err := json.Marshal(o.fields)
		if err != nil {
			return fmt.Errorf("encoding a %s: %w", kind, err)
		}
		out, err := s.mutator.Mutate(ctx, mutator.Request{
			Kind: gvk, Namespace: namespace, Raw: raw, Resolved: o.fetched, Explain: true,
		})
		if err != nil {
			return err
		}
		after, decisions, kept = imagesOf(out.Object), out.Decisions, out.Kept
	}
	for i, field := range before {
		f := s.judge(o, field, after[i], decisions)
		if f.State == stateResolved && kept {
			f = o.storing(f)
		}
		s.note(o.place(field), f)
	}
	return nil
}

// imageField is an image, and the task that it belongs to, if any.
type imageField struct {
	*object.ImageField
	task *object.Task
}

func imagesOf(fields map[string]any) []imageField {
	var list []imageField
	for _, field := range object.Images(fields) {
		list = append(list, imageField{field, nil})
	}
	for _, task := range object.Tasks(fields) {
		for _, field := range task.Images() {
			list = append(list, imageField{field, &task})
		}
	}
	for _, field := range object.PodTemplateImages(fields) {
		list = append(list, imageField{field, nil})
	}
	return list
}

func (o surveyed) place(field imageField) place {
	metadata := objects.Metadata(o.fields)
	kind, _ := o.fields["kind"].(string)
	namespace := objects.NamespaceOr(metadata, o.namespace)
	if kind == "ClusterTask" {
		namespace = ""
	}
	p := place{File: o.file, Path: field.Path,
		Object: strings.Replace(kind+"/"+namespace+"/"+objects.Name(metadata), "//", "/", 1)}
	switch {
	case o.within != nil:
		p.Object, p.Path = o.within.object, o.within.path+p.Path
	case o.path != "":
		p.Object = strings.Replace(p.Object, "Task/", "TaskRun/", 1)
		p.Path = o.path + strings.TrimPrefix(p.Path, "spec")
	}
	return p
}

func (s *survey) note(at place, f fate) {
	found := s.known[f]
	if found == nil {
		found = &scanned{fate: f}
		s.known[f] = found
		s.images = append(s.images, found)
	}
	found.Places = append(found.Places, at)
}

// judge says what becomes of an image.
func (s *survey) judge(o surveyed, field, after imageField, decisions []mutator.Decision) fate {
	f := fate{Image: field.Value}
	written := field.Value
	if strings.Contains(written, "$(") {
		if f.State, f.Why, written = o.open(field); f.State != "" {
			return f
		}
		f.Default = written
	}
	ref, err := image.Parse(written)
	origin, known := manifest.Origin{}, false
	if err == nil {
		origin, known = o.trace(&f, ref, field)
	}
	becomes := o.fill(after)
	switch {
	case becomes != written:
		return s.changed(o, f, written, becomes)
	case err != nil:
		f.State, f.Why = stateInvalid, err.Error()
		return f
	case s.rules == nil:
		f.State = stateListed
		return f
	}
	if set, is := s.installed(o, f, ref, origin, known); is {
		return set
	}
	return s.left(o, f, field, written, ref, decisions)
}

// left says why an image that the rules could change stays as it is.
func (s *survey) left(
	o surveyed, f fate, field imageField, written string, ref image.Reference, decisions []mutator.Decision,
) fate {
	done, err := s.rules.Rewrite(ref)
	var unmirrored *image.UnmirroredError
	var former *image.FormerError
	switch {
	case errors.As(err, &former):
		f.State, f.Why = stateLeft, former.Reason()
	case errors.As(err, &unmirrored):
		f.State = stateNoRule
		f.Why = fmt.Sprintf(
			"no rule of the mirror applies to it: add one for %s/** under mirror.rules, or list it under mirror.keep",
			ref.Host)
	case err != nil:
		f.State, f.Why = stateInvalid, err.Error()
	case done.Rule == "":
		f.State, f.Why = stateStays, strings.Join(s.rules.Explain(ref), "; ")
	case whyLeft(o, field, decisions) == mutator.HoldsParameter && decidedLater(o, field):
		return s.changed(o, f, written, done.To.String())
	default:
		f.State, f.To, f.Rule, f.Digest = stateLeft, done.To.String(), done.Rule, digestOf(done)
		f.Why = fmt.Sprintf("%s: write %s in its place%s", whyLeft(o, field, decisions), done.To, s.instead)
	}
	return f
}

// decidedLater tells whether an image of a Pipeline or PipelineRun is a parameter in whole,
// whose value is changed in the TaskRun, where it is final.
func decidedLater(o surveyed, field imageField) bool {
	kind, _ := o.fields["kind"].(string)
	if field.task == nil || kind != "Pipeline" && kind != "PipelineRun" {
		return false
	}
	return slices.ContainsFunc(field.task.ParamImages(nil), func(p object.ParamImage) bool {
		return p.Part == "" && p.Elsewhere == "" && slices.Contains(p.Images, field.Path)
	})
}

// open fills in the parameters of an image, or returns the state of one that stays open, and
// why.
func (o surveyed) open(field imageField) (state, why, filled string) {
	filled = o.fill(field)
	switch {
	case !strings.Contains(filled, "$("):
		return "", "", filled
	case field.Literal && (o.within == nil || !strings.Contains(filled, "$(tt.params.")):
		return stateInvalid, "parameters in an image volume are not filled in: write the image out", ""
	}
	return stateParameter, "it holds a parameter without a default, and is known when a run starts", ""
}

// fill puts the defaults of parameters into an image. In a volume, those of the
// TriggerTemplate alone are filled in.
func (o surveyed) fill(field imageField) string {
	text := field.Value
	if field.task != nil && !field.Literal {
		text = field.task.Fill(text)
	}
	if o.within != nil {
		for name, value := range o.within.defaults {
			text = strings.ReplaceAll(text, "$(tt.params."+name+")", value)
		}
	}
	return text
}

// changed is the fate of an image that the webhook replaces.
func (s *survey) changed(o surveyed, f fate, written, after string) fate {
	f.State, f.To, f.Rule = stateMirrored, after, "mutator.kaniko.image"
	kind, _ := o.fields["kind"].(string)
	if !o.fetched && slices.Contains([]string{"Task", "StepAction"}, kind) {
		f.State = stateResolved
		if !s.fetches {
			f.Why = fmt.Sprintf(
				"a run that names this %s as it is stored takes the image as it is written: set mutator.localTasks.mode to resolve, or write %s in its place",
				kind, after)
		}
	}
	ref, err := image.Parse(written)
	if err != nil || s.rules == nil {
		return f
	}
	notes, _ := objects.Metadata(o.fields)["annotations"].(map[string]any)
	if originals := record.ReadOriginals(notes); len(originals.Authors(f.Image)) > 0 {
		f.Rule = wellknown.OriginalImagesKey
		return f
	}
	if _, source, err := s.rules.Origin(ref); err == nil && source != "" {
		f.Rule = source
	}
	if done, err := s.rules.Rewrite(ref); err == nil && done.To.String() == after {
		f.Rule, f.Digest = done.Rule, digestOf(done)
	}
	return f
}

// storing is the fate of an image that the webhook replaces when its Task or StepAction is
// stored. In a cluster it is still to be replaced.
func (o surveyed) storing(f fate) fate {
	if o.file != "" {
		f.State, f.Why = stateMirrored, ""
		return f
	}
	f.Why = fmt.Sprintf(
		"this %v was stored before mutator.localTasks.mode was stored, or while the webhook was away: "+
			"store it again with `kubectl get -o yaml | kubectl replace -f -`", o.fields["kind"])
	return f
}

// digestOf says what becomes of the digest of a pinned image.
func digestOf(done image.Rewritten) string {
	if done.From.Digest == "" {
		return ""
	}
	return release.DigestFate(done)
}

// whyLeft says why the webhook leaves an image that a rule of the mirror is for.
func whyLeft(o surveyed, field imageField, decisions []mutator.Decision) string {
	for _, where := range []string{field.Path, ""} {
		for _, d := range slices.Backward(decisions) {
			if d.Rule == imageMirror && d.Where == where && d.Why != "" {
				return d.Why
			}
		}
	}
	return fmt.Sprintf("the webhook does not change the images of a %v", o.fields["kind"])
}
