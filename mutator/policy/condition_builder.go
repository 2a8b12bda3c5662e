package policy

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/tekgate/tekgate/internal/image"
	"github.com/tekgate/tekgate/internal/wellknown"
)

// The bounds of what a condition looks through; beyond them everything may build.
// The API server allows for a cost of a million: a text costs a tenth of its length
// times a fourth of the expression's.
const (
	mostTasks = 10 // of a pipeline, and as many at its end
	mostSteps = 8  // of a task
	mostWords = 60 // arguments of a container
	longest   = 128
	// longestNote is for the annotation with the original images.
	longestNote = 4096
	// longestExpression is for the names of builders.
	longestExpression = 1200
)

// building writes that steps may build images. Rules ask for the image in full and
// with the values of parameters; here the ends of its path, and that there is a
// parameter, are enough.
type building struct{ image, program string } // regular expressions

func (c *wanting) builders() building {
	ends, names := []string{}, []string{}
	for _, b := range c.known.Builders {
		for _, end := range b.Repositories {
			ends = append(ends, regexp.QuoteMeta(strings.TrimPrefix(end, "library/"))) // as it is written: docker:24
		}
		for _, repository := range b.OnMirror {
			known := func(end string) bool { return strings.HasSuffix(repository, "/"+end) }
			if !slices.ContainsFunc(b.Repositories, known) {
				ends = append(ends, regexp.QuoteMeta(path.Base(repository)))
			}
		}
		for _, name := range b.Commands {
			names = append(names, regexp.QuoteMeta(path.Base(name)))
		}
	}
	for _, pattern := range c.patterns() {
		last := regexp.QuoteMeta(pattern[strings.LastIndex(pattern, "/")+1:])
		ends = append(ends, strings.ReplaceAll(strings.ReplaceAll(last, `\*\*`, `.+`), `\*`, `[^/]+`))
	}
	images := `(?:^|[/"])(?:` + strings.Join(unique(ends), "|") + `)(?:[:@"]|$)|\$\(`
	programs := `(?:^|/)(?:` + strings.Join(unique(names), "|") + `)(?:/|$)`
	if len(images) > longestExpression || len(programs) > longestExpression {
		return building{} // which matches everything
	}
	return building{images, programs}
}

// patterns are those of images that the configuration takes for builders.
func (c *wanting) patterns() []string {
	patterns := slices.Clone(c.config.DockerConfig.Builders.Images)
	if ref, err := image.Parse(c.config.Kaniko.Image); err == nil {
		patterns = append(patterns, ref.Repository())
	}
	return patterns
}

// matches writes that a text matches, or is longer than what is looked through.
func matches(text string, longest int, expression string) string {
	return fmt.Sprintf("(size(%[1]s) > %[2]d || %[1]s.matches(%[3]s))", text, longest, quote(expression))
}

// step writes that a step, which is an object, may build.
func (b building) step(s string) string {
	return some(
		all(typed(s, "image", "string"), matches(s+".image", longest, b.image)),
		all(typed(s, "command", "list"), "size("+s+".command) > 0", "type("+s+".command[0]) == string",
			matches(s+".command[0]", longest, b.program)),
	)
}

// among writes that one of the objects in a list may build, or that there are more
// than is looked through.
func among(of, name string, most int, v, may string) string {
	return all(typed(of, name, "list"),
		fmt.Sprintf("(size(%[1]s.%[2]s) > %[3]d || %[1]s.%[2]s.exists(%[4]s, type(%[4]s) == map && %[5]s))", of, name,
			most, v, may))
}

// task writes that a task's specification, which is an object, may have a step that
// builds. What a stepTemplate says all steps may say.
func (b building) task(t string) string {
	return some("has("+t+".stepTemplate)", among(t, "steps", mostSteps, "s", b.step("s")))
}

// place is where an object may stand: the condition that it does, and the place.
type place struct{ is, at string }

func placeOf(of, name string) place { return place{fields(of, name), of + "." + name} }

// tasks writes that one of some tasks' specifications may: the one at a place, and
// those in the pipeline at another. All are put into one list, so that what is asked
// of each is written once.
func (b building) tasks(task, pipeline place) string {
	specs := []string{"(" + task.is + " ? [" + task.at + "] : [])"}
	var many []string
	for _, name := range []string{"tasks", "finally"} {
		list, at := all(pipeline.is, typed(pipeline.at, name, "list")), pipeline.at+"."+name
		specs = append(specs,
			"("+list+" ? "+at+".filter(t, type(t) == map && "+fields("t", "taskSpec")+").map(t, t.taskSpec) : [])")
		many = append(many,
			all(list, fmt.Sprintf("(size(%[1]s) > %[2]d || %[1]s.exists(t, type(t) == map && has(t.pipelineSpec)))", at,
				mostTasks)))
	}
	return some(append(many, "("+strings.Join(specs, " + ")+").exists(t, "+b.task("t")+")")...)
}

// run writes that a TaskRun or PipelineRun may.
func (b building) run() string {
	return all(fields("object", "spec"), some(b.originals(), b.tasks(placeOf("object.spec", "taskSpec"),
		placeOf("object.spec", "pipelineSpec"))))
}

// resolved writes that a Task, a Pipeline or a StepAction may.
func (b building) resolved() string {
	spec := placeOf("object", "spec")
	return all(spec.is, some(b.originals(), b.tasks(spec, spec), b.step(spec.at)))
}

// pod writes that a Pod may. The program stands among the arguments of Tekton's
// entrypoint.
func (b building) pod() string {
	may := some(
		all(typed("s", "image", "string"), matches("s.image", longest, b.image)),
		all(typed("s", "args", "list"), fmt.Sprintf("(size(s.args) > %d || s.args.exists(a, type(a) == string && %s))",
			mostWords, matches("a", longest, b.program))),
	)
	named := typed("s", "name", "string") + ` && s.name.startsWith("step-")`
	return all(fields("object", "spec"), some(b.originals(), among("object.spec", "containers", mostSteps, "s",
		named+" && "+may)))
}

// originals writes that the object has the names of builders in the annotation with
// the images that authors wrote: the names in the steps may be others.
func (b building) originals() string {
	key := quote(wellknown.OriginalImagesKey)
	note := "object.metadata.annotations[" + key + "]"
	return all("has(object.metadata.annotations) && object.metadata.annotations != null && "+key+" in object.metadata.annotations",
		"type("+note+") == string", matches(note, longestNote, `\\|`+b.image))
}
