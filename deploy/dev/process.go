package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// stopPatience is how long a child may take to stop before it is killed.
const stopPatience = 35 * time.Second

// process is one child. Its output goes to a log file; the last lines are kept
// for the error message of a child that does not come up.
type process struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error // valid after done
}

// start runs a program as a child in its own process group, so that a Ctrl-C in
// the terminal reaches only us and the children stop in order. The first line
// of its standard output is returned when wantLine is set.
func start(ctx context.Context, name, logDir string, env []string, wantLine bool, program string, args ...string) (*process, string, error) {
	p := &process{name: name, log: filepath.Join(logDir, name+".log"), done: make(chan struct{})}
	logFile, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, "", err
	}
	p.cmd = exec.Command(program, args...)
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = logFile
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var stdout io.ReadCloser
	if wantLine {
		if stdout, err = p.cmd.StdoutPipe(); err != nil {
			return nil, "", errors.Join(err, logFile.Close())
		}
	} else {
		p.cmd.Stdout = logFile
	}
	if err := p.cmd.Start(); err != nil {
		return nil, "", errors.Join(fmt.Errorf("start %s: %w", name, err), logFile.Close())
	}
	lines := make(chan string, 1)
	var copying sync.WaitGroup
	if wantLine {
		copying.Add(1)
		go func() {
			defer copying.Done()
			r := bufio.NewReader(stdout)
			line, _ := r.ReadString('\n') // a child that ends early is reported below
			lines <- strings.TrimSpace(line)
			_, _ = io.Copy(logFile, r) // ends with the child
		}()
	}
	go func() {
		copying.Wait()
		p.err = p.cmd.Wait()
		_ = logFile.Close()
		close(p.done)
	}()
	if !wantLine {
		return p, "", nil
	}
	select {
	case line := <-lines:
		if line == "" {
			<-p.done
			return nil, "", p.failed()
		}
		return p, line, nil
	case <-ctx.Done():
		p.stop()
		return nil, "", ctx.Err()
	}
}

// endedError says that a child is gone.
type endedError struct {
	p *process
}

func (e *endedError) Error() string {
	return fmt.Sprintf("%s ended (%v); run make run again, or see the end of %s:\n%s", e.p.name, e.p.err, e.p.log, tail(e.p.log, 3))
}

func (e *endedError) Unwrap() error { return e.p.err }

// failed explains why a child is gone, with the end of its log.
func (p *process) failed() error { return &endedError{p} }

// stop asks the child to end, and kills it when it does not.
func (p *process) stop() {
	select {
	case <-p.done:
		return
	default:
	}
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may just have ended
	select {
	case <-p.done:
	case <-time.After(stopPatience):
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

func tail(path string, n int) string {
	data, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if len(lines) > n {
		lines = lines[len(lines)-n:]
	}
	return "  " + strings.Join(lines, "\n  ")
}
