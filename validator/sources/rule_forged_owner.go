package sources

import (
	"context"
	"fmt"
	"slices"

	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/internal/object"
	"github.com/tekgate/tekgate/validator/rule"
)

var forgedOwnerRule = &rule.Rule{
	ID:       "forged-owner",
	Severity: rule.Error,
	Kinds:    slices.Concat(rule.Runs, rule.CustomRuns),
	Doc: `Finds runs that say they belong to a PipelineRun and contradict themselves: the labels
tekton.dev/pipelineRun and tekton.dev/pipelineRunUID name another one than
ownerReferences does, or its uid is none that Kubernetes gives. Tekton's controller always
writes them alike (createChildResourceLabels in pkg/reconciler/pipelinerun/pipelinerun.go).

Up to v0.49.0 Tekton took a TaskRun with the right name and owner for a task of the
PipelineRun without comparing what it had created (CVE-2023-37264,
GHSA-w2h3-vvvq-3m53): so its results go into the pipeline. A forgery that contradicts
itself nowhere can only be kept away by who may create TaskRuns.`,
	Check: checkForgedOwner,
}

var uidPattern = lazyregexp.New(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

func checkForgedOwner(_ context.Context, p *rule.Pass) {
	var r object.Reader
	meta := r.Fields(p.Object, "metadata")
	labels := r.Fields(meta, "labels")
	for i, owner := range r.FieldsList(meta, "ownerReferences") {
		name, uid := r.Text(owner, "name"), r.Text(owner, "uid")
		path := fmt.Sprintf("metadata.ownerReferences[%d]", i)
		if r.Text(owner, "kind") != "PipelineRun" || !isTekton(r.Text(owner, "apiVersion")) {
			continue
		}
		switch label, labelUID := r.Text(labels, "tekton.dev/pipelineRun"),
			r.Text(labels, "tekton.dev/pipelineRunUID"); {
		case differ(label, name):
			p.Report(path+".name",
				"the owner is PipelineRun %.63q, but the label tekton.dev/pipelineRun names %.63q, so this run pretends to be a task of one of them (CVE-2023-37264): remove the owner and the label",
				name, label)
		case differ(labelUID, uid):
			p.Report(path+".uid",
				"the owner's uid is not the one of the label tekton.dev/pipelineRunUID, so this run pretends to be a task of a PipelineRun that did not create it (CVE-2023-37264): remove the owner and the label")
		case uid != "" && certain(uid) && !uidPattern.MatchString(uid):
			p.Report(path+".uid",
				"%.40q is no uid that Kubernetes gives, so the PipelineRun %.63q cannot own this run, and Kubernetes would delete it: remove the owner",
				uid, name)
		}
	}
}

func isTekton(version string) bool {
	return slices.Contains([]string{"tekton.dev/v1", "tekton.dev/v1beta1", "tekton.dev/v1alpha1"}, version)
}

// differ tells whether two texts are both known and not the same.
func differ(a, b string) bool { return a != "" && b != "" && certain(a) && certain(b) && a != b }
