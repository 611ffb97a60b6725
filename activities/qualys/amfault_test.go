package qualys_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/qbridge/qbridge/activities/qualys"
	"github.com/qbridge/qbridge/activities/transport"
	"github.com/qbridge/qbridge/tests/sim/estate"
	sim "github.com/qbridge/qbridge/tests/sim/qualys"
)

func TestADisturbedEnumerationIsCompleteOrSaysWhyNot(t *testing.T) {
	t.Parallel()
	const whole, refused = true, false
	for fault, want := range map[string]bool{
		"delay(1ms)":        whole,
		"repeat_page":       whole, // the cursor stands, the page is asked for again
		"status(503)":       refused,
		"status(429,9)":     refused,
		"drop_before":       refused,
		"drop_after_commit": refused,
		"cut(2000)":         refused,
		"close":             refused,
		"html":              refused,
		"hibernate":         refused,
		"accepted202":       refused,
		"gzip_bad":          refused,
		"oversize":          refused,
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			for _, format := range []qualys.Format{qualys.FormatXML, qualys.FormatJSON} {
				s, err := sim.New(sim.Options{Estate: estate.Options{Assets: 60, Seed: 3}, Faults: "on qps.search.hostasset nth 2 do " + fault})
				require.NoError(t, err)
				server := httptest.NewServer(s.Handler())
				t.Cleanup(server.Close)
				tr, err := transport.New(transport.Options{Name: "corp", MaxBody: 4 << 20})
				require.NoError(t, err)
				c := am(t, format, tr, func(cfg *qualys.Config) {
					cfg.APIURL, cfg.Username, cfg.Password, cfg.PageSize = server.URL, sim.DefaultUsername, sim.DefaultPassword, 25
				})
				total, _, err := c.Count(context.Background(), qualys.Query{})
				require.NoError(t, err)
				seen := map[int64]bool{}
				var last error
				for p, err := range c.Pages(context.Background(), qualys.Query{}) {
					if last = err; err != nil {
						break
					}
					for _, r := range p.Results {
						seen[r.ID] = true
					}
				}
				if want == whole {
					require.NoError(t, last)
					require.EqualValues(t, total, len(seen))
					continue
				}
				var e *qualys.Error
				require.True(t, errors.As(last, &e), "%v", last)
				require.Contains(t, []qualys.Kind{qualys.KindUnavailable, qualys.KindRateLimited}, e.Kind(), "%v", last)
				require.Len(t, seen, 25, "the page before the fault stands")
			}
		})
	}
}
