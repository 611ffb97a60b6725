package servicenow

import (
	"net/http"
	"time"

	"github.com/qbridge/qbridge/tests/sim/fault"
)

// remembered bounds the changes that a clone-back can take back, so that a large instance does not grow with its past.
const remembered = 100_000

// change is a transaction that a clone-back can take back.
type change struct {
	at    time.Time
	steps []undoStep
}

// past is what was changed lately, oldest first.
type past struct {
	changes []change
	steps   int
}

func (p *past) add(at time.Time, steps []undoStep) {
	if len(steps) == 0 {
		return
	}
	p.changes, p.steps = append(p.changes, change{at, steps}), p.steps+len(steps)
	for p.steps > remembered && len(p.changes) > 1 {
		p.steps -= len(p.changes[0].steps)
		p.changes[0].steps = nil
		p.changes = p.changes[1:]
	}
}

// since removes the changes after an instant from the past and returns their steps, oldest first.
func (p *past) since(at time.Time) (steps []undoStep) {
	first := len(p.changes)
	for first > 0 && p.changes[first-1].at.After(at) {
		first--
	}
	for _, c := range p.changes[first:] {
		steps = append(steps, c.steps...)
		p.steps -= len(c.steps)
	}
	p.changes = p.changes[:first]
	return steps
}

// cloneBack makes the instance what it was so long ago, as when a sub-production instance is cloned over it: records
// that came since are gone, changed and deleted ones are as before. Sessions and tokens live on.
func (s *store) cloneBack(d time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.begin()
	t.undo = s.past.since(s.now().Add(-d))
	for _, step := range t.undo {
		t.note(step.r)
	}
	t.rollbackTo(0)
	return t.commit()
}

// clonedBack performs the fault clone_back before the call is served.
func (s *Server) clonedBack(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if f := fault.From(req.Context()); f != nil && f.Kind == fault.CloneBack {
			if err := s.store.cloneBack(f.D); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		next.ServeHTTP(w, req)
	})
}
