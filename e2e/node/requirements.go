package node

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
)

// Requirements are the sentences that say what this machine lacks for a node, and
// the remedy of each.
type Requirements []string

// Error is all of them, and what can be done in place of a node.
func (r Requirements) Error() string {
	return "no node can run here:\n- " + strings.Join(r, "\n- ") +
		"\nthe same scenarios run on a cluster that you have: TEKGATE_KUBECONFIG=… make e2e-cluster"
}

// packages are Debian's, by a program that each of them brings.
var packages = []struct{ program, name, reason string }{
	{"ip", "iproute2", "it gives the node its addresses"},
	{"runc", "runc", "it starts containers"},
	{"nft", "nftables", "kube-proxy leads Services to Pods with it"},
	{"iptables", "iptables", "the network plugins look for it"},
	{"conntrack", "conntrack", "kube-proxy forgets connections of Pods that are gone with it"},
	{"busybox", "busybox-static", "it is the shell image"},
	{"git", "git", "private repositories and the steps that fetch them are made with it"},
	{"ssh", "openssh-client", "git comes through it"},
	{"sshd", "openssh-server", "private repositories are behind it"},
}

// fullPackages are those that only `make e2e-full` needs.
var fullPackages = []struct{ program, name, reason string }{
	{"ipset", "ipset", "NetworkPolicies are enforced with it"},
	{"openssl", "openssl", "the commands of docs/components.md make keys with it"},
	{"postgres", "postgresql", "Tekton Results stores runs in it"},
}

// Missing returns what this machine lacks: also for the scenarios of `make e2e-full`, if all are
// wanted.
func Missing(all bool) Requirements {
	if runtime.GOOS != "linux" {
		return Requirements{
			"a node is made of Linux namespaces, and this is " + runtime.GOOS + ": run it in a virtual machine",
		}
	}
	var missing Requirements
	if os.Geteuid() != 0 {
		missing = append(missing, "namespaces, mounts and control groups need root: run it as root, or in a virtual machine")
	}
	for _, file := range []string{"/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/pid"} {
		if _, err := os.Stat(file); err != nil {
			missing = append(missing, "the kernel has no "+file+": it has to be built with namespaces")
		}
	}
	if _, err := groups("tekgate"); err != nil {
		missing = append(missing, "there are no control groups under "+controlGroups+": mount them")
	}
	var install []string
	wanted := packages
	if all {
		wanted = slices.Concat(packages, fullPackages)
	}
	for _, p := range wanted {
		if err := installed(p.program); err != nil {
			missing = append(missing,
				fmt.Sprintf("%s is not there, and %s: install Debian's package %s", p.program, p.reason, p.name))
			install = append(install, p.name)
		}
	}
	if len(install) > 0 {
		missing = append(missing, "all of these at once: apt-get install --no-install-recommends "+strings.Join(install, " "))
	}
	return missing
}

func installed(program string) error {
	if program == "postgres" {
		_, err := postgres(program)
		return err
	}
	_, err := exec.LookPath(program)
	return err
}
