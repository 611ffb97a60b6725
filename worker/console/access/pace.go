package access

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// paces limits how often each of many callers may ask. It remembers a bounded
// number: whoever is forgotten begins anew.
type paces struct {
	mu     sync.Mutex
	limit  rate.Limit
	burst  int
	now    func() time.Time
	known  map[string]*rate.Limiter
	before map[string]*rate.Limiter // the generation before, of callers not seen since
}

// mostCallers bounds a generation of callers.
const mostCallers = 4096

func newPaces(perSecond float64, burst int, now func() time.Time) *paces {
	return &paces{limit: rate.Limit(perSecond), burst: burst, now: now, known: map[string]*rate.Limiter{}}
}

// allow reports whether a caller may ask now.
func (p *paces) allow(caller string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.known[caller]
	if l == nil {
		if l = p.before[caller]; l == nil {
			l = rate.NewLimiter(p.limit, p.burst)
		}
		if len(p.known) >= mostCallers {
			p.before, p.known = p.known, map[string]*rate.Limiter{}
		}
		p.known[caller] = l
	}
	return l.AllowN(p.now(), 1)
}
