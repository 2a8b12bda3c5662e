package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tekgate/tekgate/e2e/cluster"
)

// The node's addresses. All of them are on one end of a pair of interfaces whose
// other end leads nowhere.
const (
	address         = "10.201.0.1" // of the node, its API server and its DNS
	mirrorAddress   = "10.201.0.2"
	registryAddress = "10.201.0.3"
	gitAddress      = "10.201.0.4"
	databaseAddress = "10.201.0.5"
	forgeAddress    = "10.201.0.6"
	podRange        = "10.244.0.0/16"
)

// machine makes the namespaces that this process is in look like a machine of its
// own, whose files below /etc, /run, /var/lib and /var/log are in dir.
func machine(dir string) error {
	if err := mounts(dir); err != nil {
		return err
	}
	if err := settings(dir); err != nil {
		return err
	}
	if err := makeGroups(filepath.Base(dir)); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(nodeName)); err != nil {
		return fmt.Errorf("naming the node: %w", err)
	}
	return network()
}

func mounts(dir string) error {
	etc := filepath.Join(dir, "etc")
	for _, sub := range []string{"upper", "work"} {
		if err := os.MkdirAll(filepath.Join(etc, sub), 0o755); err != nil {
			return err
		}
	}
	steps := []struct {
		source, target, kind string
		flags                uintptr
		data                 string
	}{
		// Nothing goes back to the machine. Within the node what the kubelet mounts
		// has to be seen by containers.
		{"", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"", "/", "", syscall.MS_REC | syscall.MS_SHARED, ""},
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
		{"overlay", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=" + etc + "/upper,workdir=" + etc + "/work"},
		{"run", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755"},
	}
	for _, s := range steps {
		if err := syscall.Mount(s.source, s.target, s.kind, s.flags, s.data); err != nil {
			return fmt.Errorf("mounting %s: %w", s.target, err)
		}
	}
	for _, target := range []string{"/var/lib", "/var/log"} {
		if err := bind(filepath.Join(dir, target), target); err != nil {
			return err
		}
	}
	return nil
}

// bind puts a folder of the node's in the place of the machine's.
func bind(source, target string) error {
	if err := os.MkdirAll(source, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	return syscall.Mount("", target, "", syscall.MS_SHARED, "")
}

// kernelSettings are those that the kubelet wants and would change for the whole
// machine. It finds them as it wants them, in files that lie over the real ones.
var kernelSettings = map[string]string{
	"vm/overcommit_memory": "1", "vm/panic_on_oom": "0",
	"kernel/panic": "10", "kernel/panic_on_oops": "1",
	"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
}

// hosts is the node's /etc/hosts.
const hosts = address + " " + nodeName + "\n" +
	mirrorAddress + " " + mirrorHost + "\n" +
	registryAddress + " " + RegistryHost + "\n" +
	gitAddress + " " + GitHost + "\n" +
	databaseAddress + " " + DatabaseHost + "\n" +
	forgeAddress + " " + ForgeHost + "\n" +
	"127.0.0.1 localhost\n"

func settings(dir string) error {
	for name, value := range kernelSettings {
		file := filepath.Join(dir, "settings", strings.ReplaceAll(name, "/", "."))
		if err := write(file, value+"\n"); err != nil {
			return err
		}
		if err := syscall.Mount(file, filepath.Join("/proc/sys", name), "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("covering the kernel's setting %s: %w", name, err)
		}
	}
	// The network's are the namespace's own.
	if err := os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1\n"), 0o600); err != nil {
		return fmt.Errorf("having the node forward packets: %w", err)
	}
	if err := os.WriteFile("/etc/hosts", []byte(hosts), 0o600); err != nil {
		return err
	}
	// It may be a link into /run.
	if err := os.Remove("/etc/resolv.conf"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return write("/etc/resolv.conf", "nameserver "+address+"\n")
}

// makeGroups makes the node's control groups. Of version 1, one for processors
// admits no process before it says which; of version 2, a group can do what those
// above it let it do.
func makeGroups(name string) error {
	dirs, err := groups(name)
	if err != nil {
		return err
	}
	if err := letControl(); err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("making a control group: %w", err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			above, err := os.ReadFile(filepath.Join(filepath.Dir(dir), file))
			if err != nil {
				continue
			}
			if err := os.WriteFile(filepath.Join(dir, file), above, 0o600); err != nil {
				return fmt.Errorf("giving the node's control group its processors: %w", err)
			}
		}
	}
	return nil
}

// letControl has groups of version 2 below the root control what the kubelet wants
// to. Of version 1 there is nothing to do.
func letControl() error {
	if !unified() {
		return nil
	}
	for _, controller := range []string{"cpu", "cpuset", "memory", "pids", "io"} {
		file := filepath.Join(controlGroups, "cgroup.subtree_control")
		if err := os.WriteFile(file, []byte("+"+controller), 0o600); err != nil {
			return fmt.Errorf("letting control groups control %s: %w", controller, err)
		}
	}
	return nil
}

// network gives the node its addresses. There is a route to everywhere else, and it
// says at once that nothing is there: into the void every pull of an image that was
// not rewritten would hang in place of failing. Services need a route of their own:
// the kernel looks for one before kube-proxy's rules lead the packet to a Pod.
func network() error {
	for _, line := range []string{
		"link set lo up",
		"link add node0 type veth peer name nowhere0",
		"addr add " + address + "/24 dev node0",
		"addr add " + mirrorAddress + "/24 dev node0",
		"addr add " + registryAddress + "/24 dev node0",
		"addr add " + gitAddress + "/24 dev node0",
		"addr add " + databaseAddress + "/24 dev node0",
		"addr add " + forgeAddress + "/24 dev node0",
		"link set node0 up",
		"link set nowhere0 up",
		"route add unreachable default",
		"route add " + cluster.ServiceRange + " dev node0",
	} {
		out, err := exec.CommandContext(context.Background(), "ip", strings.Fields(line)...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}

func write(file, text string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644) //nolint:gosec // read by programs of other users
}
