package installer

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekgate/tekgate/internal/kube"
)

// refusals sorts what the server says about the changes of a plan, so that what one right
// would solve is one sentence and not one per object.
type refusals struct {
	unasked  []string // rights without which the server does not even compare
	grants   []string // roles and bindings that grant more than the user has
	problems []error
}

// add notes that the server refused a change. It reports whether a right of the user's is why.
func (r *refusals) add(c *Cluster, change *Change, refused error) bool {
	if !apierrors.IsForbidden(refused) {
		return false
	}
	text := refused.Error()
	switch {
	case strings.Contains(text, "cannot patch resource"), strings.Contains(text, "cannot create resource"):
		// An apply that creates takes both verbs.
		verb := "patch"
		if strings.Contains(text, "cannot create resource") {
			verb = "create"
		}
		if right := AccessTo(c.client, verb, change.Desired).String(); !slices.Contains(r.unasked, right) {
			r.unasked = append(r.unasked, right)
		}
		return true
	case strings.Contains(text, "attempting to grant"):
		r.grants = append(r.grants, kube.Name(change.Desired))
		return true
	}
	return false
}

// err returns all refusals as one error; nil if there are none.
func (r *refusals) err() error {
	if len(r.unasked) > 0 {
		slices.Sort(r.unasked)
		return fmt.Errorf("comparing with the cluster takes the verb patch, since the server is asked by a dry run, "+
			"and you may not %s: run it %s", fewOf(r.unasked), AsAdministrator)
	}
	if len(r.grants) > 0 {
		r.problems = append(r.problems, fmt.Errorf("you may not change %s, since you have neither the verbs bind and "+
			"escalate for roles nor all the rights that these grant: run it %s", fewOf(r.grants), AsAdministrator))
	}
	if len(r.problems) > 0 {
		return fmt.Errorf("%w: %w", errRefusedByServer, errors.Join(r.problems...))
	}
	return nil
}

// fewOf names the first of a list, and says how many more there are.
func fewOf(names []string) string {
	const most = 3
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), len(names)-most)
}
