package uninstall

import (
	"errors"
	"io"

	"github.com/tekgate/tekgate/installer/uninstall"
	"github.com/tekgate/tekgate/internal/kube"
)

// report is what --output prints.
type report struct {
	DryRun bool `json:"dryRun"`
	Purge  bool `json:"purge"`
	// Objects are those that go, as "kind/namespace/name". After an error some of them are left.
	Objects []string `json:"objects"`
	// Users are users' objects of Tekton's kinds, which go in a purge and stay otherwise.
	Users []usersReport `json:"users"`
	// Strays are objects in namespaces that go.
	Strays []string `json:"strays"`
	Kept   []kept   `json:"kept"`
	Error  string   `json:"error,omitempty"`
}

type usersReport struct {
	Kind  string   `json:"kind"`
	Names []string `json:"names"`
	// Unknown says why they cannot be listed.
	Unknown string `json:"unknown,omitempty"`
}

type kept struct {
	Object string `json:"object"`
	Why    string `json:"why"`
}

// Names returns the objects that go, as "kind/namespace/name".
func (r *report) Names() []string { return r.Objects }

// plan notes what a removal is about to do.
func (r *report) plan(removal *uninstall.Removal) {
	for _, stage := range removal.Stages {
		for _, obj := range stage.Objects {
			r.Objects = append(r.Objects, kube.Name(obj))
		}
	}
	for _, users := range removal.Users {
		names := append([]string{}, users.Names...)
		r.Users = append(r.Users, usersReport{users.Kind.Kind, names, users.Unknown})
	}
	for _, stays := range removal.Kept {
		r.Kept = append(r.Kept, kept{stays.Subject, stays.Why})
	}
	r.Strays = append(r.Strays, removal.Strays...)
}

// print prints the report if it was asked for, and returns the error of the removal.
func (u *uninstallFlags) print(out io.Writer, r *report, err error) error {
	if !u.output.ForPrograms() {
		return err
	}
	if err != nil {
		r.Error = err.Error()
	}
	return errors.Join(err, u.output.Print(out, r, nil))
}
