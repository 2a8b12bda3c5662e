package vap

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/tekgate/tekgate/validator"
)

// violation is when an object violates a rule, as an expression, and the message.
type violation struct{ when, message string }

// builtIn are the violations of built-in rules that are about one object and have no settings. They
// are long texts, which only this verb needs.
var builtIn = sync.OnceValue(func() map[string]violation {
	return map[string]violation{
		"privileged": {
			anyContainer(func(c string) string {
				return holds(c, "securityContext", func(s string) string { return isTrue(s, "privileged") })
			}),
			"a step or sidecar runs privileged, so whatever it executes has the node and all Pods on it: build with Kaniko or rootless BuildKit, or add the one capability that is needed",
		},
		"dangerous-capability": {
			anyContainer(dangerous),
			"a step or sidecar adds a capability by which it can reach beyond its container: remove it, or except this object with a reason",
		},
		"unconfined": {
			"(" + anyPodTemplate(unconfined) + " || " + anyContainer(unconfined) + ")",
			"a container switches a protection of the container runtime off: write RuntimeDefault, and leave out procMount and hostProcess",
		},
		"host-network": {
			"(" + anyPodTemplate(func(t string) string { return isTrue(t, "hostNetwork") }) +
				" || " + anyContainer(hostPort) + ")",
			"the steps use the node's network, or a sidecar opens a port of the node: remove hostNetwork and hostPort",
		},
		"default-service-account": {
			anyAccount(func(a string) string { return "(" + a + ` == "" || ` + a + ` == "default")` }),
			"this run uses the ServiceAccount \"default\", which it shares with every Pod of its namespace: give it one of its own",
		},
		"run-in-default-namespace": {
			namespaceOf + ` == "default"`,
			"this run is in namespace \"default\": give it the namespace of its team or project",
		},
	}
})

// hostPort writes that a container opens a port of the node.
func hostPort(c string) string {
	return list(c, "ports") +
		".exists(p, type(p) == map && has(p.hostPort) && type(p.hostPort) == int && p.hostPort != 0)"
}

// forbiddenAccount is the violation of service-account-forbidden. The error says why it cannot be written.
func forbiddenAccount(config validator.Config) (violation, error) {
	allowed := config.Policy.Security.Accounts.Allowed
	if len(allowed) == 0 {
		return violation{}, errors.New("validator.policy.security.accounts.allowed is empty, so it finds nothing")
	}
	pattern, ok := validator.NamesPattern(allowed)
	if !ok {
		return violation{}, errors.New(
			"its accounts have a pattern with [ or \\, which is not translated: write it with * alone",
		)
	}
	return violation{anyAccount(func(a string) string {
		name := fmt.Sprintf(`(%[1]s == "" ? "default" : %[1]s)`, a)
		return fmt.Sprintf(`(!%[1]s.contains("$(") && !%[1]s.matches(%[2]s))`, name, quote(pattern))
	}), "the ServiceAccount is not in validator.policy.security.accounts.allowed: name one of those, or have the list extended"}, nil
}

// An expression of this file is true or false of every object, of whatever shape: it looks at the
// type of each value before it uses it, as object.Reader does.

// list reads a list; of another type it is empty.
func list(of, name string) string {
	return fmt.Sprintf("(has(%[1]s.%[2]s) && type(%[1]s.%[2]s) == list ? %[1]s.%[2]s : [])", of, name)
}

// holds writes that an object within another has a property.
func holds(of, name string, property func(string) string) string {
	field := of + "." + name
	return fmt.Sprintf("(has(%[1]s) && type(%[1]s) == map && %[2]s)", field, property(field))
}

func isTrue(of, name string) string {
	return fmt.Sprintf("(has(%[1]s.%[2]s) && %[1]s.%[2]s == true)", of, name)
}

func isText(of, name, value string) string {
	return fmt.Sprintf("(has(%[1]s.%[2]s) && %[1]s.%[2]s == %[3]s)", of, name, quote(value))
}

// anyContainer writes that a step, a sidecar or a stepTemplate has a property, wherever the kind
// has them; see object.Tasks.
func anyContainer(property func(string) string) string {
	inTask := func(task string) string {
		each := fmt.Sprintf(
			"(%s + %s).exists(c, type(c) == map && %s)",
			list(task, "steps"),
			list(task, "sidecars"),
			property("c"),
		)
		return "(" + holds(task, "stepTemplate", property) + " || " + each + ")"
	}
	inRun := func(kind, field string, in func(string) string) string {
		return `(object.kind == "` + kind + `" && ` + holds("object.spec", field, in) + ")"
	}
	parts := []string{
		`(object.kind in ["Task", "ClusterTask"] && ` + inTask("object.spec") + ")",
		`(object.kind == "StepAction" && ` + property("object.spec") + ")",
		`(object.kind == "Pipeline" && ` + inPipeline("object.spec", 1, inTask) + ")",
		inRun("TaskRun", "taskSpec", inTask),
		inRun("PipelineRun", "pipelineSpec", func(spec string) string { return inPipeline(spec, 1, inTask) }),
	}
	return "(has(object.spec) && type(object.spec) == map && (" + strings.Join(parts, " || ") + "))"
}

// deepest is how many pipelines within one another are looked at.
const deepest = 3

// inPipeline writes that a task that is written out in a pipeline has a property. A specification
// with an apiVersion belongs to a custom task.
func inPipeline(spec string, level int, inTask func(string) string) string {
	t := fmt.Sprintf("t%d", level)
	task := holds(t, "taskSpec", func(s string) string {
		return fmt.Sprintf(`(!has(%[1]s.apiVersion) || %[1]s.apiVersion == "") && `, s) + inTask(s)
	})
	if level < deepest {
		task += " || " + holds(t, "pipelineSpec", func(s string) string { return inPipeline(s, level+1, inTask) })
	}
	return fmt.Sprintf(
		"(%s + %s).exists(%s, type(%[3]s) == map && (%[4]s))",
		list(spec, "tasks"),
		list(spec, "finally"),
		t,
		task,
	)
}

// ofPipelineRun writes that the settings of a run are in taskRunTemplate.
const ofPipelineRun = `object.kind == "PipelineRun" && object.apiVersion == "tekton.dev/v1"`

// anyPodTemplate writes that a podTemplate of a run has a property, see podTemplatesIn of package
// containers.
func anyPodTemplate(property func(string) string) string {
	template := func(of string) string { return holds(of, "podTemplate", property) }
	own := fmt.Sprintf(
		"(%s ? %s : %s)",
		ofPipelineRun,
		holds("object.spec", "taskRunTemplate", template),
		template("object.spec"),
	)
	each := list("object.spec", "taskRunSpecs") + ".exists(o, type(o) == map && (" + template("o") + " || " +
		holds("o", "taskPodTemplate", property) + "))"
	return `(object.kind in ["TaskRun", "PipelineRun"] && has(object.spec) && (` + own + ` || (object.kind == "PipelineRun" && ` + each + ")))"
}

// anyAccount writes that a ServiceAccount that a run names has a property; the run's own is ""
// where it names none. See object.AccountsOf.
func anyAccount(property func(string) string) string {
	named := func(of string) string {
		return fmt.Sprintf(`(has(%[1]s) && type(%[1]s) == string ? %[1]s : "")`, of+".serviceAccountName")
	}
	inTemplate := fmt.Sprintf(
		`(has(object.spec.taskRunTemplate) && type(object.spec.taskRunTemplate) == map ? %s : "")`,
		named("object.spec.taskRunTemplate"),
	)
	own := fmt.Sprintf(
		"[%s ? %s : %s].exists(a, %s)",
		ofPipelineRun,
		inTemplate,
		named("object.spec"),
		property("a"),
	)
	of := func(field string) string {
		return fmt.Sprintf(`(has(%[1]s) && type(%[1]s) == string && %[1]s != "" && %[2]s)`, field, property(field))
	}
	each := list(
		"object.spec",
		"taskRunSpecs",
	) + ".exists(o, type(o) == map && (" + of(
		"o.serviceAccountName",
	) + " || " +
		of(
			"o.taskServiceAccountName",
		) + "))"
	former := list(
		"object.spec",
		"serviceAccountNames",
	) + ".exists(o, type(o) == map && " + of(
		"o.serviceAccountName",
	) + ")"
	return `(has(object.spec) && (` + own + ` || (object.kind == "PipelineRun" && (` + each + " || " + former + "))))"
}

// baseline are the capabilities that Pod Security's level baseline lets a container add.
const baseline = `^(?:CAP_)?(?:AUDIT_WRITE|CHOWN|DAC_OVERRIDE|FOWNER|FSETID|KILL|MKNOD|NET_BIND_SERVICE|SETFCAP|SETGID|SETPCAP|SETUID|SYS_CHROOT)$`

func dangerous(c string) string {
	return holds(c, "securityContext", func(s string) string {
		return holds(s, "capabilities", func(own string) string {
			return list(
				own,
				"add",
			) + `.exists(n, type(n) == string && n != "" && !n.upperAscii().matches(` + quote(
				baseline,
			) + "))"
		})
	})
}

func unconfined(c string) string {
	profile := func(of, name string) string {
		return holds(of, name, func(p string) string { return isText(p, "type", "Unconfined") })
	}
	return holds(c, "securityContext", func(s string) string {
		return "(" + profile(
			s,
			"seccompProfile",
		) + " || " + profile(
			s,
			"appArmorProfile",
		) + " || " + isText(
			s,
			"procMount",
			"Unmasked",
		) +
			" || " + holds(
			s,
			"windowsOptions",
			func(w string) string { return isTrue(w, "hostProcess") },
		) + ")"
	})
}
