package sql

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/samber/lo"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/record"
)

// TakePage implements store.Ledger.
func (s *Store) TakePage(ctx context.Context, w store.Writer) error {
	return s.inTx(ctx, "take page", func(t *tx) error {
		if _, _, err := t.fence(ctx, w.Run, w.Epoch); err != nil {
			return err
		}
		var current int64
		err := t.row(ctx, "SELECT writer FROM pages WHERE id = ?"+t.d.forUpdate, w.Page).Scan(&current)
		if errors.Is(err, sql.ErrNoRows) {
			return fmt.Errorf("page %d: %w", w.Page, store.ErrNotFound)
		}
		if err == nil && current > writerToken(w) {
			err = store.ErrStaleEpoch
		}
		if err != nil {
			return err
		}
		_, err = t.exec(ctx, "UPDATE pages SET writer = ? WHERE id = ?", writerToken(w), w.Page)
		return err
	})
}

// writerToken orders the writers of a page: by the epoch of their runs, then by
// their attempts.
func writerToken(w store.Writer) int64 { return w.Epoch<<40 | w.Attempt }

// writer fails when the run's lease or the page was taken over.
func (t *tx) writer(ctx context.Context, w store.Writer) (schedule, target string, err error) {
	if schedule, target, err = t.fence(ctx, w.Run, w.Epoch); err != nil || w.Attempt == 0 {
		return schedule, target, err
	}
	var current int64
	err = t.row(ctx, "SELECT writer FROM pages WHERE id = ?", w.Page).Scan(&current)
	if err == nil && current != writerToken(w) || errors.Is(err, sql.ErrNoRows) {
		err = store.ErrStaleEpoch
	}
	return schedule, target, err
}

// BeginPayload implements store.Ledger. An intent that is still there was posted
// and never answered: what was written before it is then no longer known.
func (s *Store) BeginPayload(ctx context.Context, w store.Writer, keys []string) (map[string]string, error) {
	var unanswered map[string]string
	err := s.inTx(ctx, "store intent", func(t *tx) error {
		unanswered = map[string]string{}
		schedule, target, err := t.writer(ctx, w)
		if err != nil {
			return err
		}
		for part := range slices.Chunk(keys, chunk) {
			list, args := in(part, schedule, target, w.Page, w.Run)
			if err := t.rows(ctx, func(r *sql.Rows) error {
				var key, intent string
				err := r.Scan(&key, &intent)
				unanswered[key] = intent
				return err
			}, "SELECT key, intent FROM heads WHERE schedule = ? AND target = ? AND page = ? AND run = ? AND state = 'staged' AND intent <> '' AND key IN "+list, args...); err != nil {
				return err
			}
			if _, err := t.exec(ctx, `UPDATE heads SET written_digest = CASE WHEN intent = '' THEN written_digest ELSE '' END, intent = payload_digest
				WHERE schedule = ? AND target = ? AND page = ? AND run = ? AND state = 'staged' AND key IN `+list, args...); err != nil {
				return err
			}
		}
		return nil
	})
	return unanswered, err
}

// Settle implements store.Ledger.
func (s *Store) Settle(ctx context.Context, by store.Writer, list []store.Settlement) error {
	return s.inTx(ctx, "settle payload", func(t *tx) error {
		schedule, target, err := t.writer(ctx, by)
		if err != nil {
			return err
		}
		w := &settler{tx: t, schedule: schedule, target: target, run: by.Run, page: by.Page}
		for part := range slices.Chunk(list, settleRows) {
			if err := w.settle(ctx, part); err != nil {
				return err
			}
		}
		return t.putLinks(ctx, linksOf(list))
	})
}

// settleRows bounds the records of one statement: nine parameters each.
const settleRows = 1000

// settler settles records of one page.
type settler struct {
	*tx
	schedule, target, run string
	page                  int64
}

// settle gives records their outcome: those of this run only, for nothing else
// was fetched by it, and the first of a key. A failed write leaves no written
// digest: nobody knows what is in the target now.
func (s *settler) settle(ctx context.Context, list []store.Settlement) error {
	kinds, err := s.kinds(ctx, list)
	if err != nil {
		return err
	}
	var outcomes, heads []any
	var more []*store.Settlement // with more in the target than was staged
	for i := range list {
		st := &list[i]
		kind, ok := kinds[clean(st.Key)]
		if !ok {
			continue
		}
		delete(kinds, clean(st.Key))
		state, touched := record.StateDone, ""
		if st.Outcome == record.Failed || st.Outcome == record.Rejected { // tried again by the next run
			state = record.StateFailed
		}
		if st.Fresh || state == record.StateFailed {
			touched = "yes"
		}
		if st.Prior != nil {
			more = append(more, st)
		}
		outcomes = append(outcomes, s.run, st.Key, kind, string(st.Outcome), st.Reason, st.Class, s.now)
		heads = append(heads, kind, st.Key, string(state), string(st.Outcome), st.Reason, st.Class, st.Answer, touched, st.Digest)
	}
	if len(heads) == 0 {
		return nil
	}
	if err := s.insertRows(ctx, "INSERT INTO outcomes (run, key, kind, outcome, reason, class, at)", " ON CONFLICT (run, key) DO NOTHING", 7, outcomes); err != nil {
		return err
	}
	const row = "(?, ?, ?, ?, ?, ?, ?, ?, ?)" // columns of VALUES are column1, column2, … in both databases
	args := append([]any{s.now}, heads...)
	args = append(args, s.schedule, s.target, s.page, s.run)
	if _, err = s.exec(ctx, `UPDATE heads SET intent = '', state = v.column3, outcome = v.column4, reason = v.column5,
		class = CASE WHEN v.column6 = '' THEN heads.class ELSE v.column6 END,
		answer = CASE WHEN v.column7 = '' THEN heads.answer ELSE v.column7 END,
		written_digest = CASE WHEN v.column8 = '' THEN heads.written_digest ELSE v.column9 END,
		prior = CASE WHEN v.column9 = heads.payload_digest THEN NULL ELSE heads.prior END,
		written_at = CASE WHEN v.column8 = '' THEN heads.written_at ELSE CAST(? AS BIGINT) END
		FROM (VALUES `+strings.Repeat(row+", ", len(heads)/9-1)+row+`) AS v
		WHERE heads.schedule = ? AND heads.target = ? AND heads.kind = v.column1 AND heads.key = v.column2
		AND heads.page = ? AND heads.run = ? AND heads.state = 'staged'`, args...); err != nil {
		return err
	}
	if err := s.decided(ctx, lo.Map(list, func(st store.Settlement, _ int) string { return st.Key })); err != nil {
		return err
	}
	for _, st := range more {
		if _, err := s.exec(ctx, "UPDATE heads SET prior = ? WHERE schedule = ? AND target = ? AND key = ? AND page = ? AND run = ? AND written_digest = ?",
			st.Prior, s.schedule, s.target, st.Key, s.page, s.run, st.Digest); err != nil {
			return err
		}
	}
	return nil
}

// decided notes what became of records that were approved and that this run has
// just given their outcome.
func (s *settler) decided(ctx context.Context, keys []string) error {
	var direction string
	if err := s.row(ctx, "SELECT direction FROM runs WHERE id = ?", s.run).Scan(&direction); err != nil || direction != directionApproval {
		return err
	}
	list, args := in(keys, s.run, s.run, s.schedule, s.run, s.run)
	_, err := s.exec(ctx, `UPDATE decision_records SET run = ?, outcome = (SELECT o.outcome FROM outcomes o WHERE o.run = ? AND o.key = decision_records.key)
		WHERE schedule = ? AND outcome = '' AND EXISTS (SELECT 1 FROM heads h JOIN outcomes o ON o.run = ? AND o.key = h.key
			WHERE h.schedule = decision_records.schedule AND h.target = decision_records.target AND h.kind = decision_records.kind AND h.key = decision_records.key
			AND h.decision = decision_records.decision AND h.run = ?) AND key IN `+list, args...)
	return err
}

// kinds returns the kinds of the records that this run fetched, by key.
func (s *settler) kinds(ctx context.Context, list []store.Settlement) (map[string]string, error) {
	keys := make([]string, len(list))
	for i := range list {
		keys[i] = list[i].Key
	}
	marks, args := in(keys, s.schedule, s.target, s.run)
	out := map[string]string{}
	err := s.rows(ctx, func(r *sql.Rows) error {
		var key, kind string
		err := r.Scan(&key, &kind)
		out[key] = kind
		return err
	}, "SELECT key, kind FROM heads WHERE schedule = ? AND target = ? AND run = ? AND key IN "+marks, args...)
	return out, err
}

func linksOf(list []store.Settlement) []store.Link {
	var links []store.Link
	for i := range list {
		if l := list[i].Link; l != nil {
			links = append(links, *l)
		}
	}
	return links
}
