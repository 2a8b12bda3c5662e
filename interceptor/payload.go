package interceptor

import (
	"cmp"
	"strings"

	"github.com/tekgate/tekgate/internal/scan"
)

// payload says where a forge's payload has what: a table of paths, which is
// compiled into a tree and walked once. Whatever lies beside the paths is skipped.
type payload struct {
	root *node
	// mostCommits is how many commits the forge lists at most; 0 where it does not
	// say, or says in the payload that there are more.
	mostCommits int
	// finish fills in what no path alone can tell.
	finish func(x *extract, at func(field) string, g *Git)
}

// field is something that a payload may tell.
type field uint8

const (
	none field = iota
	fRef
	fRefType
	fRefName
	fBefore
	fAfter
	fHead
	fDeleted
	fCreated
	fForced
	fRepository
	fOwner
	fDefaultBranch
	fCloneURL
	fSSHURL
	fSender
	fAction
	fActionDetail
	fNumber
	fSourceBranch
	fTargetBranch
	fTag
	fTotal
	fMore
	fKind
	fCloneName
	fields // how many there are

	fCommit // counted
	fFiles  // a list of names
	fChange // a list of changes, each of which has fields of its own
)

// path is one row: "a.b" is a key in an object in the payload, and "a[]" each
// element of a list. Of several rows for one field the first that has a value
// counts.
type path struct {
	path  string
	field field
}

type node struct {
	names    []string
	children []*node
	element  *node
	field    field
	rank     uint8
}

// compile makes a tree of a table. The rows are constants, so a bad one is a panic
// at the start and in every test.
func compile(rows []path) *node {
	root := &node{}
	for rank, row := range rows {
		at := root
		for key := range strings.SplitSeq(row.path, ".") {
			name, inList := strings.CutSuffix(key, "[]")
			if name != "" {
				at = at.child(name)
			}
			if inList {
				at.element = cmp.Or(at.element, &node{})
				at = at.element
			}
		}
		if at.field != none {
			panic("two fields at " + row.path)
		}
		at.field, at.rank = row.field, uint8(rank)
	}
	return root
}

func (n *node) child(name string) *node {
	for i, has := range n.names {
		if has == name {
			return n.children[i]
		}
	}
	n.names, n.children = append(n.names, name), append(n.children, &node{})
	return n.children[len(n.children)-1]
}

// values are raw scalars by field, borrowed from the payload.
type values struct {
	raw  [fields][]byte
	rank [fields]uint8
}

func (v *values) set(n *node, raw []byte) {
	if string(raw) == "null" || string(raw) == `""` {
		return
	}
	if v.raw[n.field] == nil || n.rank < v.rank[n.field] {
		v.raw[n.field], v.rank[n.field] = raw, n.rank
	}
}

// extract is what one payload tells.
type extract struct {
	isObject bool
	values
	changes []values // of a delivery that is about several refs
	inside  *values  // the change being read
	commits int      // in the list; -1 where there is no list
	lists   int      // lists of files in them
	files   fileList
}

func (x *extract) reset() {
	clear(x.changes[:cap(x.changes)])
	x.files.reset()
	*x = extract{changes: x.changes[:0], files: x.files, commits: -1}
}

// read walks the payload of a delivery. A body that is no JSON object tells
// nothing; neither the forge nor the EventListener need insist on one.
func (p *payload) read(body []byte, x *extract) error {
	x.reset()
	r := scan.New(body)
	if p == nil || r.Kind() != '{' {
		return nil
	}
	if err := p.root.walk(r, x); err != nil {
		return err
	}
	x.isObject = true
	return r.End()
}

func (n *node) walk(r *scan.Reader, x *extract) error {
	switch kind := r.Kind(); {
	case kind == '{' && len(n.children) > 0:
		return n.walkObject(r, x)
	case kind == '[' && n.element != nil:
		if n.element.field == fCommit {
			x.commits = 0
		}
		return r.Array(func() error { return n.element.enter(r, x) })
	case kind == '[' && n.field == fFiles:
		return r.Array(func() error { return x.files.read(r) })
	case n.field == none || n.field >= fields || kind == '{' || kind == '[':
		return r.Skip()
	}
	raw, err := r.Raw()
	if err != nil {
		return err
	}
	if x.inside != nil {
		x.inside.set(n, raw)
	} else {
		x.set(n, raw)
	}
	return nil
}

// enter reads an element of a list.
func (n *node) enter(r *scan.Reader, x *extract) error {
	const mostChanges = 64
	switch n.field {
	case fCommit:
		x.commits++
	case fChange:
		if len(x.changes) == mostChanges {
			return r.Skip()
		}
		x.changes = append(x.changes, values{})
		x.inside = &x.changes[len(x.changes)-1]
		defer func() { x.inside = nil }()
	}
	return n.walk(r, x)
}

// walkObject refuses a key that it looks for and finds twice: readers do not agree
// on which of the two counts, and whoever acts upon the event is another reader.
func (n *node) walkObject(r *scan.Reader, x *extract) error {
	seen := uint64(0)
	return r.Object(func(key []byte) error {
		for i, name := range n.names {
			if string(key) != name {
				continue
			}
			if seen&(1<<i) != 0 {
				return errTwice
			}
			seen |= 1 << i
			child := n.children[i]
			if child.field == fFiles {
				x.lists++
			}
			return child.walk(r, x)
		}
		return r.Skip()
	})
}

// fileList is a set of files' names, in the order in which they came.
type fileList struct {
	names    []string
	has      map[string]struct{}
	complete bool // every changed file is in names
	cut      bool // there were too many
}

func (l *fileList) reset() {
	clear(l.has)
	clear(l.names)
	*l = fileList{names: l.names[:0], has: l.has}
}

// read adds a name.
func (l *fileList) read(r *scan.Reader) error {
	const most, longest = 3000, 4096
	if r.Kind() != '"' {
		return r.Skip()
	}
	name, err := r.String()
	if err != nil {
		return err
	}
	if _, found := l.has[string(name)]; found {
		return nil
	}
	if len(l.names) == most || len(name) > longest {
		l.cut = true
		return nil
	}
	if l.has == nil {
		l.has = map[string]struct{}{}
	}
	l.names = append(l.names, string(name))
	l.has[l.names[len(l.names)-1]] = struct{}{}
	return nil
}

func (l *fileList) any(g globs) bool {
	for _, name := range l.names {
		if g.match(name) {
			return true
		}
	}
	return false
}
