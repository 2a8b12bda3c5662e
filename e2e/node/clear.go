package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

const controlGroups = "/sys/fs/cgroup"

// unified reports whether control groups are of version 2.
func unified() bool {
	_, err := os.Stat(filepath.Join(controlGroups, "cgroup.controllers"))
	return err == nil
}

// groups returns the control group of the given name in each hierarchy: of version 1 one for
// each controller, of version 2 one in all.
func groups(name string) ([]string, error) {
	if unified() {
		return []string{filepath.Join(controlGroups, name)}, nil
	}
	roots, err := os.ReadDir(controlGroups)
	if err != nil {
		return nil, fmt.Errorf("looking for control groups: %w", err)
	}
	var dirs []string
	for _, root := range roots {
		if root.IsDir() { // the others are links: cpu to cpu,cpuacct
			dirs = append(dirs, filepath.Join(controlGroups, root.Name(), name))
		}
	}
	return dirs, nil
}

// clear removes the folder of a node that has ended, and its control groups, which have the
// folder's name.
func clear(dir string) error {
	dirs, err := groups(filepath.Base(dir))
	if err != nil {
		return err
	}
	errs := []error{os.RemoveAll(dir)}
	for _, group := range dirs {
		errs = append(errs, removeGroup(group))
	}
	return errors.Join(errs...)
}

// removeGroup removes a control group with those below it, which are not files:
// each has to be removed by itself, once the kernel has buried its last process.
func removeGroup(group string) (err error) {
	for range 100 {
		if err = removeOnce(group); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("removing the control group %s: %w", group, err)
}

func removeOnce(group string) error {
	var dirs []string
	err := filepath.WalkDir(group, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			dirs = append(dirs, path)
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for i := len(dirs) - 1; i >= 0; i-- {
		if err := syscall.Rmdir(dirs[i]); err != nil {
			return err
		}
	}
	return nil
}
