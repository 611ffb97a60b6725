package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/starter/schedule"
	"github.com/qbridge/qbridge/starter/view"
	"github.com/qbridge/qbridge/workflows/contract"
)

func (a *app) diffCommand() *cobra.Command {
	var prune bool
	cmd := &cobra.Command{
		Use:   "diff FILE|DIRECTORY|-...",
		Short: "Show what apply would change, and what was changed by hand",
		Long: `diff compares a configuration with the active revision and with the schedules in
Temporal. It changes nothing. A schedule that somebody changed by hand is drift:
exit code 4, and apply mends it.`,
		Args: some("qbridge.yaml"),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, _, err := a.valid(args)
			if err != nil {
				return err
			}
			return a.diff(cmd.Context(), cfg, prune)
		},
	}
	cmd.Flags().BoolVar(&prune, "prune", false, "as apply --prune would do")
	return cmd
}

// difference is what `diff -o json` prints. Schedules that stay are left out.
type difference struct {
	Revision  string            `json:"revision,omitempty"` // the active one
	Document  []string          `json:"document"`           // what changes in it
	Schedules []schedule.Change `json:"schedules"`
	Drift     bool              `json:"drift"`
}

func (a *app) diff(ctx context.Context, cfg *config.Config, prune bool) error {
	active, revision, err := a.activeConfig(ctx)
	if err != nil {
		return err
	}
	out := difference{Revision: revision, Schedules: []schedule.Change{}}
	if out.Document, err = changesOf(active, cfg); err != nil {
		return err
	}
	c, err := a.temporal(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	plan, err := schedule.Plan(ctx, c.ScheduleClient(), cfg, prune)
	if err != nil {
		return failed("read schedules", err)
	}
	for _, ch := range plan {
		if ch.Verb != schedule.Unchanged || ch.Held != "" {
			out.Schedules = append(out.Schedules, ch)
		}
	}
	out.Drift = schedule.Drifted(plan)
	if err := a.print(out, func(p view.Printer) { printDifference(p, out) }); err != nil {
		return err
	}
	if out.Drift {
		return &ExitError{Code: ExitDrift}
	}
	return nil
}

// activeConfig reads the active revision; there may be none.
func (a *app) activeConfig(ctx context.Context) (*config.Config, string, error) {
	var v contract.ConfigView
	err := a.get(ctx, contract.PathConfig, nil, &v)
	if notFound(err) {
		empty, err := config.Decode("empty", nil)
		return empty, "", err
	}
	if err != nil {
		return nil, "", err
	}
	cfg, err := config.Decode("revision "+v.Revision, []byte(v.Document))
	if err != nil {
		return nil, "", &ExitError{Code: ExitFailed, Err: fmt.Errorf("the active revision cannot be read: %w", err)}
	}
	return cfg, v.Revision, nil
}

func printDifference(p view.Printer, d difference) {
	switch {
	case d.Revision == "":
		p.Line("no revision is active; apply would store:")
	case len(d.Document) == 0:
		p.Line("revision %s: no change", d.Revision)
	default:
		p.Line("revision %s would be replaced:", d.Revision)
	}
	for _, l := range d.Document {
		p.Line("  %s", l)
	}
	if len(d.Schedules) == 0 {
		p.Line("Temporal schedules: no change")
		return
	}
	p.Line("Temporal schedules:")
	for _, ch := range d.Schedules {
		why := strings.Join(ch.Why, "; ")
		switch {
		case ch.Verb == schedule.Mend:
			p.Line("  %-10s %s: changed by hand: %s", "drift", ch.Name, why)
		case ch.Held != "":
			p.Line("  %-10s %s: %s; apply leaves it so", "held", ch.Name, ch.Held)
		case why == "":
			p.Line("  %-10s %s", ch.Verb, ch.Name)
		default:
			p.Line("  %-10s %s: %s", ch.Verb, ch.Name, why)
		}
	}
}

// changesOf tells in words what differs between two documents, defaults
// included, so that a default that is spelled out is no change.
func changesOf(before, after *config.Config) ([]string, error) {
	b, err := tree(before)
	if err != nil {
		return nil, err
	}
	w, err := tree(after)
	if err != nil {
		return nil, err
	}
	out := []string{}
	walk("", b, w, &out)
	return out, nil
}

// tree is a document as maps; lists whose elements have a name or an id become
// maps by it, so that their order is no change.
func tree(c *config.Config) (any, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return byName(v), nil
}

func byName(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			v[k] = byName(e)
		}
	case []any:
		named := map[string]any{}
		for _, e := range v {
			m, ok := e.(map[string]any)
			if !ok {
				return v
			}
			key, ok := m["name"].(string)
			if !ok {
				if key, ok = m["id"].(string); !ok {
					return v
				}
			}
			named[key] = byName(m)
		}
		return named
	}
	return v
}

// walk compares two trees. The elements of a list are shown as a whole when they
// come or go, and key by key when they change.
func walk(path string, before, after any, out *[]string) {
	b, bIsMap := before.(map[string]any)
	w, wIsMap := after.(map[string]any)
	if !bIsMap && !wIsMap || path != "" && strings.Count(path, ".") >= 1 && (before == nil || after == nil) {
		leaf(path, before, after, out)
		return
	}
	keys := maps.Clone(b)
	if keys == nil {
		keys = map[string]any{}
	}
	maps.Copy(keys, w)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		p := k
		if path != "" {
			p = path + "." + k
		}
		walk(p, b[k], w[k], out)
	}
}

func leaf(path string, before, after any, out *[]string) {
	x, y := text(before), text(after)
	switch {
	case x == y:
	case before == nil:
		*out = append(*out, "+ "+path+": "+y)
	case after == nil:
		*out = append(*out, "- "+path+": "+x)
	default:
		*out = append(*out, "~ "+path+": "+x+" → "+y)
	}
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}
