package expressions

import (
	"context"

	"github.com/tekgate/tekgate/internal/expression"
	"github.com/tekgate/tekgate/internal/lazyregexp"
	"github.com/tekgate/tekgate/validator/rule"
)

var payloadChosenDestinationRule = &rule.Rule{
	ID:       "payload-chosen-destination",
	Severity: rule.Warning,
	Others:   true,
	Kinds:    rule.WithTriggers,
	Doc: `Finds triggers in which a pull request chooses where Kaniko pushes to: a value that its
author decides, such as the name of the branch, in ` + "`--destination`" + ` of a step in the
TriggerTemplate. A branch that is called latest, or v1.4.2, then replaces the image of
that tag with what the pull request builds.

Use what nobody can choose, the number of the pull request or the commit's hash, or push
such images to a repository of their own.

Numbers, ids, hashes and what is said about the target of the pull request pass, and so
do values from events that are no pull requests.`,
	Check: checkPayloadChosenDestination,
}

var (
	// ofPullRequest matches where the providers say what a pull request is like.
	ofPullRequest = lazyregexp.New(`(?i)\bpull_?request|\bmerge_?request\b|\bobject_attributes\b|\bsourceRefName\b`)
	// notChosen matches what its author does not decide.
	notChosen = lazyregexp.New(`(?i)[._](?:i?id|number|sha|hash|(?:base|target)\b.*|target_branch|pullRequestId|last_commit\.id|toRef\..*)$|\.(?:base|destination|target|toRef)\.`)
)

func checkPayloadChosenDestination(ctx context.Context, p *rule.Pass) {
	for _, t := range boundTriggersIn(ctx, p) {
		for _, flow := range t.flows(p, useDestination, fromPullRequest) {
			p.Report(flow.Bound.Path,
				"the author of a pull request chooses %s, through param %q%s, and may overwrite any tag there: use its number or the commit's hash",
				flow.Name, flow.Bound.Name, flow.Bound.from())
		}
	}
}

func fromPullRequest(value any) bool {
	text, _ := value.(string)
	for _, e := range expression.Bound(text) {
		if e.Closed && ofPullRequest.MatchString(e.Inner) && !notChosen.MatchString(e.Inner) {
			return true
		}
	}
	return false
}
