// Package run is the simulators' command apart from the process: it reads flags, builds both simulators, listens, and
// serves until its context ends. Tests call Main with buffers.
package run

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/qbridge/qbridge/tests/sim/qualys"
	"github.com/qbridge/qbridge/tests/sim/servicenow"
)

// Ready is the line that is printed when both simulators listen.
type Ready struct {
	Qualys     QualysAccess     `json:"qualys"`
	ServiceNow ServiceNowAccess `json:"servicenow"`
}

// QualysAccess is what a client of the subscription needs. Both addresses are the same server.
type QualysAccess struct {
	APIURL     string `json:"apiUrl"`
	GatewayURL string `json:"gatewayUrl"`
	Username   string `json:"username"`
	Password   string `json:"password"`
}

// ServiceNowAccess is what a client of the instance needs.
type ServiceNowAccess struct {
	URL             string `json:"url"`
	Username        string `json:"username"`
	Password        string `json:"password"`
	ClientID        string `json:"clientId"`
	ClientSecret    string `json:"clientSecret"`
	DiscoverySource string `json:"discoverySource"`
}

// Exit codes of Main.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// stopWithin bounds how long calls in flight may finish after the signal.
const stopWithin = 2 * time.Second

// Main runs the command and returns its exit code: 0 stopped as asked, 1 could not listen or serve, 2 wrong flags.
func Main(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	if err != nil {
		return exitUsage
	}
	err = s.serve(ctx, stdout, stderr)
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		_, _ = fmt.Fprintln(stderr, err)
		return exitUsage
	case err != nil:
		_, _ = fmt.Fprintln(stderr, err)
		return exitFailed
	}
	return exitDone
}

// usageError is a setting that the simulators refused.
type usageError struct{ err error }

func (u *usageError) Error() string { return "sim: " + u.err.Error() }
func (u *usageError) Unwrap() error { return u.err }

// serve builds, listens, announces and waits.
func (s *settings) serve(ctx context.Context, stdout, stderr io.Writer) (err error) {
	s.qualys.Warn = func(line string) { _, _ = fmt.Fprintln(stderr, line) }
	subscription, err := qualys.New(s.qualys)
	if err != nil {
		return &usageError{err}
	}
	defer func() { err = errors.Join(err, subscription.Close()) }()
	instance, err := servicenow.New(s.servicenow)
	if err != nil {
		return &usageError{err}
	}
	defer func() { err = errors.Join(err, instance.Close()) }()

	first, err := net.Listen("tcp", s.qualysAddr)
	if err != nil {
		return fmt.Errorf("sim: listen for Qualys: %w", err)
	}
	second, err := net.Listen("tcp", s.servicenowAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("sim: listen for ServiceNow: %w", err), first.Close())
	}
	qualysServer, servicenowServer := server(subscription.Handler()), server(instance.Handler())
	failed := make(chan error, 2)
	go func() { failed <- qualysServer.Serve(first) }()
	go func() { failed <- servicenowServer.Serve(second) }()

	if err := s.announce(stdout, first.Addr(), second.Addr()); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	for _, srv := range []*http.Server{qualysServer, servicenowServer} {
		if srv.Shutdown(stop) != nil {
			_ = srv.Close()
		}
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("sim: serve: %w", err)
	}
	return nil
}

// server has no write timeout: slow answers are among the things that are simulated.
func server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 30 * time.Second}
}

// announce prints the one line on stdout.
func (s *settings) announce(stdout io.Writer, first, second net.Addr) error {
	line := Ready{
		Qualys: QualysAccess{
			APIURL: "http://" + first.String(), GatewayURL: "http://" + first.String(),
			Username: s.qualys.Username, Password: s.qualys.Password,
		},
		ServiceNow: ServiceNowAccess{
			URL: "http://" + second.String(), Username: s.servicenow.Username, Password: s.servicenow.Password,
			ClientID: s.servicenow.ClientID, ClientSecret: s.servicenow.ClientSecret, DiscoverySource: s.servicenow.DiscoverySource,
		},
	}
	out := json.NewEncoder(stdout)
	out.SetEscapeHTML(false)
	if err := out.Encode(line); err != nil {
		return fmt.Errorf("sim: announce: %w", err)
	}
	return nil
}
