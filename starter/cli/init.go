package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/charmbracelet/huh"
	"github.com/goccy/go-yaml"
	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/setup"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) initCommand() *cobra.Command {
	in := setup.Defaults()
	var file string
	var yes, force, offline, accessible bool
	cmd := &cobra.Command{
		Use:   "init [FILE]",
		Short: "Write a first configuration by answering questions",
		Long: `init asks for the Qualys platform, the ServiceNow instance, how to log in and the
first schedule, and writes a commented qbridge.yaml. It never asks for a secret:
the file refers to variables or files of the worker, and init says which.

Answers may be given by flags, or as YAML with the flags' names (--answers). With
--yes nothing is asked. When a worker runs, the connections are tested as doctor
does, unless --offline.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			path := "qbridge.yaml"
			if len(args) > 0 {
				path = args[0]
			}
			if _, err := os.Stat(path); err == nil && !force {
				return usage("%s is there already: choose another file, or --force", path)
			}
			given := in // flags
			if file != "" {
				if err := answersOf(file, &in); err != nil {
					return err
				}
				override(cmd, &in, given)
			}
			if !yes {
				if err := a.ask(&in, accessible || !a.Terminal); err != nil {
					return err
				}
			}
			return a.initialise(cmd.Context(), path, in, force, offline)
		},
	}
	f := cmd.Flags()
	for _, q := range setup.Questions() {
		f.StringVar(q.Field(&in), q.Flag, *q.Field(&in), q.Help)
	}
	f.StringVar(&file, "answers", "", "file with answers, as YAML")
	f.BoolVar(&yes, "yes", false, "ask nothing: take the flags and their defaults")
	f.BoolVar(&force, "force", false, "replace the file")
	f.BoolVar(&offline, "offline", false, "do not test the connections")
	f.BoolVar(&accessible, "accessible", false, "ask line by line, for screen readers and pipes")
	return cmd
}

// override puts flags that were given over the answers of a file.
func override(cmd *cobra.Command, in *setup.Answers, given setup.Answers) {
	for _, q := range setup.Questions() {
		if cmd.Flags().Changed(q.Flag) {
			*q.Field(in) = *q.Field(&given)
		}
	}
}

func answersOf(path string, in *setup.Answers) error {
	data, err := os.ReadFile(path) //nolint:gosec // the user's own file
	if err != nil {
		return usage("answers %s: %v", path, cause(err))
	}
	if err := yaml.UnmarshalWithOptions(data, in, yaml.Strict()); err != nil {
		return usage("answers %s: %v", path, strings.SplitN(err.Error(), "\n", 2)[0])
	}
	return nil
}

// ask asks what is to be asked, each question with the answer so far.
func (a *app) ask(in *setup.Answers, accessible bool) error {
	questions := a.Stdout
	if a.output == "json" {
		questions = a.Stderr
	}
	for _, group := range setup.Groups() {
		var fields []huh.Field
		for _, q := range group.Questions {
			if q.Asked != nil && !q.Asked(in) {
				continue
			}
			check := func(s string) error { return q.Check(in, s) }
			if len(q.Choices) > 0 {
				fields = append(fields, huh.NewSelect[string]().Title(q.Title).Description(q.Help).Options(huh.NewOptions(q.Choices...)...).Value(q.Field(in)))
				continue
			}
			fields = append(fields, huh.NewInput().Title(q.Title).Description(q.Help).Value(q.Field(in)).Validate(check))
		}
		if len(fields) == 0 {
			continue
		}
		form := huh.NewForm(huh.NewGroup(fields...).Title(group.Title)).WithAccessible(accessible).WithOutput(questions).WithInput(a.Stdin)
		if accessible {
			form = form.WithInput(oneLine{a.Stdin})
		}
		if err := form.Run(); err != nil {
			if errors.Is(err, huh.ErrUserAborted) {
				return &ExitError{Code: ExitFailed, Err: errors.New("init: nothing was written")}
			}
			return &ExitError{Code: ExitFailed, Err: fmt.Errorf("init: %w", err)}
		}
	}
	return nil
}

// oneLine hands out its input line by line: each question reads with a buffer of
// its own, which must not swallow the answers to the next.
type oneLine struct{ r io.Reader }

func (o oneLine) Read(p []byte) (int, error) {
	for n := range p {
		if _, err := o.r.Read(p[n : n+1]); err != nil {
			return n, err
		}
		if p[n] == '\n' {
			return n + 1, nil
		}
	}
	return len(p), nil
}

// initialised is what `init -o json` prints.
type initialised struct {
	File    string           `json:"file"`
	Secrets []string         `json:"secrets"` // variables or files that the worker needs
	Checks  []contract.Check `json:"checks,omitempty"`
	Tested  bool             `json:"tested"`
}

func (a *app) initialise(ctx context.Context, path string, in setup.Answers, force, offline bool) error {
	if problems := in.Problems(); len(problems) > 0 {
		return usage("%s", strings.Join(problems, "; "))
	}
	document := in.Document()
	cfg, err := config.Decode(filepath.Base(path), []byte(document))
	if err != nil {
		return &ExitError{Code: ExitFailed, Err: err}
	}
	for _, p := range cfg.Validate() {
		return usage("%s", p)
	}
	if err := write(path, document, force); err != nil {
		return &ExitError{Code: ExitFailed, Err: err}
	}
	out := initialised{File: path, Secrets: in.Secrets()}
	if !offline {
		var res contract.PreflightResult
		if err := a.execute(ctx, contract.PreflightWorkflowID("init"), contract.Preflight, contract.PreflightInput{Document: document}, &res); err == nil {
			out.Checks, out.Tested = res.Checks, true
			for _, p := range res.Problems {
				out.Checks = append(out.Checks, contract.Check{Connection: p.Place, Message: p.Message, Remedy: p.Remedy})
			}
		}
	}
	if err := a.print(out, func(p view.Printer) { printInitialised(p, out) }); err != nil {
		return err
	}
	for _, ch := range out.Checks {
		if !ch.OK && !ch.Warning {
			return &ExitError{Code: ExitFailed, Err: fmt.Errorf("%s is written, but a connection does not work yet: mend what is named above, then qbridge doctor %s", path, path)}
		}
	}
	return nil
}

// write writes the file for its owner's eyes.
func write(path, document string, force bool) error {
	flags := os.O_CREATE | os.O_WRONLY | os.O_TRUNC
	if !force {
		flags |= os.O_EXCL
	}
	f, err := os.OpenFile(path, flags, 0o600) //nolint:gosec // the user's own file
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: choose another file, or --force", path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, cause(err))
	}
	_, err = f.WriteString(document)
	return errors.Join(err, f.Close())
}

func printInitialised(p view.Printer, out initialised) {
	p.Line("%s is written", out.File)
	printChecks(p, out.Checks)
	if !out.Tested {
		p.Line("the connections were not tested: `qbridge doctor %s` does it where a worker runs", out.File)
	}
	p.Line("the worker needs: %s", strings.Join(out.Secrets, ", "))
	p.Line("next: qbridge apply %s", out.File)
}
