// Package migrate converts Tekton's old objects in files to what Tekton serves now:
// v1alpha1 and v1beta1 to v1, and what has no version any more (PipelineResources,
// Conditions, ClusterTasks, bundles) to what took its place.
//
// Each object is converted as a whole or not at all. Where only its author can decide, a
// comment says what is to do: in a converted object if the rest does not depend on it, and
// else above the object, which then stays as it was. The files are one set: what a run
// passes to a Task is known from both.
package migrate

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tekgate/tekgate/internal/document"
)

// Options are what the conversion cannot know.
type Options struct {
	GitImage     string // of steps that fetch git inputs: with git and sh
	StorageImage string // of steps that fetch and store storage resources: with gsutil and bash
	Namespace    string // where ClusterTasks go
	// NamespaceGiven says that the user has chosen the namespace.
	NamespaceGiven bool
}

// Defaults are the options where nothing is said.
func Defaults() Options {
	return Options{GitImage: "docker.io/alpine/git:2.47.2", StorageImage: "docker.io/google/cloud-sdk:489.0.0-slim",
		Namespace: "tekton-tasks"}
}

// Level says what a note asks for.
type Level string

// The levels.
const (
	Converted Level = "converted" // the object is what Tekton serves now
	Removed   Level = "removed"   // the object is a comment now; others have what it said
	Info      Level = "note"      // something that its author may want to know
	Todo      Level = "todo"      // a decision, in a converted object
	Blocked   Level = "blocked"   // a decision without which the object stays as it was
	Skipped   Level = "skipped"   // the document cannot be read
)

// Note is a line of the report.
type Note struct {
	Level     Level  `json:"level"`
	File      string `json:"file"`
	Line      int    `json:"line"` // of the file before, from 1
	Kind      string `json:"kind,omitempty"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	Message   string `json:"message"`
}

// Decision reports whether the note asks the author for one.
func (n Note) Decision() bool { return n.Level == Todo || n.Level == Blocked || n.Level == Skipped }

// File is a file and its text.
type File struct {
	Name string
	Text []byte
}

// Files converts the objects of files, which are one set. It returns the files, changed or
// not, and what there is to report, by file and line.
func Files(files []File, o Options) ([]File, []Note) {
	w := newWorld()
	var notes []Note
	documents := make([][]*document.Document, len(files))
	for i, f := range files {
		found, problems := document.Parse(f.Name, f.Text)
		documents[i] = found
		w.learnDocuments(found)
		// A file that does not name Tekton has been named by the user; it may still be Tekton's, as with escapes.
		named := !bytes.Contains(f.Text, []byte("tekton.dev"))
		for _, p := range problems {
			if named || bytes.Contains(p.Document.Text, []byte("tekton.dev")) {
				notes = append(notes, Note{Level: Skipped, File: f.Name, Line: p.Line, Message: p.Err.Error()})
			}
		}
	}
	out := make([]File, len(files))
	// Which PipelineResources are used is known when all runs were converted.
	var resources []func()
	for i, f := range files {
		texts := make([][]byte, len(documents[i]))
		for n, d := range documents[i] {
			texts[n] = d.Text
			if !bytes.Contains(d.JSON, []byte("tekton.dev/")) {
				continue
			}
			if r, ok := pipelineResource(d); ok {
				resources = append(resources, func() {
					var note Note
					texts[n], note = w.removed(d, r)
					notes = append(notes, note)
				})
				continue
			}
			text, found := w.convert(d, o)
			texts[n] = text
			notes = append(notes, found...)
		}
		resources = append(resources, func() { out[i] = File{f.Name, assembled(f.Text, documents[i], texts)} })
	}
	for _, later := range resources {
		later()
	}
	slices.SortStableFunc(notes, func(a, b Note) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return out, notes
}

// assembled puts new texts of documents into a file's text.
func assembled(text []byte, documents []*document.Document, texts [][]byte) []byte {
	var out []byte
	next := 0
	for i, d := range documents {
		out = append(append(out, text[next:d.Offset]...), texts[i]...)
		next = d.Offset + len(d.Text)
	}
	return append(out, text[next:]...)
}

// pipelineResource returns the PipelineResource that a document is.
func pipelineResource(d *document.Document) (*document.Object, bool) {
	objects, err := d.Objects()
	if err != nil || len(objects) != 1 || objects[0].Pointer != "" {
		return nil, false
	}
	version, kind := stringAt(objects[0].Fields, "apiVersion"), stringAt(objects[0].Fields, "kind")
	return objects[0], strings.HasPrefix(version, "tekton.dev/") && kind == "PipelineResource"
}

// removed makes comments of a document that is a PipelineResource. JSON has no comments: it
// stays.
func (w *world) removed(d *document.Document, o *document.Object) ([]byte, Note) {
	meta := fieldsAt(o.Fields, "metadata")
	key := name{"PipelineResource", stringAt(meta, "namespace"), stringAt(meta, "name")}
	line, _ := o.Position("kind")
	note := Note{Level: Removed, File: d.File, Line: line, Kind: key.kind, Namespace: key.namespace, Name: key.name,
		Message: "it is a comment now: the runs that name it have its values"}
	if w.wanted[key] {
		note.Level, note.Message = Blocked, "it stays as long as a run that names it is not migrated"
		return d.Text, note
	}
	heading := "PipelineResources are not served any more. The runs that named this one have its values now;\nremove these lines."
	if !w.used[key] {
		note.Level, note.Message = Todo, "no run among the files names it: pass its values in the params of the runs that do"
		heading = todoWords + " " + note.Message
	}
	if bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(d.Text, []byte("---"))), []byte("{")) {
		note.Level = Todo
		note.Message = "remove it, since PipelineResources are not served any more; the runs that name it have its values"
		return d.Text, note
	}
	return d.Commented(heading), note
}

// todoWords begin a comment that asks for a decision.
const todoWords = "TODO(tekgate migrate):"

// convert converts the objects of a document.
func (w *world) convert(d *document.Document, o Options) ([]byte, []Note) {
	var notes []Note
	changed := false
	text, err := d.Rewrite(func(root *yaml.Node, plain bool) error {
		found, did := w.document(d, root, o)
		if plain {
			notes, changed = found, did
		}
		return nil
	})
	if err != nil {
		return d.Text, []Note{{Level: Skipped, File: d.File, Line: d.Line, Message: err.Error()}}
	}
	if !changed {
		return d.Text, notes
	}
	return text, notes
}

// document converts the objects of a document's tree. It reports whether it changed any.
func (w *world) document(d *document.Document, root *yaml.Node, o Options) (notes []Note, changed bool) {
	var visit func(node *yaml.Node, item bool)
	visit = func(node *yaml.Node, item bool) {
		if node = actual(node); node.Kind != yaml.MappingNode {
			return
		}
		if inner := get(node, "items"); inner != nil && strings.HasSuffix(text(node, "kind"), "List") {
			version, kind := text(node, "apiVersion"), strings.TrimSuffix(text(node, "kind"), "List")
			for _, item := range items(node, "items") {
				if kind != "" && at(item, "kind") < 0 && at(item, "apiVersion") < 0 {
					item.Content = slices.Concat(mapping("apiVersion", version, "kind", kind).Content, item.Content)
				}
				visit(item, true)
			}
			if strings.HasPrefix(version, "tekton.dev/") && kind != "" {
				set(node, "apiVersion", "v1")
				set(node, "kind", "List")
			}
			return
		}
		c := &converter{world: w, options: o, said: d.Text, json: isJSON(d.Text), item: item,
			file: d.File}
		if c.object(node) {
			changed = true
		}
		line := d.Line + node.Line - 1
		for _, n := range c.notes {
			n.File, n.Line, n.Kind, n.Namespace, n.Name = d.File, line, c.kind, c.namespace, c.name
			notes = append(notes, n)
		}
	}
	visit(root, false)
	return notes, changed
}

func isJSON(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("---"))), []byte("{"))
}

// converter converts one object.
type converter struct {
	world                 *world
	options               Options
	said                  []byte // the document's text, in which a comment may stand already
	json                  bool   // whether the document has no comments
	root                  *yaml.Node
	file                  string
	kind, namespace, name string
	old                   bool // whether the object is of v1alpha1
	notes                 []Note
	blocked               []string
	uses                  []name               // PipelineResources whose values the object has now
	local                 map[string]resource  // PipelineResources of the template that is converted
	item                  bool                 // whether the object is an item of a list
	callees               map[*yaml.Node]*task // what tasks call that were made of Conditions
	produced              map[string]bool      // resources that a task hands to another
}

// note adds something that the author may want to know.
func (c *converter) note(format string, args ...any) {
	c.put(Info, fmt.Sprintf(format, args...))
}

func (c *converter) put(level Level, message string) {
	if !slices.ContainsFunc(c.notes, func(n Note) bool { return n.Level == level && n.Message == message }) {
		c.notes = append(c.notes, Note{Level: level, Message: message})
	}
}

// block keeps the object as it was, for a reason that its author has to remove.
func (c *converter) block(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if !slices.Contains(c.blocked, message) {
		c.blocked = append(c.blocked, message)
	}
}

// todo puts a comment above a node that asks for a decision.
func (c *converter) todo(node *yaml.Node, format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	c.put(Todo, message)
	c.remark(node, todoWords+" "+message)
}

// remark puts a comment above a node, unless the document has it already: above an item of
// a list, and else above the first key of a mapping.
func (c *converter) remark(node *yaml.Node, words string) {
	probe := &yaml.Node{}
	comment(probe, words)
	first, _, _ := strings.Cut(probe.HeadComment, "\n")
	if c.json || bytes.Contains(c.said, []byte(first)) {
		return
	}
	if node = actual(node); (!c.item || node != c.root) && isValue(c.root, node) && len(node.Content) > 0 {
		node = node.Content[0]
	}
	comment(node, words)
}

// isValue reports whether a node is the root or the value of a key below it.
func isValue(root, node *yaml.Node) bool {
	if root == node {
		return true
	}
	for i, child := range root.Content {
		child = actual(child)
		if child == node {
			return root.Kind == yaml.MappingNode && i%2 == 1
		}
		if isValue(child, node) {
			return true
		}
	}
	return false
}

// object converts an object, and reports whether it changed it.
func (c *converter) object(root *yaml.Node) bool {
	c.root = root
	c.kind, c.name = text(root, "kind"), text(root, "metadata", "name")
	c.namespace = text(root, "metadata", "namespace")
	before := document.Clone(root)
	was := encoded(root)
	forget(root)
	if len(root.Content) > 0 {
		forget(root.Content[0])
	}
	if !c.dispatch(root) {
		return false
	}
	if len(c.blocked) > 0 {
		*root = *before
		c.notes = nil
		for _, key := range c.uses {
			c.world.wanted[key] = true
		}
		for _, message := range c.blocked {
			c.put(Blocked, message)
			c.remark(root, notMigrated+" "+message)
		}
		return encoded(root) != was
	}
	for _, key := range c.uses {
		c.world.used[key] = true
	}
	if encoded(root) == was {
		return false
	}
	unfold(root)
	c.put(Converted, c.outcome(root))
	return true
}

// notMigrated begins the comment above an object that stays as it was.
const notMigrated = todoWords + " not migrated:"

// forget removes such comments.
func forget(node *yaml.Node) {
	var lines []string
	inside := false
	for _, line := range strings.Split(node.HeadComment, "\n") {
		inside = strings.HasPrefix(line, "# "+notMigrated) || inside && strings.HasPrefix(line, "#   ")
		if !inside {
			lines = append(lines, line)
		}
	}
	node.HeadComment = strings.Join(lines, "\n")
}

func encoded(node *yaml.Node) string {
	out, err := yaml.Marshal(node)
	if err != nil {
		return ""
	}
	return string(out)
}

// outcome says what an object has become.
func (c *converter) outcome(root *yaml.Node) string {
	now := text(root, "kind")
	if now == c.kind {
		return "it is " + text(root, "apiVersion") + " now"
	}
	return fmt.Sprintf("it is a %s of %s now, called %q", now, text(root, "apiVersion"), text(root, "metadata", "name"))
}

// versions are the versions to which kinds are converted. They are those that Pipelines
// v1.15 and Triggers v0.37 store, except that runs of custom tasks are called CustomRun.
var versions = map[string]string{
	"Task": "tekton.dev/v1", "Pipeline": "tekton.dev/v1", "TaskRun": "tekton.dev/v1", "PipelineRun": "tekton.dev/v1",
	"ClusterTask": "tekton.dev/v1", "Condition": "tekton.dev/v1", "Run": "tekton.dev/v1beta1",
	"StepAction": "tekton.dev/v1beta1",
}

var triggersVersions = map[string]string{
	"EventListener": "triggers.tekton.dev/v1beta1", "Trigger": "triggers.tekton.dev/v1beta1",
	"TriggerBinding": "triggers.tekton.dev/v1beta1", "TriggerTemplate": "triggers.tekton.dev/v1beta1",
	"ClusterTriggerBinding": "triggers.tekton.dev/v1beta1",
	"ClusterInterceptor":    "triggers.tekton.dev/v1alpha1", "Interceptor": "triggers.tekton.dev/v1alpha1",
}

// dispatch converts an object by its kind. It reports whether the object is one of Tekton's.
func (c *converter) dispatch(root *yaml.Node) bool {
	version, kind := text(root, "apiVersion"), text(root, "kind")
	group, was, _ := strings.Cut(version, "/")
	now := versions[kind]
	if group == "triggers.tekton.dev" {
		now = triggersVersions[kind]
	} else if group != "tekton.dev" {
		return false
	}
	if kind == "PipelineResource" && group == "tekton.dev" {
		c.block("put the PipelineResource into a document of its own, and migrate again")
		return true
	}
	if now == "" {
		return false
	}
	c.old = was == "v1alpha1"
	spec := get(root, "spec")
	if spec == nil || spec.Kind != yaml.MappingNode {
		c.block("it has no spec")
		return true
	}
	c.spec(root, spec, kind)
	set(root, "apiVersion", restyled(root, now))
	if version == now {
		return true
	}
	if key, _ := take(root, "status"); key != nil {
		c.note("status was removed: Tekton writes it, and takes none of whoever applies the object")
	}
	return true
}

// restyled returns the version with the quotes and the comment of the one before.
func restyled(root *yaml.Node, version string) *yaml.Node {
	node := *get(root, "apiVersion")
	node.Value = version
	return &node
}

// spec converts the spec of an object.
func (c *converter) spec(root, spec *yaml.Node, kind string) {
	switch kind {
	case "Task":
		from, _, _ := find(c.world.handed, "Task", c.namespace, c.name)
		c.taskSpec(spec, from)
	case "ClusterTask":
		c.taskSpec(spec, c.world.handed[name{"ClusterTask", "", c.name}])
		c.clusterTask(root)
	case "Condition":
		c.condition(root, spec)
	case "TaskRun":
		c.taskRun(spec)
	case "Pipeline":
		account := c.world.accounts[name{"Pipeline", c.namespace, c.name}]
		if account == "?" {
			account = ""
		}
		c.pipelineSpec(spec, account)
	case "PipelineRun":
		c.pipelineRun(spec)
	case "Run":
		rename(spec, "ref", "customRef")
		rename(spec, "spec", "customSpec")
		root.Content[at(root, "kind")+1].Value = "CustomRun"
	case "EventListener":
		c.listener(spec)
	case "Trigger":
		c.trigger(spec)
	case "TriggerTemplate":
		c.template(spec)
	}
}

// clusterTask makes a Task of a ClusterTask, in the namespace where the cluster resolver
// looks for it.
func (c *converter) clusterTask(root *yaml.Node) {
	root.Content[at(root, "kind")+1].Value = "Task"
	set(below(root, "metadata"), "namespace", c.options.Namespace)
	if c.options.NamespaceGiven {
		c.note("namespace %s has to exist, and the cluster resolver must be allowed to read it", c.options.Namespace)
		return
	}
	c.todo(root, "create namespace %s for what were ClusterTasks, or choose another by --cluster-task-namespace",
		c.options.Namespace)
}

// embedded converts an object in a template.
func (c *converter) embedded(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		return
	}
	inner := &converter{root: c.root, file: c.file, world: c.world, options: c.options, said: c.said, json: c.json,
		local: c.local, namespace: c.namespace, name: text(root, "metadata", "name")}
	if space := text(root, "metadata", "namespace"); space != "" {
		inner.namespace = space
	}
	inner.dispatch(root)
	for _, n := range inner.notes {
		c.put(n.Level, n.Message)
	}
	c.uses = append(c.uses, inner.uses...)
	for _, message := range inner.blocked {
		c.block("%s %s: %s", text(root, "kind"), firstOf(inner.name, text(root, "metadata", "generateName")), message)
	}
}
