package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/domain/qql"
	"github.com/qbridge/qbridge/starter/view"
)

func (a *app) validateCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "validate FILE|DIRECTORY|-...",
		Short: "Check a configuration without applying it",
		Long: `validate checks a configuration: keys, values, references between its parts, rules.
It makes no call and needs neither Temporal nor a worker.`,
		Args: some("qbridge.yaml"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, _, err := a.load(args)
			if err != nil {
				return err
			}
			problems := cfg.Validate()
			shown := validity(problems)
			shown.Filters = a.filters(cfg)
			if len(problems) == 0 {
				shown.Warnings = views(cfg.Warnings())
			}
			err = a.print(shown, func(p view.Printer) {
				for _, pr := range problems {
					p.Line("%s", pr)
				}
				for _, w := range shown.Warnings {
					p.Line("warning: %s", config.Problem(w))
				}
				for _, f := range shown.Filters {
					p.Line("filter of %s: %s", f.Schedule, f.Split)
				}
				if len(problems) == 0 {
					p.Line("valid: %s, %s, %s", count(len(cfg.Qualys), "source"), count(len(cfg.ServiceNow), "target"), count(len(cfg.Schedules), "schedule"))
				}
			})
			if err == nil && len(problems) > 0 {
				return &ExitError{Code: ExitUsage}
			}
			return err
		},
	}
}

// problemView is a problem of a configuration as JSON shows it.
type problemView struct {
	Place   string `json:"place"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
}

// validityView is what `validate -o json` prints.
type validityView struct {
	Valid    bool          `json:"valid"`
	Problems []problemView `json:"problems"`
	Warnings []problemView `json:"warnings,omitempty"`
	Filters  []filterView  `json:"filters,omitempty"`
}

// filterView says what Qualys decides of a schedule's filter, and what qbridge
// decides on each asset.
type filterView struct {
	Schedule string `json:"schedule"`
	Split    string `json:"split"`
}

// filters splits the filters of a configuration. Relative dates are shown as they
// would be now.
func (a *app) filters(cfg *config.Config) []filterView {
	var out []filterView
	for _, s := range cfg.Schedules {
		q, err := qql.Parse(s.Filter)
		if s.Filter == "" || err != nil { // a problem, told as such
			continue
		}
		push := !slices.ContainsFunc(cfg.Qualys, func(q config.Qualys) bool { return q.Name == s.Source && q.API == config.APIAM })
		out = append(out, filterView{Schedule: s.Name, Split: q.Plan(push, a.Now()).String()})
	}
	return out
}

func validity(problems []config.Problem) validityView {
	return validityView{Valid: len(problems) == 0, Problems: views(problems)}
}

func views(problems []config.Problem) []problemView {
	out := make([]problemView, 0, len(problems))
	for _, p := range problems {
		out = append(out, problemView(p))
	}
	return out
}

func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// valid loads a configuration and refuses one that has problems, each on a line
// with its remedy.
func (a *app) valid(paths []string) (*config.Config, []byte, error) {
	cfg, doc, err := a.load(paths)
	if err != nil {
		return nil, nil, err
	}
	problems := cfg.Validate()
	if len(problems) == 0 {
		return cfg, doc, nil
	}
	if a.output == "json" {
		if err := a.print(validity(problems), nil); err != nil {
			return nil, nil, err
		}
		return nil, nil, &ExitError{Code: ExitUsage}
	}
	for _, p := range problems {
		fmt.Fprintln(a.Stderr, "qbridge:", view.Clean(p.String()))
	}
	return nil, nil, &ExitError{Code: ExitUsage}
}

// load reads and merges configuration files; a directory stands for its *.yaml
// and *.yml files, "-" for standard input. It returns the document to apply: the
// author's own text when there is one file, so that comments are kept.
func (a *app) load(paths []string) (*config.Config, []byte, error) {
	files, err := filesOf(paths)
	if err != nil {
		return nil, nil, err
	}
	docs := make([]*config.Config, 0, len(files))
	var raw []byte
	for _, f := range files {
		if raw, err = a.read(f); err != nil {
			return nil, nil, usage("configuration %s: %v", f, cause(err))
		}
		doc, err := config.Decode(f, raw)
		if err != nil {
			return nil, nil, &ExitError{Code: ExitUsage, Err: err}
		}
		docs = append(docs, doc)
	}
	if len(docs) == 1 {
		return docs[0], raw, nil
	}
	merged := config.Merge(docs...)
	raw, err = config.Canonical(merged)
	return merged, raw, err
}

// stdin is the path that stands for standard input.
const stdin = "-"

// mostConfig bounds a configuration file.
const mostConfig = 16 << 20

func (a *app) read(path string) ([]byte, error) {
	if path == stdin {
		return io.ReadAll(io.LimitReader(a.Stdin, mostConfig))
	}
	return os.ReadFile(path)
}

// filesOf lists the files that paths stand for, each once, in order of name.
func filesOf(paths []string) ([]string, error) {
	var files []string
	for _, p := range paths {
		if p == stdin {
			files = append(files, p)
			continue
		}
		info, err := os.Stat(p)
		if err != nil {
			return nil, usage("configuration %s: %v", p, cause(err))
		}
		if !info.IsDir() {
			files = append(files, filepath.Clean(p))
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if ext := filepath.Ext(path); err == nil && !d.IsDir() && (ext == ".yaml" || ext == ".yml") {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, usage("configuration %s: %v", p, cause(err))
		}
	}
	if len(files) == 0 {
		return nil, usage("no *.yaml file in %s", strings.Join(paths, ", "))
	}
	slices.Sort(files)
	return slices.Compact(files), nil
}

// cause is an error of the file system without its path, which we print anyway.
func cause(err error) error {
	if e := errors.Unwrap(err); e != nil {
		return e
	}
	return err
}
