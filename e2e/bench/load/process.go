package load

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// ProcessTime returns the CPU time of a process, in ticks of 10 ms: fields 14 and 15 of
// /proc/PID/stat, see proc_pid_stat(5).
func ProcessTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the CPU time of a server: %w", err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest) // from the third on
	if len(fields) < 13 {
		return 0, fmt.Errorf("reading the CPU time of a server: its stat has %d fields", len(fields))
	}
	ticks := 0
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, fmt.Errorf("reading the CPU time of a server: %w", err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// The fields of processMemory.
const (
	ResidentSet = "VmRSS"
	PeakSet     = "VmHWM"
)

// ProcessMemory reads a field of a process's status, in MiB.
func ProcessMemory(pid int, field string) (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the memory of a server: %w", err)
	}
	for line := range strings.Lines(string(text)) {
		if digits, found := strings.CutPrefix(line, field+":"); found {
			kib, err := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(digits), "kB")))
			return float64(kib) / 1024, err
		}
	}
	return 0, fmt.Errorf("reading the memory of a server: %s not found", field)
}

// ResetPeak sets the peak of a process's memory to the current value, and returns that, in
// MiB.
func ResetPeak(pid int) (float64, error) {
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0); err != nil {
		return 0, fmt.Errorf("resetting the peak of a server's memory: %w", err)
	}
	return ProcessMemory(pid, ResidentSet)
}
