package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// claim makes this process the only stack of a directory and ends what a killed
// predecessor left running. The returned function gives the claim up.
func claim(dir string) (func(), error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, "dev.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("a stack is already up in %s: stop it first, or use another --dir", dir), f.Close())
	}
	endLeftovers(dir)
	return func() { _ = f.Close() }, nil
}

// endLeftovers stops children of a stack that was killed, by the process ids it
// wrote down — if they still are our programs.
func endLeftovers(dir string) {
	data, err := os.ReadFile(filepath.Join(dir, "dev.json"))
	if err != nil {
		return
	}
	var old addresses
	if json.Unmarshal(data, &old) != nil {
		return
	}
	for pid, program := range map[int]string{old.Worker.PID: "qbridge-worker", old.Simulators.PID: "qbridge-sim", old.Temporal.PID: "temporal"} {
		if pid <= 1 || !runs(pid, program) {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGTERM)
		for end := time.Now().Add(stale); runs(pid, program) && time.Now().Before(end); {
			time.Sleep(50 * time.Millisecond)
		}
		if runs(pid, program) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

// runs reports whether a process id belongs to a running program of ours.
func runs(pid int, program string) bool {
	cmdline, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil { // no such process, or a system without /proc: leave it alone
		return false
	}
	name, _, _ := strings.Cut(string(cmdline), "\x00")
	return filepath.Base(name) == program
}
