package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"strconv"

	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/tests/load/cost"
	"github.com/qbridge/qbridge/workflows/contract"
)

// loadOptions are the flags of `make load`.
type loadOptions struct {
	assets         int
	config, lean   string
	dir, out       string
	page, ire, per int // milliseconds of the simulated servers
}

// load measures a first load, an unchanged run, a run with two per cent changed,
// and a first load from servers that take their time.
func load(ctx context.Context, o loadOptions) error {
	s := stack{assets: o.assets, config: o.config, dir: o.dir, fresh: true}
	var rows []row
	if err := s.run(ctx, func(ctx context.Context, l *live) error {
		r, err := firstLoad(ctx, l)
		rows = append(rows, r...)
		return err
	}); err != nil {
		return fmt.Errorf("first load: %w", err)
	}
	rows = append(rows, growth(o, rows)...)
	s.fresh = false
	if err := s.run(ctx, func(ctx context.Context, l *live) error {
		r, err := later(ctx, l, o)
		rows = append(rows, r...)
		return err
	}); err != nil {
		return fmt.Errorf("second run: %w", err)
	}
	slow, _, err := wall(ctx, o)
	if err != nil {
		return fmt.Errorf("first load from slow servers: %w", err)
	}
	rows = append(rows, slow...)
	about := map[string]any{"assets": o.assets}
	if err := report(os.Stdout, o.out, about, rows); err != nil {
		return err
	}
	return report(discard{}, sized(o.out, o.assets), about, rows)
}

// sized is the file that keeps the figures of one size for comparison.
func sized(out string, assets int) string {
	return fmt.Sprintf("%s-%d.json", out[:len(out)-len(filepath.Ext(out))], assets)
}

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

const peakFigure = "first load: peak memory of the worker"

// firstLoad are the figures of a first load.
func firstLoad(ctx context.Context, l *live) ([]row, error) {
	res, thousands := l.first, float64(l.first.Fetched)/1000
	spent, err := l.cost(ctx, &res)
	if err != nil {
		return nil, err
	}
	qualys, serviceNow, err := l.calls(ctx)
	if err != nil {
		return nil, err
	}
	rows := []row{
		plain("first load: wall time", res.DurationSeconds, "s"),
		plain("first load: assets per second", float64(res.Fetched)/res.DurationSeconds, "1/s"),
		most(peakFigure, 200, 120, l.peak, "MB"),
	}
	rows = append(rows, history("first load", spent, thousands)...)
	return append(rows,
		most("first load: calls to Qualys", pagesOf(res.Fetched)+2, pagesOf(res.Fetched)+1, float64(res.VendorCalls["qualys"]), ""),
		plain("first load: IRE calls", serviceNow.of("ire.enhanced"), ""),
		plain("first load: items in IRE calls", float64(serviceNow.Items["ire.enhanced"]), ""),
		plain("first load: assets that Qualys served", float64(qualys.Items["search.asset"]), ""),
		most("first load: failed assets", 0, 0, float64(res.Failed), ""),
	), nil
}

// history are the figures of a run on the Temporal server.
func history(name string, c cost.Cost, thousands float64) []row {
	return []row{
		most(name+": history events per 1,000 assets", 70, 20, float64(c.Events)/thousands, ""),
		most(name+": history bytes per 1,000 assets", 10_000, 2_500, float64(c.Bytes)/thousands, "B"),
		most(name+": billable actions per 1,000 assets", 15, 4, float64(c.Actions)/thousands, ""),
		most(name+": largest payload", 64<<10, 64<<10, float64(c.Payload), "B"),
		plain(name+": runs that continued as new", float64(c.Runs-1), ""),
	}
}

// later are the figures of an unchanged run, of an incremental one, and of one with
// two per cent changed.
func later(ctx context.Context, l *live, o loadOptions) ([]row, error) {
	_, before, err := l.calls(ctx)
	if err != nil {
		return nil, err
	}
	rows := []row{
		plain("second run: wall time", l.first.DurationSeconds, "s"),
		most("second run: peak memory of the worker", 200, 120, l.peak, "MB"),
		most("second run: assets written", 0, 0, float64(l.first.Created+l.first.Updated), ""),
		most("second run: IRE calls", 0, 0, before.of("ire.enhanced"), ""),
	}
	delta, err := l.sync(ctx, contract.RunInput{})
	if err != nil {
		return nil, err
	}
	rows = append(rows, most("incremental run, nothing changed: calls to Qualys", 3, 3, float64(delta.VendorCalls["qualys"]), ""))
	changed := max(1, o.assets/50)
	if err := control(ctx, http.MethodPost, l.Simulators.Qualys+"/_sim/mutate?k="+strconv.Itoa(changed), nil); err != nil {
		return nil, err
	}
	res, err := l.sync(ctx, contract.RunInput{})
	if err != nil {
		return nil, err
	}
	_, after, err := l.calls(ctx)
	if err != nil {
		return nil, err
	}
	items := float64(after.Items["ire.enhanced"] - before.Items["ire.enhanced"])
	must := math.Ceil(items/itemsPerCall) + pagesOf(res.Fetched)
	return append(rows,
		plain("2 % changed: assets read", float64(res.Fetched), ""),
		plain("2 % changed: items in IRE calls", items, ""),
		most("2 % changed: IRE calls, against ⌈items/50⌉ and one per page", must, must, after.of("ire.enhanced")-before.of("ire.enhanced"), ""),
	), nil
}

// itemsPerCall is the size of a payload that the target for changes assumes.
const itemsPerCall = 50

// growth compares the memory with that of a quarter of the assets, where that was
// measured before.
func growth(o loadOptions, rows []row) []row {
	var quarter struct {
		Rows []row `json:"rows"`
	}
	if read(sized(o.out, o.assets/4), &quarter) != nil {
		return nil
	}
	peak := func(rows []row) float64 {
		for _, r := range rows {
			if r.Figure == peakFigure && r.Measured != nil {
				return *r.Measured
			}
		}
		return 0
	}
	if peak(quarter.Rows) == 0 {
		return nil
	}
	return []row{most(fmt.Sprintf("%s, against that of %d assets", peakFigure, o.assets/4), 1.1, 1, peak(rows)/peak(quarter.Rows), "×")}
}

func pagesOf(assets int64) float64 { return float64((assets + 299) / 300) }

// wall measures a first load from servers that take their time against the least
// time that such servers allow: K = 1 cursor reads, W lanes write, both at once.
func wall(ctx context.Context, o loadOptions) ([]row, float64, error) {
	s := stack{assets: o.assets, config: o.lean, dir: o.dir, fresh: true, flags: latency(o)}
	var rows []row
	seconds := 0.0
	err := s.run(ctx, func(ctx context.Context, l *live) error {
		_, serviceNow, err := l.calls(ctx)
		if err != nil {
			return err
		}
		seconds = l.first.DurationSeconds
		read := float64(l.first.Pages) * float64(o.page) / 1000
		write := (serviceNow.of("ire.enhanced")*float64(o.ire) + float64(serviceNow.Items["ire.enhanced"])*float64(o.per)) / 1000 / float64(config.Defaults.Lanes)
		rows = []row{
			plain(fmt.Sprintf("%d ms per page, %d + %d ms per item: wall time of %d assets", o.page, o.ire, o.per, o.assets), seconds, "s"),
			plain("the least that these servers allow: reading", read, "s"),
			plain("the least that these servers allow: writing", write, "s"),
			most("wall time against the least", 1.15, 1.05, seconds/max(read, write), "×"),
		}
		return nil
	})
	return rows, seconds, err
}

// latency are the flags of simulated servers that take their time.
func latency(o loadOptions) []string {
	return []string{"--page-latency", fmt.Sprintf("%dms", o.page), "--ire-latency", fmt.Sprintf("%dms+%dms", o.ire, o.per)}
}
