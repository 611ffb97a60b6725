package servicenow

import (
	"sort"
	"strings"
	"sync"
	"time"
)

// lockTable holds the insert locks: one per host below which a call inserts.
// They are held for as long as the call takes, so concurrent inserts below one
// host wait for each other as they do on an instance.
type lockTable struct {
	mu    sync.Mutex
	locks map[string]chan struct{}
	users map[string]int
}

// acquire takes all keys in a fixed order, so two calls never wait for each
// other in a circle, and returns the function that releases them. When one key
// stays taken for the whole limit, release is nil and failed names the key.
func (l *lockTable) acquire(keys []string, limit time.Duration) (release func(), failed string) {
	sort.Strings(keys)
	held := make([]string, 0, len(keys))
	release = func() {
		for _, k := range held {
			l.unlock(k)
		}
	}
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for _, k := range keys {
		select {
		case l.enter(k) <- struct{}{}:
			held = append(held, k)
		case <-timer.C:
			l.leave(k)
			release()
			return nil, k
		}
	}
	return release, ""
}

func (l *lockTable) enter(k string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.locks == nil {
		l.locks, l.users = map[string]chan struct{}{}, map[string]int{}
	}
	if l.locks[k] == nil {
		l.locks[k] = make(chan struct{}, 1)
	}
	l.users[k]++
	return l.locks[k]
}

func (l *lockTable) leave(k string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users[k]--; l.users[k] == 0 {
		delete(l.users, k)
		delete(l.locks, k)
	}
}

func (l *lockTable) unlock(k string) {
	l.mu.Lock()
	ch := l.locks[k]
	l.mu.Unlock()
	<-ch
	l.leave(k)
}

// insertLocks lists the hosts below which a payload is going to insert: those
// of dependent items whose source key is not known yet.
func (s *store) insertLocks(p *payload) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	keys := map[string]bool{}
	for _, rel := range p.relations {
		if !rel.parentRef.ok || !rel.childRef.ok || rel.parentRef.sub >= 0 || rel.childRef.sub >= 0 {
			continue
		}
		parent, child := p.items[rel.parentRef.main], p.items[rel.childRef.main]
		pt, ct := s.schema.tables[parent.className], s.schema.tables[child.className]
		if pt == nil || ct == nil {
			continue
		}
		for _, d := range s.rules.dependencies {
			if d.Type != rel.kind || !pt.isA(d.parent) || !ct.isA(d.child) {
				continue
			}
			host, dependent := parent, child
			if d.Host == "child" {
				host, dependent = child, parent
			}
			if !s.knownSource(dependent.source) {
				keys[hostKey(host)] = true
			}
			break
		}
	}
	out := make([]string, 0, len(keys))
	for k := range keys {
		out = append(out, k)
	}
	return out
}

func (s *store) knownSource(src sourceInfo) bool {
	known := false
	if src.complete() {
		s.ix.source.find([]string{src.name, src.key}, func(*row) { known = true })
	}
	return known
}

func hostKey(host *item) string {
	if host.source.complete() {
		return "source " + host.source.name + " " + host.source.key
	}
	if id := host.values["sys_id"]; id != "" {
		return "sys_id " + id
	}
	for _, name := range []string{"object_id", "serial_number", "name"} {
		if v := host.values[name]; v != "" {
			return name + " " + strings.ToLower(v)
		}
	}
	return "class " + host.className
}
