package ports_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/deploy/dev/ports"
)

func TestATakenPortGivesAnother(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = ln.Close() }()
	taken := ln.Addr().(*net.TCPAddr).Port
	got, err := ports.Reserve(taken)
	require.NoError(t, err)
	require.NotEqual(t, taken, got)
}

// Processes that want the same port at once get different ones.
func TestProcessesNeverShareAPort(t *testing.T) {
	if want := os.Getenv("PORTS_TEST_WANT"); want != "" {
		var port int
		_, err := fmt.Sscan(want, &port)
		require.NoError(t, err)
		for range 20 {
			port, err := ports.Reserve(port)
			require.NoError(t, err)
			fmt.Println("PORT", port)
		}
		_, _ = os.Stdin.Read(make([]byte, 1)) // holds them until all are done
		return
	}
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	want, err := ports.Reserve(0)
	require.NoError(t, err)
	var mu sync.Mutex
	seen := map[string]int{fmt.Sprint("PORT ", want): 1}
	var wg sync.WaitGroup
	for range 4 {
		cmd := exec.Command(self, "-test.run=^TestProcessesNeverShareAPort$")
		cmd.Env = append(os.Environ(), fmt.Sprint("PORTS_TEST_WANT=", want))
		in, err := cmd.StdinPipe()
		require.NoError(t, err)
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		wg.Add(1)
		t.Cleanup(func() {
			_ = in.Close()
			_ = cmd.Wait()
		})
		go func() {
			defer wg.Done()
			for n := 0; n < 20; {
				var word, port string
				if _, err := fmt.Fscan(out, &word, &port); err != nil {
					return
				}
				if strings.HasPrefix(word, "PORT") {
					mu.Lock()
					seen["PORT "+port]++
					mu.Unlock()
					n++
				}
			}
		}()
	}
	wg.Wait()
	require.Len(t, seen, 81)
	for port, n := range seen {
		require.Equal(t, 1, n, port)
	}
}
