package provider

import (
	"bytes"
	"cmp"
	"errors"
	"hash/maphash"
	"strings"

	"github.com/tekgate/tekgate/internal/scan"
)

// ErrTwice is the error of a payload that has a key twice.
var ErrTwice = errors.New("a key came twice")

// Payload says where a forge's payload has what: a table of paths, which is
// compiled into a tree and walked once. Whatever lies beside the paths is skipped.
type Payload struct {
	root *node
	// mostCommits is how many commits the forge lists at most; 0 where it does not
	// say, or says in the payload that there are more.
	mostCommits int
	// hidesRenames means that a commit may list a renamed file as an added one alone.
	hidesRenames bool
	// deletesApart means that the deletion of a branch arrives as the event delete alone. The
	// pattern push:deleted then asks for it, too.
	deletesApart bool
	// finish fills in what no path alone can tell.
	finish func(x *Extract, at func(field) string, g *Git)
}

// DeletesApart reports whether the forge has no push event for the deletion of a branch.
func (p *Payload) DeletesApart() bool { return p != nil && p.deletesApart }

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
	fUpdatedAt // when what the event is about was changed
	fPushedAt  // when the repository was pushed to

	fAnyNumber   // a number that is a pull request's only where there is one
	fIssueNumber // an issue's, or a pull request's that a comment is about
	fIssueIsPull // what an issue has only where it is a pull request
	fIssueMerged // the same, and whether it was merged
	fState       // a pull request's, such as open
	fMerged      // whether it was merged, or when
	fDraft       // whether it is a draft
	fHeadRepo    // the id of the repository that a pull request comes from
	fBaseRepo    // the id of the one that it goes to
	fTagged      // the commit that a tag is for
	fHomepage    // the repository's page
	fields       // how many there are

	fCommit   // counted
	fFiles    // a list of names
	fAdded    // a list of the names of files that came, or got a new name
	fChange   // a list of changes, each of which has fields of its own
	fCommitID // of one commit in a list
	fParents  // a list of one commit's parents
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

// Values are raw scalars by field, borrowed from the payload.
type Values struct {
	raw  [fields][]byte
	rank [fields]uint8
}

func (v *Values) set(n *node, raw []byte) {
	if string(raw) == "null" || string(raw) == `""` {
		return
	}
	if v.raw[n.field] == nil || n.rank < v.rank[n.field] {
		v.raw[n.field], v.rank[n.field] = raw, n.rank
	}
}

// Extract is what one payload tells.
type Extract struct {
	isObject bool
	Values
	Changes []Values // of a delivery that is about several refs
	inside  *Values  // the change being read
	commits int      // in the list; -1 where there is no list
	lists   int      // lists of files in them
	shas    [][]byte // raw, of the commits or of their parents, where the forge's table asks for them
	parents int      // lists of parents among the commits
	added   int      // files that came with a commit
	Files   FileList

	// Test is why the delivery that was built last is what a forge's test button sends, in a
	// sentence; "" where it is not known to be one.
	Test string
	// AsPush means that it is about a deletion that other forges send as a push.
	AsPush bool

	// Forge is the product that sent the delivery, where a provider stands for several; see
	// Claim.Forge. It is set by whoever reads the headers.
	Forge string
	// TrustLists means that whoever wrote the Trigger takes the files that are listed for all
	// of them. It is set as Forge is.
	TrustLists bool
}

// Reset empties an extract, which keeps its memory for the next payload.
func (x *Extract) Reset() {
	clear(x.Changes[:cap(x.Changes)])
	x.Files.reset()
	clear(x.shas)
	*x = Extract{Changes: x.Changes[:0], Files: x.Files, shas: x.shas[:0], commits: -1}
}

// Read walks the payload of a delivery. A body that is no JSON object tells
// nothing; neither the forge nor the EventListener need insist on one.
func (p *Payload) Read(body []byte, x *Extract) error {
	x.Reset()
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

func (n *node) walk(r *scan.Reader, x *Extract) error {
	switch kind := r.Kind(); {
	case kind == '{' && len(n.children) > 0:
		return n.walkObject(r, x)
	case kind == '[' && n.element != nil:
		if n.element.field == fCommit {
			x.commits = 0
		}
		return r.Array(func() error { return n.element.enter(r, x) })
	case kind == '[' && (n.field == fFiles || n.field == fAdded):
		return r.Array(func() error {
			if n.field == fAdded {
				x.added++
			}
			return x.Files.read(r)
		})
	case kind == '[' && n.field == fParents:
		x.parents++
		return r.Array(func() error { return x.readSHA(r) })
	case n.field == fCommitID:
		return x.readSHA(r)
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

// readSHA keeps one of the commits' hashes. Tables ask for them only where forges list few
// commits.
func (x *Extract) readSHA(r *scan.Reader) error {
	const most = 256
	if r.Kind() != '"' || len(x.shas) == most {
		return r.Skip()
	}
	raw, err := r.Raw()
	x.shas = append(x.shas, raw)
	return err
}

// names reports whether the raw hash is among those that were kept.
func (x *Extract) names(raw []byte) bool {
	for _, sha := range x.shas {
		if bytes.Equal(sha, raw) {
			return true
		}
	}
	return false
}

// enter reads an element of a list.
func (n *node) enter(r *scan.Reader, x *Extract) error {
	const mostChanges = 64
	switch n.field {
	case fCommit:
		x.commits++
	case fChange:
		if len(x.Changes) == mostChanges {
			return r.Skip()
		}
		x.Changes = append(x.Changes, Values{})
		x.inside = &x.Changes[len(x.Changes)-1]
		defer func() { x.inside = nil }()
	}
	return n.walk(r, x)
}

// walkObject refuses a key that it looks for and finds twice: readers do not agree
// on which of the two counts, and whoever acts upon the event is another reader.
func (n *node) walkObject(r *scan.Reader, x *Extract) error {
	seen := uint64(0)
	return r.Object(func(key []byte) error {
		for i, name := range n.names {
			if string(key) != name {
				continue
			}
			if seen&(1<<i) != 0 {
				return ErrTwice
			}
			seen |= 1 << i
			child := n.children[i]
			if child.field == fFiles || child.field == fAdded {
				x.lists++
			}
			return child.walk(r, x)
		}
		return r.Skip()
	})
}

// FileList is a set of files' names, in the order in which they came. A push of many
// commits names thousands, so they stand in one text, and a table of places in it
// finds those that came before: a string and a key in a map for each are a third of
// what reading such a payload costs.
type FileList struct {
	text     []byte
	ends     []int    // where each name ends in text
	places   []uint32 // 1 + the index of a name, at or after its hash; 0 where none is
	names    []string // all of them, once they are asked for
	Complete bool     // every changed file is named
	cut      bool     // there were too many
}

var fileSeed = maphash.MakeSeed()

func (l *FileList) reset() {
	clear(l.places)
	*l = FileList{text: l.text[:0], ends: l.ends[:0], places: l.places}
}

// name returns the name at i, borrowed.
func (l *FileList) name(i int) []byte {
	start := 0
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.text[start:l.ends[i]]
}

// read adds a name.
func (l *FileList) read(r *scan.Reader) error {
	const most, longest = 3000, 4096
	if r.Kind() != '"' {
		return r.Skip()
	}
	name, err := r.String()
	if err != nil {
		return err
	}
	place := l.place(name)
	if *place != 0 {
		return nil
	}
	if len(l.ends) == most || len(name) > longest {
		l.cut = true
		return nil
	}
	l.text = append(l.text, name...)
	l.ends = append(l.ends, len(l.text))
	*place = uint32(len(l.ends))
	return nil
}

// place returns where the index of a name stands, or should.
func (l *FileList) place(name []byte) *uint32 {
	if 2*len(l.ends) >= len(l.places) {
		l.grow()
	}
	last := uint64(len(l.places) - 1)
	for at := maphash.Bytes(fileSeed, name) & last; ; at = (at + 1) & last {
		if i := l.places[at]; i == 0 || bytes.Equal(l.name(int(i-1)), name) {
			return &l.places[at]
		}
	}
}

// grow doubles the table, whose length is a power of two and which is never more than
// half full.
func (l *FileList) grow() {
	l.places = make([]uint32, max(64, 2*len(l.places)))
	for i := range l.ends {
		*l.place(l.name(i)) = uint32(i + 1)
	}
}

// All returns the names, which may be kept, but not changed.
func (l *FileList) All() []string {
	if l.names != nil && len(l.names) == len(l.ends) {
		return l.names
	}
	whole, start := string(l.text), 0
	l.names = make([]string, len(l.ends))
	for i, end := range l.ends {
		l.names[i], start = whole[start:end], end
	}
	return l.names
}

// Count returns how many names there are.
func (l *FileList) Count() int { return len(l.ends) }
