//go:build faults

package faults

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/qbridge/qbridge/activities/crash"
)

// Act is what happens at a crash point.
type Act string

// Acts.
const (
	Kill   Act = "kill"   // the process dies
	Freeze Act = "freeze" // the process stops for 90 s and then goes on
	Fail   Act = "fail"   // the step fails
)

// frozenFor is longer than the heartbeat timeout, so that another attempt begins.
const frozenFor = 90 * time.Second

// Blow is an act at the n-th time that a point is reached.
type Blow struct {
	At  crash.Point
	Nth int
	Do  Act
}

// Plan is everything that a seed decides.
type Plan struct {
	Seed     uint64
	Assets   int
	Bad      int
	PageSize int
	Qualys   string // fault plan of the Qualys simulator
	Target   string // fault plan of the ServiceNow simulator
	Rich     bool   // software, volumes and cloud details are on
	MaxBody  int64  // of an answer of Qualys, 0 for the default
	Limits   bool   // the subscription has limits
	Blows    []Blow
	CancelAt time.Duration // the first run is cancelled, 0: not
	Runs     int           // runs with faults before all is well again
	Strict   bool          // every blow has to come
	Full     bool          // the runs after them read everything
	Deleted  int           // CIs that somebody deletes before the last run
	Bug      Bug
}

func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d assets (%d bad), rich %t, pages of %d, limits %t, %d runs with faults, cancelled after %s, %d CIs deleted",
		p.Seed, p.Assets, p.Bad, p.Rich, p.PageSize, p.Limits, p.Runs, p.CancelAt, p.Deleted)
	fmt.Fprintf(&b, "\n  Qualys: %s\n  ServiceNow: %s\n  worker: %v", orNone(p.Qualys), orNone(p.Target), p.Blows)
	if p.Bug != "" {
		fmt.Fprintf(&b, "\n  bug: %s", p.Bug)
	}
	return b.String()
}

// sections are those that the schedule switches on.
func (p Plan) sections() map[string]bool {
	if !p.Rich {
		return nil
	}
	return map[string]bool{"software": true, "volumes": true, "cloudDetails": true}
}

func orNone(s string) string {
	if s == "" {
		return "no faults"
	}
	return s
}

// Kinds of faults that lose no asset by definition. A changed byte is not among
// them: it may make another value that nothing can tell from the right one.
var (
	anyKinds    = []string{"status(503)", "status(500)", "status(502)", "drop_before", "drop_after_commit", "cut(700)", "close", "html", "accepted202", "gzip_bad", "status(429,3)", "status(429)", "delay(20s)", "expire_jwt", "slow(4000)"}
	qualysKinds = []string{"null_list", "repeat_page", "status(409,2)"}
	targetKinds = []string{"quota_cancel(3)", "lock_timeout(1)", "hibernate", "drop_after_commit"}
)

// NewPlan returns the plan of a seed.
func NewPlan(seed uint64) Plan {
	r := rand.New(rand.NewPCG(seed, 0x71627269646765)) //nolint:gosec // reproducible on purpose
	p := Plan{
		Seed: seed, Assets: 20 + r.IntN(70), PageSize: 15 + r.IntN(30), Limits: r.IntN(4) == 0, Runs: 1 + r.IntN(2),
	}
	if r.IntN(8) == 0 {
		p.Rich, p.Assets = true, p.Assets/3
	}
	if r.IntN(3) == 0 {
		p.Bad = 1 + r.IntN(3)
	}
	p.Qualys = rules(r, "search.asset", append(qualysKinds, anyKinds...))
	p.Target = rules(r, "*", append(targetKinds, anyKinds...))
	points := crash.Points()
	for range r.IntN(6) {
		p.Blows = append(p.Blows, Blow{At: points[r.IntN(len(points))], Nth: 1 + r.IntN(4), Do: []Act{Kill, Kill, Freeze, Fail}[r.IntN(4)]})
	}
	if r.IntN(6) == 0 {
		p.CancelAt = time.Duration(r.IntN(60)) * time.Second
	}
	if r.IntN(5) == 0 {
		p.Deleted = 1 + r.IntN(3)
	}
	return p
}

// rules draws up to three rules of about a tenth each.
func rules(r *rand.Rand, endpoint string, kinds []string) string {
	var out []string
	for range r.IntN(4) {
		kind := kinds[r.IntN(len(kinds))]
		when := fmt.Sprintf("share %d%%", 3+r.IntN(10))
		if r.IntN(3) == 0 {
			when = fmt.Sprintf("nth %d", 1+r.IntN(8))
		}
		out = append(out, fmt.Sprintf("on %s %s seed %d do %s", endpoint, when, r.Uint32(), kind))
	}
	return strings.Join(out, "; ")
}
