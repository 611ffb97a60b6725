// Package cli is the qbridge command line. Commands take an Env and never touch
// the process, so that tests run them in process.
//
//	bin/qbridge ─┬─▶ Temporal: start, signal, update, schedules
//	             └─▶ the worker's read API: runs, assets, explain
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"
	"go.temporal.io/sdk/client"

	"github.com/qbridge/qbridge/starter/view"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailed  = 1
	ExitUsage   = 2 // usage or configuration
	ExitPartial = 3 // finished with failed records or an incomplete enumeration
	ExitDrift   = 4
)

// Env is what a command may use of the outside world.
type Env struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(string) string
	Environment    func() []string // all variables, as os.Environ; may be nil
	Now            func() time.Time
	Terminal       bool // Stdout is a terminal
	// Patience is how long a worker that has just started may take to poll.
	Patience time.Duration
	HTTP     *http.Client
	// Dial connects to Temporal.
	Dial func(ctx context.Context, o client.Options) (client.Client, error)
	// DevFile is where the local stack writes its addresses.
	DevFile string
}

// System is the environment of the process.
func System() Env {
	return Env{
		Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, Getenv: os.Getenv, Environment: os.Environ, Now: time.Now, Patience: 10 * time.Second,
		Terminal: isatty.IsTerminal(os.Stdout.Fd()),
		HTTP:     &http.Client{Timeout: 60 * time.Second},
		Dial:     client.DialContext,
		DevFile:  "var/dev.json",
	}
}

// ExitError carries an exit code and what to print, which may be nothing.
type ExitError struct {
	Code int
	Err  error
}

func (e *ExitError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("exit code %d", e.Code)
	}
	return e.Err.Error()
}

func (e *ExitError) Unwrap() error { return e.Err }

func usage(format string, args ...any) error {
	return &ExitError{Code: ExitUsage, Err: fmt.Errorf(format, args...)}
}

// app is one invocation.
type app struct {
	Env
	output string // table | json
}

// Main runs a command line and returns the exit code.
func Main(ctx context.Context, env Env, args []string) int {
	cmd := New(env)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return ExitOK
	}
	var exit *ExitError
	if !errors.As(err, &exit) {
		exit = &ExitError{Code: ExitUsage, Err: err} // cobra's own errors are about usage
	}
	if exit.Err != nil {
		fmt.Fprintln(env.Stderr, "qbridge:", view.Clean(exit.Err.Error()))
	}
	return exit.Code
}

// New returns the root command.
func New(env Env) *cobra.Command {
	a := &app{Env: env}
	root := &cobra.Command{
		Use:   "qbridge",
		Short: "Keep the Qualys inventory and the ServiceNow CMDB in step",
		Long: `qbridge keeps the Qualys asset inventory and the ServiceNow CMDB in step, as
durable workflows on Temporal. This command applies configurations, starts and
watches runs, and explains what happened to an asset.

It finds Temporal through TEMPORAL_ADDRESS and the worker through QBRIDGE_URL;
beside a running local stack (make run) it needs neither.

Exit codes: 0 done, 1 failed, 2 usage or configuration, 3 finished with failed
records, 4 drift.`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.output != "table" && a.output != "json" {
				return usage("-o is %q: use table or json", a.output)
			}
			return nil
		},
	}
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.PersistentFlags().StringVarP(&a.output, "output", "o", "table", "table or json")
	root.AddCommand(a.initCommand(), a.validateCommand(), a.applyCommand(), a.diffCommand(), a.doctorCommand(), a.runCommand(), a.scheduleCommand(), a.exportCommand(), a.tagsCommand(), a.schemaCommand(), a.assetCommand(), a.certificatesCommand(), a.adoptCommand(), a.stagedCommand(), a.auditCommand(), a.rulesCommand(), a.mappingCommand(), a.versionCommand())
	return root
}

// print writes a value as JSON, or calls table.
func (a *app) print(v any, table func(p view.Printer)) error {
	p := view.New(a.Stdout, a.Terminal).WithClock(a.Now)
	if a.output == "json" {
		return p.JSON(v)
	}
	table(p)
	return nil
}
