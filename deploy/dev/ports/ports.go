// Package ports finds ports for servers that are about to start. Between the
// moment a port is found free and the moment its server listens, no other local
// stack of this user gets it, nor does the system for an outgoing connection.
package ports

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
)

// Other ports come from below the range of outgoing connections, on Linux 32768
// and up.
const (
	lowest = 20000
	count  = 10000
	tries  = 200
)

// held are the locks of the reserved ports; the end of the process frees them.
var held struct {
	sync.Mutex
	files []*os.File
}

// Reserve returns the wanted port when it is free, else any free one, and keeps
// it from other processes that reserve for as long as this process lives.
// Zero wants any.
func Reserve(want int) (int, error) {
	if want != 0 && reserve(want) {
		return want, nil
	}
	for range tries {
		if port := lowest + rand.IntN(count); reserve(port) { //nolint:gosec // not a secret
			return port, nil
		}
	}
	return 0, errors.New("no free port on 127.0.0.1")
}

// reserve locks the port's file and tries to listen.
func reserve(port int) bool {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("qbridge-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false
	}
	f, err := os.OpenFile(filepath.Join(dir, fmt.Sprint(port)), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return false
	}
	if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil || !free(port) {
		_ = f.Close()
		return false
	}
	held.Lock()
	defer held.Unlock()
	held.files = append(held.files, f)
	return true
}

func free(port int) bool {
	ln, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return false
	}
	return ln.Close() == nil
}
