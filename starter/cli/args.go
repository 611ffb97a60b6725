package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/samber/lo"
	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// one asks for exactly one argument, named as in the command's usage.
func one(example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 && strings.TrimSpace(args[0]) != "" {
			return nil
		}
		_, name, _ := strings.Cut(cmd.Use, " ")
		return usage("%s takes one argument, %s: %s", cmd.CommandPath(), name, example)
	}
}

// some asks for at least one argument.
func some(example string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return nil
		}
		_, name, _ := strings.Cut(cmd.Use, " ")
		return usage("%s needs %s: %s", cmd.CommandPath(), name, example)
	}
}

// group is a command that only has sub-commands.
func group(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(subs...)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		names := lo.Map(cmd.Commands(), func(c *cobra.Command, _ int) string { return c.Name() })
		return usage("unknown command %q for %s; did you mean %q?", args[0], cmd.CommandPath(), classify.Nearest(args[0], names))
	}
	return cmd
}

// known returns the kind of a schedule, and fails for one that the active
// configuration does not have. A worker that cannot be asked leaves the answer to
// the run itself.
func (a *app) known(ctx context.Context, schedule string) (kind string, err error) {
	var active contract.ConfigView
	if err := a.get(ctx, contract.PathConfig, nil, &active); err != nil {
		if strings.Contains(err.Error(), "no configuration is active") {
			return "", &ExitError{Code: ExitFailed, Err: errors.New("no configuration is active: run qbridge apply FILE first")}
		}
		return "", nil
	}
	cfg, err := config.Decode("active configuration", []byte(active.Document))
	if err != nil {
		return "", nil //nolint:nilerr // the worker may be newer than this command; it decides
	}
	if s, ok := lo.Find(cfg.Schedules, func(s config.Schedule) bool { return s.Name == schedule }); ok {
		return s.Kind, nil
	}
	names := lo.Map(cfg.Schedules, func(s config.Schedule, _ int) string { return s.Name })
	return "", &ExitError{Code: ExitUsage, Err: fmt.Errorf("there is no schedule %q; revision %s has %s", schedule, active.Revision, strings.Join(names, ", "))}
}
