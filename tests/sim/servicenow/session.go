package servicenow

import (
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// sessionCookie names the session. Calls that carry the same one run one after
// the other; a client that keeps no cookies has a session per call.
const sessionCookie = "JSESSIONID"

// sessionQueue is the number of calls that may wait in one session. Further
// ones are dropped with 202.
const sessionQueue = 10

// sessions are those with calls at this moment.
type sessions struct {
	mu     sync.Mutex
	active map[string]*session
	opened atomic.Uint64
}

type session struct {
	turn  chan struct{}
	calls int // running and waiting
}

// enter waits for the turn of a call; ok is false when too many are waiting.
func (l *sessions) enter(id string) (leave func(), ok bool) {
	l.mu.Lock()
	if l.active == nil {
		l.active = map[string]*session{}
	}
	s := l.active[id]
	if s == nil {
		s = &session{turn: make(chan struct{}, 1)}
		l.active[id] = s
	}
	if s.calls > sessionQueue {
		l.mu.Unlock()
		return nil, false
	}
	s.calls++
	l.mu.Unlock()
	s.turn <- struct{}{}
	return func() {
		<-s.turn
		l.mu.Lock()
		defer l.mu.Unlock()
		if s.calls--; s.calls == 0 {
			delete(l.active, id)
		}
	}, true
}

// semaphore bounds the calls that run and those that wait. nil bounds nothing.
type semaphore struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
}

func newSemaphore(slots, queue int) *semaphore {
	if slots <= 0 {
		return nil
	}
	if queue <= 0 {
		queue = 50
	}
	return &semaphore{slots: make(chan struct{}, slots), queue: int64(queue)}
}

// acquire waits for a slot; false when the queue is full.
func (s *semaphore) acquire() bool {
	if s == nil {
		return true
	}
	select {
	case s.slots <- struct{}{}:
		return true
	default:
	}
	if s.waiting.Add(1) > s.queue {
		s.waiting.Add(-1)
		return false
	}
	s.slots <- struct{}{}
	s.waiting.Add(-1)
	return true
}

func (s *semaphore) release() {
	if s != nil {
		<-s.slots
	}
}

// queued runs a call in the turn of its session and with a slot of the node. A
// call that finds its session's queue full is answered with 202 and nothing
// else, one that finds the node's queue full with 429; neither is processed.
func (s *Server) queued(w http.ResponseWriter, req *http.Request, call func()) {
	cookie, err := req.Cookie(sessionCookie)
	if err != nil {
		id := stableID("session", strconv.FormatUint(s.sessions.opened.Add(1), 10)).String()
		http.SetCookie(w, &http.Cookie{Name: sessionCookie, Value: id, Path: "/", HttpOnly: true})
	} else {
		leave, ok := s.sessions.enter(cookie.Value)
		if !ok {
			w.WriteHeader(http.StatusAccepted)
			return
		}
		defer leave()
	}
	if !s.slots.acquire() {
		w.WriteHeader(http.StatusTooManyRequests)
		return
	}
	defer s.slots.release()
	call()
}

// scopeCheck tells whether a token without the scope of an API is refused with 403.
func (s *Server) scopeCheck() bool {
	s.store.mu.RLock()
	defer s.store.mu.RUnlock()
	return s.store.flag("com.glide.rest.api.auth.scope.check.enable")
}
