package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/samber/lo"
	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/classify"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) rulesCommand() *cobra.Command {
	return group(&cobra.Command{Use: "rules", Short: "Test the rules that choose classes, and see what they cover"},
		a.rulesTestCommand(), a.rulesCoverageCommand(), a.rulesImportCommand())
}

// testsView is what `rules test -o json` prints.
type testsView struct {
	Passed  int                   `json:"passed"`
	Failed  int                   `json:"failed"`
	Results []classify.TestResult `json:"results"`
}

func (a *app) rulesTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE|DIRECTORY|-...",
		Short: "Run the rule tests of a configuration",
		Long: `test runs the ruleTests of a configuration against its rules, laid over the default
ones. A configuration whose rule tests fail cannot be applied. It makes no call, and
the files need hold nothing but rules and ruleTests.

  ruleTests:
    - name: our jump hosts are servers
      asset: {operatingSystem.category1: Windows, name: jump01}
      class: cmdb_ci_win_server

  qbridge rules test qbridge.yaml`,
		Args: some("qbridge.yaml"),
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, _, err := a.load(args)
			if err != nil {
				return err
			}
			results, err := cfg.TestRules()
			if err != nil {
				return &ExitError{Code: ExitUsage, Err: err}
			}
			if len(results) == 0 {
				return usage("%s has no ruleTests", strings.Join(args, ", "))
			}
			shown := testsView{Results: results}
			shown.Failed = lo.CountBy(results, func(r classify.TestResult) bool { return r.Why != "" })
			shown.Passed = len(results) - shown.Failed
			err = a.print(shown, func(p view.Printer) { p.RuleTests(shown.Results) })
			if err == nil && shown.Failed > 0 {
				return &ExitError{Code: ExitFailed}
			}
			return err
		},
	}
}

// coverageView is what `rules coverage -o json` prints.
type coverageView struct {
	Schedule string `json:"schedule"`
	classify.Coverage
	Share float64 `json:"share"`
	// Moves counts the assets that these rules give another class than they had.
	Moves []move `json:"moves,omitempty"`
}

type move struct {
	From   string `json:"from"`
	To     string `json:"to"`
	Assets int64  `json:"assets"`
}

func (a *app) rulesCoverageCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:   "coverage [FILE|DIRECTORY|-...]",
		Short: "See what the rules make of the assets that were seen last",
		Long: `coverage counts the assets of the last snapshot by the rule that decides, and lists
rules that never can, rules that others always come before, and pairs of categories
that no rule knows. With files it shows what the rules of that configuration would
make of the same assets, and which classes would change.

  qbridge rules coverage --schedule servers
  qbridge rules coverage --schedule servers qbridge.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			var active contract.ConfigView
			if err := a.get(cmd.Context(), contract.PathConfig, nil, &active); err != nil {
				return err
			}
			cfg, err := config.Decode("revision "+active.Revision, []byte(active.Document))
			if err != nil {
				return &ExitError{Code: ExitFailed, Err: err}
			}
			sched, err := scheduleOf(cfg, name)
			if err != nil {
				return err
			}
			rules := cfg.Rules
			if len(args) > 0 {
				other, _, err := a.load(args)
				if err != nil {
					return err
				}
				rules = other.Rules
			}
			source, _ := lo.Find(cfg.Qualys, func(q config.Qualys) bool { return q.Name == sched.Source })
			set, err := classify.Compile(classify.For(source.API, rules))
			if err != nil {
				return &ExitError{Code: ExitUsage, Err: err}
			}
			out, err := a.coverage(cmd.Context(), sched, set)
			if err != nil {
				return err
			}
			return a.print(out, func(p view.Printer) {
				p.Coverage(&out.Coverage)
				for _, m := range out.Moves {
					p.Line("%d × %s becomes %s", m.Assets, orDash(m.From), orDash(m.To))
				}
			})
		},
	}
	cmd.Flags().StringVar(&name, "schedule", "", "schedule whose assets are meant (default: the only one)")
	return cmd
}

// coverage asks for the snapshot page by page.
func (a *app) coverage(ctx context.Context, sched config.Schedule, set *classify.Set) (coverageView, error) {
	opts := classify.Options{IPOnly: sched.Fallback.IPOnly}
	counter := classify.NewCounter(set, opts)
	moves := map[move]int64{}
	q := url.Values{"schedule": {sched.Name}}
	for {
		var page contract.InputsPage
		if err := a.get(ctx, contract.PathInputs, q, &page); err != nil {
			return coverageView{}, err
		}
		for i := range page.Assets {
			in := &page.Assets[i]
			counter.Add(&in.Inputs)
			if d := set.Classify(&in.Inputs, opts); d.Class != in.Class {
				moves[move{From: in.Class, To: d.Class}]++
			}
		}
		if page.Next == "" {
			break
		}
		q.Set("after", page.Next)
	}
	out := coverageView{Schedule: sched.Name, Coverage: counter.Coverage()}
	out.Share = out.Coverage.Share()
	for m, n := range moves {
		m.Assets = n
		out.Moves = append(out.Moves, m)
	}
	slices.SortFunc(out.Moves, func(a, b move) int {
		return cmp.Or(cmp.Compare(b.Assets, a.Assets), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	if out.Assets == 0 {
		return out, &ExitError{Code: ExitFailed, Err: errors.New("schedule " + sched.Name + " has seen no assets yet: run it first (qbridge run start " + sched.Name + " --wait)")}
	}
	return out, nil
}

// scheduleOf returns a schedule by name, or the only one.
func scheduleOf(cfg *config.Config, name string) (config.Schedule, error) {
	names := lo.Map(cfg.Schedules, func(s config.Schedule, _ int) string { return s.Name })
	if name == "" && len(names) == 1 {
		return cfg.Schedules[0], nil
	}
	s, ok := lo.Find(cfg.Schedules, func(s config.Schedule) bool { return s.Name == name })
	if !ok {
		return s, usage("name a schedule with --schedule: %s", strings.Join(names, ", "))
	}
	return s, nil
}

func orDash(s string) string {
	if s == "" {
		return "no class"
	}
	return s
}

// rulesImport is what `rules import -o json` prints.
type rulesImport struct {
	Rules  classify.Tables     `json:"rules"`
	Report []classify.Imported `json:"report"`
	Counts map[string]int      `json:"counts"`
}

func (a *app) rulesImportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "import FILE.csv",
		Short: "Turn the class rules of another connector into ours",
		Long: `import reads a CSV of class rules that was exported from ServiceNow's Service Graph
Connector for Qualys (Hardware, Computer and Asset Management CI rules) or from
Qualys' CMDB app (CI Class Mappings), and prints them as the rules: of a
configuration, with a report on standard error. A rule that is not understood for
certain is left out and named with its line; it is never guessed.`,
		Args: one("rules.csv"),
		RunE: func(_ *cobra.Command, args []string) error {
			data, err := a.read(args[0])
			if err != nil {
				return usage("rules %s: %v", args[0], cause(err))
			}
			var res rulesImport
			if res.Rules, res.Report, err = classify.ImportCSV(data); err != nil {
				return usage("%s: %v", args[0], strings.TrimPrefix(err.Error(), "classify: "))
			}
			res.Counts = lo.CountValuesBy(res.Report, func(r classify.Imported) string { return r.Result })
			if a.output == "json" {
				return a.print(res, nil)
			}
			return a.writeImport(out, &res)
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "file to write (default: standard output)")
	return cmd
}

// writeImport writes the rules as YAML, and the report beside it.
func (a *app) writeImport(out string, res *rulesImport) error {
	doc, err := yaml.Marshal(map[string]any{"rules": res.Rules})
	if err != nil {
		return &ExitError{Code: ExitFailed, Err: err}
	}
	if out == "" {
		_, err = a.Stdout.Write(doc)
	} else {
		err = write(out, string(doc), false)
	}
	if err != nil {
		return &ExitError{Code: ExitFailed, Err: err}
	}
	p := view.New(a.Stderr, false)
	rows := [][]string{}
	for _, r := range res.Report {
		rows = append(rows, []string{fmt.Sprint(r.Line), r.Name, r.Result, r.Rule, r.Why})
	}
	p.Rows([]string{"LINE", "NAME", "RESULT", "RULE", "WHY"}, rows)
	var counts []string
	for _, k := range slices.Sorted(maps.Keys(res.Counts)) {
		counts = append(counts, fmt.Sprintf("%d %s", res.Counts[k], k))
	}
	p.Line("%s", strings.Join(counts, ", "))
	return nil
}
