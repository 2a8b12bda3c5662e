package main

import (
	"bufio"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/fluxcd/pkg/ssa"
	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/tekgate/tekgate/installer"
)

// installation is what install's flags say beside source and kube.
type installation struct {
	source    source
	kube      kube
	options   installer.Options
	previous  []string
	dryRun    bool
	skipProbe bool
	yes       bool
	output    string
}

func installCommand() *cobra.Command {
	var i installation
	cmd := &cobra.Command{
		Use:     "install",
		Aliases: []string{"upgrade"},
		Short:   "Install or upgrade Tekton Pipelines, Triggers and Tekgate from a mirror",
		Long: `Install, or bring up to date, Tekton Pipelines, Tekton Triggers and Tekgate
itself, with every image reference rewritten to a mirror: those of containers
and those that Tekton's controllers get as arguments.

Nothing is written before all of this is known to be well: every reference has a
mirror, the cluster's version fits the release, you have the permissions, no
other tool owns the objects, the mirror holds the images, and the server accepts
every object in a dry run.

Then objects are applied server-side in stages, each of which waits for what the
next one needs. An install that was interrupted is run again and goes on; one
that is run twice changes nothing. An upgrade is an install: what you changed in
Tekton's ConfigMaps is kept and listed, definitions and namespaces are never
removed, and whatever else the new release no longer has is.

The servers get their certificates from cert-manager where the cluster serves it,
and sign their own elsewhere; the section certificates of the configuration decides
otherwise. From one to the other no request is lost, which takes some minutes.

A --ca-file is trusted when the mirror is asked, and also given to Tekton's
controllers, which ask it themselves, in their ConfigMap config-registry-cert.`,
		Example: `  # from DaoCloud's public mirror
  tekgate install --mirror daocloud

  # from a registry that holds pipeline-controller:v1.15.0, triggers-webhook:v0.37.0, …
  tekgate install --mirror registry.example.com/tekton

  # with rules of one's own, and another release
  tekgate install --config tekgate.yaml --pipeline-manifest release.yaml

  # what would an upgrade do?
  tekgate upgrade --mirror daocloud --dry-run`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return i.run(cmd) },
	}
	i.flags(cmd)
	return cmd
}

func (i *installation) flags(cmd *cobra.Command) {
	i.source.flags(cmd)
	i.source.registries.flags(cmd)
	i.kube.flags(cmd)
	f := cmd.Flags()
	f.BoolVar(&i.dryRun, "dry-run", false, "check everything and say what would be done, without doing it")
	f.BoolVar(&i.options.Force, "force", false, "go on in spite of failed checks, and make Deployments anew that cannot be changed in place")
	f.BoolVar(&i.options.Wait, "wait", true, "wait until what was applied runs and answers")
	f.DurationVar(&i.options.Timeout, "timeout", 5*time.Minute, "how long each stage may take to come up")
	f.BoolVar(&i.skipProbe, "skip-probe", false, "do not ask the mirror whether it holds the images")
	f.StringArrayVar(&i.previous, "previous-manifest", nil, "`SOURCE` of the manifests that the cluster was installed from, where Tekgate did not install it: what differs from them in ConfigMaps is yours (repeatable)")
	f.StringVarP(&i.output, "output", "o", "", "also print a report to standard output: `FORMAT` json")
	f.BoolVarP(&i.yes, "yes", "y", false, "do not ask before removing objects that the new release no longer has")
}

func (i *installation) run(cmd *cobra.Command) error {
	if i.output != "" && i.output != "json" {
		return fmt.Errorf("-o %q is not known: the one format is json", i.output)
	}
	result := &report{DryRun: i.dryRun, began: time.Now()}
	err := i.install(cmd, result)
	if i.output == "" {
		return err
	}
	return errors.Join(err, result.print(cmd.OutOrStdout(), err))
}

func (i *installation) install(cmd *cobra.Command, result *report) error {
	ctx, talk := cmd.Context(), cmd.ErrOrStderr()
	cluster, release, err := i.connect(ctx, cmd.InOrStdin(), talk)
	if err != nil {
		return err
	}
	plan, err := cluster.Plan(ctx, release, i.options)
	result.plan(plan)
	sayPlan(talk, plan, i.options.Force)
	if err != nil {
		return err
	}
	if i.dryRun {
		return sayDryRun(talk, plan)
	}
	if err := i.confirm(cmd, plan); err != nil {
		return err
	}
	progress := newProgress(talk)
	done, err := cluster.Apply(ctx, plan, i.options, progress)
	progress.clear()
	result.done(done)
	if err != nil {
		return err
	}
	actions := done.ToGroupedMap()
	fmt.Fprintf(talk, "%d objects in %s: %d created, %d configured, %d unchanged%s\n", len(done.Entries), time.Since(result.began).Round(100*time.Millisecond),
		len(actions[ssa.CreatedAction]), len(actions[ssa.ConfiguredAction]), len(actions[ssa.UnchangedAction]), deleted(len(actions[ssa.DeletedAction])))
	return nil
}

func deleted(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", %d deleted", n)
}

// connect finds the cluster, and renders the release with what its nodes need.
func (i *installation) connect(ctx context.Context, in io.Reader, talk io.Writer) (*installer.Cluster, installer.Release, error) {
	var release installer.Release
	config, err := i.kube.restConfig()
	if err != nil {
		return nil, release, err
	}
	loaded, err := i.source.read(ctx, in, talk)
	if err != nil {
		return nil, release, err
	}
	if i.options.Previous, err = loadAll(ctx, i.previous, in); err != nil {
		return nil, release, err
	}
	cluster, err := installer.Connect(ctx, config)
	if err != nil {
		return nil, release, err
	}
	note, findings, err := loaded.decide(ctx, cluster)
	if err != nil {
		return nil, release, err
	}
	if err := i.probe(ctx, cluster, loaded, talk); err != nil {
		return nil, release, err
	}
	i.options.Findings = append(i.options.Findings, findings...)
	r, err := loaded.render(talk)
	if err != nil {
		return nil, release, err
	}
	release = r.release()
	release.Notes = []string{note}
	return cluster, release, i.trust(r.objects)
}

// trust has Tekton's controllers trust the authorities that the probe did.
func (i *installation) trust(objects []*unstructured.Unstructured) error {
	file := i.source.registries.caFile
	if file == "" {
		return nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the CA file: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		return fmt.Errorf("reading the CA file %s: it holds no certificate in PEM form", file)
	}
	return installer.SetRegistryCA(objects, string(pem))
}

func (i *installation) probe(ctx context.Context, cluster *installer.Cluster, l *loaded, talk io.Writer) error {
	if i.skipProbe {
		return nil
	}
	// What has no rule is said before minutes are spent on a slow mirror.
	if err := l.references.Check(l.rules); err != nil {
		return err
	}
	platforms, err := cluster.Platforms(ctx)
	if err != nil {
		return err
	}
	i.options.Findings, err = l.probe(ctx, platforms, talk)
	return err
}

func loadAll(ctx context.Context, sources []string, in io.Reader) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, source := range sources {
		read, err := installer.Load(ctx, source, in)
		if err != nil {
			return nil, err
		}
		objects = append(objects, read...)
	}
	return objects, nil
}

// confirm asks before objects are removed, where there is somebody to ask.
func (i *installation) confirm(cmd *cobra.Command, plan *installer.Plan) error {
	in, isFile := cmd.InOrStdin().(*os.File)
	if i.yes || len(plan.Prune) == 0 || !isFile || !isatty.IsTerminal(in.Fd()) {
		return nil
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "Remove these %d objects and go on? [y/N] ", len(plan.Prune))
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return errors.New("nothing was changed, since you did not say yes")
	}
	return nil
}

// sayPlan says what people should know before the first write.
func sayPlan(talk io.Writer, plan *installer.Plan, force bool) {
	for _, f := range plan.Findings {
		switch {
		case f.Fatal && force:
			fmt.Fprintf(talk, "FORCED in spite of %s\n", f)
		case !f.Fatal:
			fmt.Fprintf(talk, "warning: %s\n", f)
		}
	}
	for _, note := range plan.Notes {
		fmt.Fprintf(talk, "note: %s\n", note)
	}
	for _, m := range plan.Merges {
		fmt.Fprintf(talk, "ConfigMap %s: %s\n", m.ConfigMap, sentence(m))
	}
	for _, obj := range plan.Prune {
		fmt.Fprintf(talk, "no longer part of the release, and removed: %s %s\n", obj.GetKind(), strings.TrimPrefix(obj.GetNamespace()+"/"+obj.GetName(), "/"))
	}
}

func sentence(m installer.Merge) string {
	switch m.Outcome {
	case installer.KeyKept:
		return fmt.Sprintf("kept your %s = %s (the release has %s)", m.Key, short(m.Value), short(m.Other))
	case installer.KeyRemoved:
		return fmt.Sprintf("removed %s = %s, which the release no longer has", m.Key, short(m.Other))
	}
	return fmt.Sprintf("changed %s from %s to %s", m.Key, short(m.Other), short(m.Value))
}

func short(value *string) string {
	if value == nil {
		return "nothing"
	}
	if first, _, more := strings.Cut(*value, "\n"); more || len(first) > 60 {
		return fmt.Sprintf("%.57q…", first)
	}
	return fmt.Sprintf("%q", *value)
}

func sayDryRun(talk io.Writer, plan *installer.Plan) error {
	for number, stage := range plan.Stages {
		fmt.Fprintf(talk, "stage %d of %d: %s, %d objects\n", number+1, len(plan.Stages), stage.Doc, len(stage.Objects))
	}
	fmt.Fprintf(talk, "dry run, nothing was changed: %d would be created, %d configured, %d unchanged%s\n",
		plan.Count(ssa.CreatedAction), plan.Count(ssa.ConfiguredAction), plan.Count(ssa.UnchangedAction), deleted(len(plan.Prune)))
	return nil
}

// report is what `-o json` prints.
type report struct {
	DryRun   bool                   `json:"dryRun"`
	From     *installer.Versions    `json:"from,omitempty"`
	To       installer.Versions     `json:"to"`
	Findings []installer.Finding    `json:"findings,omitempty"`
	Notes    []string               `json:"notes,omitempty"`
	Merges   []installer.Merge      `json:"configuration,omitempty"`
	Objects  []installer.Difference `json:"objects,omitempty"`
	Seconds  float64                `json:"seconds"`
	Error    string                 `json:"error,omitempty"`

	began time.Time
}

func (r *report) plan(plan *installer.Plan) {
	if plan == nil {
		return
	}
	if plan.Previous != nil {
		r.From = &plan.Previous.Versions
	}
	r.To, r.Findings, r.Notes, r.Merges = plan.Release.Versions, plan.Findings, plan.Notes, plan.Merges
	if r.DryRun {
		r.Objects, _ = plan.Differences()
	}
}

func (r *report) done(done *ssa.ChangeSet) {
	for _, entry := range done.Entries {
		r.Objects = append(r.Objects, installer.Difference{Subject: entry.Subject, Action: entry.Action})
	}
}

func (r *report) print(out io.Writer, err error) error {
	r.Seconds = time.Since(r.began).Seconds()
	if err != nil {
		r.Error = err.Error()
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(r)
}
