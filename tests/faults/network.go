//go:build faults

package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// network connects clients with servers by pipes: real HTTP without sockets, as
// virtual time passes only while nobody waits for the system.
type network struct {
	mu        sync.Mutex
	listeners map[string]*listener
	servers   []*http.Server
}

func newNetwork() *network { return &network{listeners: map[string]*listener{}} }

// serve lets a handler answer at a host.
func (n *network) serve(host string, h http.Handler) {
	l := &listener{conns: make(chan net.Conn), closed: make(chan struct{}), host: host}
	s := &http.Server{Handler: h, ErrorLog: silent()} //nolint:gosec // pipes in one process
	n.mu.Lock()
	n.listeners[host], n.servers = l, append(n.servers, s)
	n.mu.Unlock()
	go func() { _ = s.Serve(l) }() // ends with close
}

func (n *network) close() error {
	var errs []error
	for _, s := range n.servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

// dial opens a connection to a host.
func (n *network) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	l := n.listeners[host]
	n.mu.Unlock()
	if l == nil {
		return nil, fmt.Errorf("no such host %s", host)
	}
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, errors.New("connection refused")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// client returns a client of the network for what is not under test.
func (n *network) transport() *http.Transport {
	return &http.Transport{DialContext: n.dial, MaxIdleConnsPerHost: 16, DisableCompression: true}
}

type listener struct {
	conns  chan net.Conn
	host   string
	once   sync.Once
	closed chan struct{}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

func (l *listener) Addr() net.Addr { return address(l.host) }

type address string

func (a address) Network() string { return "pipe" }
func (a address) String() string  { return string(a) }
