package activities

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/samber/lo"
	"go.temporal.io/sdk/temporal"

	"github.com/qbridge/qbridge/activities/crash"
	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/domain/config"
	"github.com/qbridge/qbridge/workflows/contract"
)

// Config checks and stores configuration documents.
type Config struct {
	Store    store.Store
	Settings *Settings
	Vendors  Vendors
}

// pickupPatience is how long a queue may be without pollers before a run that
// waits for it fails; others take a queue over within seconds.
const pickupPatience = time.Minute

// ConfigCheck validates a document, resolves every reference and tests every
// connection. What is wrong comes back as problems with their place and remedy.
func (c *Config) ConfigCheck(ctx context.Context, in contract.ApplyInput) (contract.ApplyResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	cfg, problems := decode(in.Document)
	if len(problems) > 0 {
		return contract.ApplyResult{Problems: problems}, nil
	}
	var old *config.Config
	if _, active, err := c.Settings.Config(ctx, ""); err == nil {
		old = active
	}
	if old != nil {
		problems = append(problems, lo.Map(config.CheckChange(old, cfg), toProblem)...)
	}
	var res contract.ApplyResult
	for _, t := range c.test(ctx, cfg, false) {
		res.Checks = append(res.Checks, t.checks...)
		problems = append(problems, failedChecks(t.place, in.SkipChecks, t.checks)...)
	}
	res.Problems = problems
	return res, nil
}

// tested is the test of one connection.
type tested struct {
	place  string
	checks []contract.Check
}

// test tests all connections side by side, so that dead ones do not add up.
func (c *Config) test(ctx context.Context, cfg *config.Config, survey bool) []tested {
	out := make([]tested, len(cfg.Qualys)+len(cfg.ServiceNow))
	var wg sync.WaitGroup
	start := func(n int, place string, check func() []contract.Check) {
		wg.Add(1)
		go func() {
			defer wg.Done()
			out[n] = tested{place: place, checks: check()}
		}()
	}
	for i, q := range cfg.Qualys {
		start(i, fmt.Sprintf("qualys[%d] %s", i, q.Name), func() []contract.Check {
			needs := SourceNeedsOf(cfg, q.Name)
			needs.Survey = survey
			return c.Vendors.CheckQualys(ctx, q, needs)
		})
	}
	for i, s := range cfg.ServiceNow {
		start(len(cfg.Qualys)+i, fmt.Sprintf("servicenow[%d] %s", i, s.Name), func() []contract.Check {
			needs := NeedsOf(cfg, s.Name)
			needs.Survey = survey
			return c.Vendors.CheckServiceNow(ctx, s, needs)
		})
	}
	wg.Wait()
	return out
}

// ConfigPreflight tests the connections of a document, or of the active
// revision, and stores nothing.
func (c *Config) ConfigPreflight(ctx context.Context, in contract.PreflightInput) (contract.PreflightResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	res := contract.PreflightResult{Checks: []contract.Check{}}
	var cfg *config.Config
	var err error
	if in.Document != "" {
		cfg, res.Problems = decode(in.Document)
		if len(res.Problems) > 0 {
			return res, nil
		}
	} else if res.Revision, cfg, err = c.Settings.Config(ctx, ""); err != nil {
		return res, temporalError(err)
	}
	ctx, calls := transport.Counting(ctx)
	for _, t := range c.test(ctx, cfg, true) {
		res.Checks = append(res.Checks, t.checks...)
	}
	res.Calls = calls.Load()
	return res, nil
}

// decode reads and validates a document, its rules included.
func decode(document string) (*config.Config, []contract.Problem) {
	cfg, err := config.Decode("configuration", []byte(document))
	if err != nil {
		return nil, []contract.Problem{{Place: "configuration", Message: err.Error()}}
	}
	return cfg, lo.Map(cfg.Validate(), toProblem)
}

func toProblem(p config.Problem, _ int) contract.Problem {
	return contract.Problem{Place: p.Place, Message: p.Message, Remedy: p.Remedy}
}

// failedChecks turns the failed checks of a connection into problems, unless
// the caller asked to store the revision all the same.
func failedChecks(place string, skip bool, checks []contract.Check) []contract.Problem {
	var out []contract.Problem
	for _, ch := range checks {
		if ch.Failed() && !skip {
			out = append(out, contract.Problem{Place: place + ": " + ch.Capability, Message: ch.Message, Remedy: ch.Remedy})
		}
	}
	return out
}

// ConfigStore stores a checked document and makes it active.
func (c *Config) ConfigStore(ctx context.Context, in contract.ApplyInput) (contract.ApplyResult, error) {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	cfg, problems := decode(in.Document)
	if len(problems) > 0 {
		return contract.ApplyResult{Problems: problems}, nil
	}
	digest, err := config.Digest(cfg)
	if err != nil {
		return contract.ApplyResult{}, temporalError(err)
	}
	before, err := c.Store.ActiveRevision(ctx)
	if err != nil && !isNotFound(err) {
		return contract.ApplyResult{}, temporalError(err)
	}
	rev, err := c.Store.SaveRevision(ctx, in.Document, digest, in.Author)
	if err != nil {
		return contract.ApplyResult{}, temporalError(err)
	}
	if err := crash.At(ctx, crash.AfterSaveRevision); err != nil {
		return contract.ApplyResult{}, err
	}
	return contract.ApplyResult{Revision: rev.ID, Changed: rev.ID != before.ID}, nil
}

// ConfigCheckQueue succeeds when somebody polls a queue, waiting a little for
// another process to take it over, and else fails with the remedy.
func (c *Config) ConfigCheckQueue(ctx context.Context, in contract.CheckQueueInput) error {
	ctx, stop := beat(ctx, heartbeatEvery, func() any { return nil })
	defer stop()
	deadline := time.Now().Add(pickupPatience)
	for {
		polled, err := c.Store.Polled(ctx, in.Queue)
		if err != nil {
			return temporalError(err)
		}
		if polled {
			return nil
		}
		if time.Now().After(deadline) {
			_, connection, _ := contract.ParseQueue(in.Queue)
			return temporal.NewNonRetryableApplicationError(
				fmt.Sprintf("no worker polls queue %s: start a worker that can reach connection %q, or check its log for why it does not start it", in.Queue, connection),
				contract.ErrNoPoller, nil)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(2 * time.Second):
		}
	}
}
