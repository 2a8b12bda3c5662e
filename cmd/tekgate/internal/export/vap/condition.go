package vap

import (
	"fmt"
	"strconv"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"

	"github.com/tekgate/tekgate/validator"
)

// limits are what all policies do otherwise than the webhook.
var limits = []Limit{
	{
		ID:     "updates",
		Reason: "an update passes if the object violated the rule before it, also where it adds a second violation; the webhook tells them apart",
	},
	{
		ID:     "exceptions-of-updates",
		Reason: "an update has no clock: an exception counts if it held when the object was created",
	},
	{
		ID:     "exceptions-of-runs",
		Reason: "an exception on a TaskRun of a PipelineRun counts whoever wrote it, and in taskRunSpecs nobody is asked whether its author may make it; a policy cannot look up the PipelineRun",
	},
	{
		ID:     "templates",
		Reason: "objects that a TriggerTemplate creates are judged when they are created, not in the template",
	},
	{
		ID:     "tasks-at-use",
		Reason: "the Task that a TaskRun names is judged when it is stored, not again with the values of the run; nor are Pods",
	},
	{ID: "nested-pipelines", Reason: "pipelines within pipelines are judged to the third level"},
	{ID: "spelling", Reason: "fields of Triggers' objects that differ in case are not recognized"},
	{
		ID:     "cost",
		Reason: "an expression that costs more than the API server allows, or fails, lets the object pass without a warning",
	},
	{ID: "messages", Reason: "the message names no place within the object, and there is one for all places"},
}

// changes is the condition of the webhook (manifests/tekgate/500-webhooks.yaml): updates that
// change neither the spec nor an exception pass.
const changes = `request.operation == "CREATE"
|| !has(object.spec) || !has(oldObject.spec) || object.spec != oldObject.spec
|| (has(object.metadata.annotations) && object.metadata.annotations.exists(k, k.startsWith("except.tekgate.dev/")
&& !(has(oldObject.metadata.annotations) && k in oldObject.metadata.annotations && oldObject.metadata.annotations[k] == object.metadata.annotations[k])))
|| (has(oldObject.metadata.annotations) && oldObject.metadata.annotations.exists(k, k.startsWith("except.tekgate.dev/")
&& !(has(object.metadata.annotations) && k in object.metadata.annotations)))`

// conditions are those that hold for every mode of a rule: who asks, and for what.
func (c *compiler) conditions(r *validator.Rule) []admissionv1.MatchCondition {
	controller := "request.userInfo.username == " + quote(c.Controller)
	const owned = `has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, o.kind == "PipelineRun")`
	const ofRun = `(request.operation == "CREATE" && request.resource.resource == "taskruns")`
	const runs = `request.resource.resource in ["taskruns", "pipelineruns", "customruns", "runs"]`
	conditions := []admissionv1.MatchCondition{
		{Name: "spec-or-exceptions-change", Expression: changes},
		{
			Name:       "not-part-of-a-run",
			Expression: "!(" + runs + " && " + controller + " && " + owned + ") || " + ofRun,
		},
	}
	if !r.AtUse {
		conditions = append(conditions, admissionv1.MatchCondition{Name: "not-at-use",
			Expression: "!(" + controller + " && " + ofRun + " && request.dryRun != true)"})
	}
	return conditions
}

// A date as Go parses it: a policy that failed for the 31st of February would let the object pass.
const (
	aYear = `(?:[0-9]{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8]))` +
		`|(?:[0-9]{2}(?:0[48]|[2468][048]|[13579][26])|(?:[02468][048]|[13579][26])00)-02-29)`
	exceptionForm = `^` + aYear + `:? `
)

// excepted writes that an annotation excepts the object from a rule, see validator.Exception.
func (c *compiler) excepted(r *validator.Rule) string {
	own := c.Config.Rules[r.ID].Exceptions
	if c.Config.Exceptions.Disabled || own == "none" {
		return "false"
	}
	key := quote("except.tekgate.dev/" + r.ID)
	text := "object.metadata.annotations[" + key + "].trim()"
	day := text + ".substring(0, 10)"
	created := "object.metadata.creationTimestamp"
	parts := []string{
		"has(object.metadata.annotations) && " + key + " in object.metadata.annotations",
		text + ".matches(" + quote(exceptionForm) + ")",
		"!(request.userInfo.username == " + quote(c.Controller) + " && request.dryRun == true)",
		day + " >= " + created + ".substring(0, 10)",
	}
	if most := c.Config.Exceptions.MaxDays; most > 0 {
		parts = append(
			parts,
			fmt.Sprintf(`timestamp(%s + "T00:00:00Z") <= timestamp(%s) + duration("%dh")`, day, created, 24*most),
		)
	}
	if own == "authorized" {
		parts = append(parts, fmt.Sprintf(
			`authorizer.group("validator.tekgate.dev").resource("rules").namespace(%s).name(%s).check("except").allowed()`,
			namespaceOf,
			quote(r.ID),
		))
	}
	return "(" + strings.Join(parts, " && ") + ")"
}

// quote writes a string literal.
func quote(s string) string { return strconv.QuoteToASCII(s) }

func not(condition string) string { return "!(" + condition + ")" }
