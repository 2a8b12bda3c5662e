// Package scan lists the images of tasks and pipelines, and those that the mirror lacks.
package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tekgate/tekgate/cmd/internal/lookup"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/cli"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/kubeflags"
	"github.com/tekgate/tekgate/cmd/tekgate/internal/release"
	"github.com/tekgate/tekgate/installer/manifest"
	"github.com/tekgate/tekgate/internal/document"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// scan is what scan's flags say.
type scan struct {
	source    release.Source
	kube      kubeflags.Flags
	namespace string
	all       bool
	probe     bool
	platforms []string
	output    cli.Output
}

// Command returns the command.
func Command() *cobra.Command {
	var s scan
	cmd := &cobra.Command{
		Use:   "scan [PATH...]",
		Short: "List the images of tasks and pipelines, and say which the mirror does not give them",
		Long: `List every image that TaskRuns, PipelineRuns, Tasks, ClusterTasks, Pipelines,
StepActions, the runs in TriggerTemplates and other workloads name, for containers
and for image volumes, and those of Tekton's own Deployments: in files and folders (- is standard input), or where no path
is named in the cluster, with the permissions that you have there. For each it says
where it stands and what the admission webhook would make of it with this
configuration:

  mirrored    it is taken from the mirror
  resolved    so it is where a run has its Task fetched, which it does by itself
              unless mutator.localTasks says otherwise
  by install  it is in one of Tekton's Deployments, where "tekgate install" sets it
  stays       it is on the mirror already, or mirror.keep keeps it
  no rule     no rule of the mirror applies to it
  left alone  a rule applies, and the webhook does not apply it: the reason follows
  parameter   it depends on a parameter that has no default
  invalid     it is no image reference, or an image volume with a parameter, which
              Tekton does not fill in

An image that a mirror has renamed is listed with the image of Tekton that it is a
copy of, and what that is known by: its name, its place or its digest.

A parameter that has a default counts with that. --probe asks the registries, from
this machine, for the image that would run, and for the one that is written. The
exit status is 1 if an image is out of reach: no rule applies to it, it is left
alone, or with --probe a registry does not have what would run.`,
		Example: `  # a repository
  tekgate scan .tekton tasks --config tekgate.yaml

  # all namespaces of the cluster
  tekgate scan -A --mirror registry.example.com/hub --probe`,
		RunE: func(cmd *cobra.Command, paths []string) error {
			if err := s.output.Check(); err != nil {
				return err
			}
			return s.run(cmd.Context(), cli.StreamsOf(cmd), paths)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&s.namespace, "namespace", "n", "",
		"`NAMESPACE` to look at, or of objects in files that name none (default: that of the kubeconfig's context; of files, default)")
	f.BoolVarP(&s.all, "all-namespaces", "A", false, "look at all namespaces of the cluster")
	f.BoolVar(&s.probe, "probe", false, "ask the registries for the images")
	s.source.EngineFlags(cmd)
	s.source.Registries.Flags(cmd)
	s.kube.Add(cmd)
	s.output.Table(cmd)
	release.ProbedPlatformsFlag(cmd, &s.platforms)
	return cmd
}

func (s *scan) run(ctx context.Context, streams cli.Streams, paths []string) error {
	errOut := streams.ErrOut
	var unread int
	var err error
	var found *survey
	if len(paths) > 0 {
		found, unread, err = s.files(ctx, paths, streams.In, errOut)
	} else {
		found, err = s.cluster(ctx, errOut)
	}
	if err != nil {
		return err
	}
	if s.probe {
		if err := found.probe(ctx, s.platforms, s.source.Registries.Options()); err != nil {
			return err
		}
	}
	if err := s.output.Print(streams.Out, found.report(), found.table); err != nil {
		return err
	}
	fmt.Fprintln(errOut, found.summary())
	bad := found.unreachable()
	switch {
	case bad > 0:
		return fmt.Errorf("%d of %d images are out of reach", bad, len(found.images))
	case unread > 0:
		return fmt.Errorf("%d files could not be read, and are not judged", unread)
	}
	return nil
}

// files surveys files and folders. A file that is named has to be right; what
// lies in a folder may be something else, and is told and left out.
func (s *scan) files(
	ctx context.Context, paths []string, in io.Reader, errOut io.Writer,
) (found *survey, unread int, err error) {
	switch {
	case s.all:
		return nil, 0, errors.New("--all-namespaces is for the cluster: leave it out, or the paths")
	case !s.kube.Empty():
		return nil, 0, errors.New("flags such as --kubeconfig and --context are for the cluster: leave them out, or the paths")
	}
	namespace := s.namespace
	if namespace == "" {
		namespace = "default"
	}
	var objects []*document.Object
	for _, path := range paths {
		names, err := document.Files(path)
		if err != nil {
			return nil, 0, err
		}
		for _, name := range names {
			read, err := objectsIn(name, in)
			switch {
			case err != nil && name == path:
				return nil, 0, err
			case err != nil:
				unread++
				fmt.Fprintf(errOut, "warning: %v\n", err)
			}
			objects = append(objects, read...)
		}
	}
	files := lookup.Files{}
	for _, o := range objects {
		files.Add(o.Fields, namespace)
	}
	if found, err = s.survey(files, errOut); err != nil {
		return nil, 0, err
	}
	for _, o := range objects {
		if err := found.add(ctx, surveyed{fields: o.Fields, file: o.Where(), namespace: namespace}); err != nil {
			return nil, 0, err
		}
	}
	return found, unread, nil
}

// objectsIn returns the objects of a file. Documents that are no objects of
// Kubernetes, such as the values of a chart, are passed over.
func objectsIn(file string, in io.Reader) ([]*document.Object, error) {
	documents, err := document.ReadFile(file, in)
	if err != nil {
		return nil, err
	}
	var objects []*document.Object
	for _, d := range documents {
		found, err := d.Objects()
		var not *document.NotAnObjectError
		if err != nil && !errors.As(err, &not) {
			return nil, err
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

// surveyedKinds are read in a cluster. Pods are made of the others.
var surveyedKinds = []schema.GroupKind{
	{Group: "tekton.dev", Kind: "Task"},
	{Group: "tekton.dev", Kind: "ClusterTask"},
	{Group: "tekton.dev", Kind: "StepAction"},
	{Group: "tekton.dev", Kind: "Pipeline"},
	{Group: "tekton.dev", Kind: "PipelineRun"},
	{Group: "tekton.dev", Kind: "TaskRun"},
	{Group: "triggers.tekton.dev", Kind: "TriggerTemplate"},
	{Group: "batch", Kind: "CronJob"},
	workloads, // those of Tekton alone
}

var workloads = schema.GroupKind{Group: "apps", Kind: "Deployment"}

// cluster surveys what a cluster holds.
func (s *scan) cluster(ctx context.Context, errOut io.Writer) (*survey, error) {
	server, namespace, err := s.kube.Lookup()
	if err != nil {
		return nil, err
	}
	switch {
	case s.all && s.namespace != "":
		return nil, errors.New("--namespace and --all-namespaces contradict each other: leave one out")
	case s.all:
		namespace = ""
	case s.namespace != "":
		namespace = s.namespace
	}
	found, err := s.survey(server, errOut)
	if err != nil {
		return nil, err
	}
	var unserved []string
	for _, kind := range surveyedKinds {
		_, served, err := server.Served(kind)
		if err != nil {
			return nil, err
		}
		if !served {
			unserved = append(unserved, kind.Kind)
			continue
		}
		err = server.Each(ctx, kind, namespace, func(obj *unstructured.Unstructured) error {
			if kind == workloads && !manifest.IsTekton(obj) {
				return nil
			}
			return found.add(ctx, surveyed{fields: obj.Object, namespace: obj.GetNamespace()})
		})
		switch {
		case apierrors.IsForbidden(err):
			fmt.Fprintf(errOut, "warning: %v: they are left out\n", err)
		case err != nil:
			return nil, err
		}
	}
	if len(unserved) > 0 {
		fmt.Fprintf(errOut, "the cluster serves no %s\n", strings.Join(unserved, ", "))
	}
	return found, nil
}

// survey prepares one, with what stands for the cluster.
func (s *scan) survey(objects lookup.Objects, errOut io.Writer) (*survey, error) {
	config, rules, err := s.source.Engine()
	if err != nil {
		return nil, err
	}
	cluster := lookup.New(objects, lookup.Options{Tekton: wellknown.PipelinesNamespace, Problem: func(err error) {
		fmt.Fprintf(errOut, "warning: %v\n", err)
	}})
	return newSurvey(config, rules, cluster)
}
