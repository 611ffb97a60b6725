package sql

import (
	"context"
	"database/sql"
	"slices"
	"strings"

	"github.com/qbridge/qbridge/activities/store"
	"github.com/qbridge/qbridge/domain/asset"
)

// machine is a row of machines.
type machine struct {
	store.Machine
	enumeration, seen int64
}

const machineColumns = "id, name, serial, uuid, cloud, macs, agent, modified, generation, enumeration, seen_at"

// seenEvery is how old the note of having seen an asset may become, in
// microseconds: most assets are seen again and again and need no write.
const seenEvery = 24 * 3600 * 1e6

// Identify implements store.Machines.
func (s *Store) Identify(ctx context.Context, source string, enumeration int64, page []store.Machine) (known, others []store.Machine, err error) {
	if len(page) == 0 {
		return nil, nil, nil
	}
	err = s.inTx(ctx, "identify machines", func(t *tx) error {
		before, err := t.machines(ctx, source, "id", idsOf(page), "")
		if err != nil {
			return err
		}
		was := make(map[int64]*machine, len(before))
		for i := range before {
			was[before[i].ID] = &before[i]
		}
		known = make([]store.Machine, 0, len(page))
		done := map[int64]bool{}
		var rows []any
		for _, m := range page {
			if done[m.ID] { // pages may repeat an asset
				continue
			}
			done[m.ID] = true
			m = folded(m)
			now := machine{Machine: m, enumeration: enumeration, seen: t.now}
			if old := was[m.ID]; old != nil {
				now.Generation = old.Generation
				if asset.KeyMoved(m.Tracking, old.Identity, m.Identity) {
					now.Generation++
				}
				if same(&old.Identity, &m.Identity) {
					now.enumeration = old.enumeration
					if old.Modified.Equal(m.Modified) && t.now-old.seen < seenEvery {
						now.seen = 0 // as it is stored
					}
				}
			}
			known = append(known, now.Machine)
			if now.seen != 0 {
				rows = append(rows, source, m.ID, m.Name, m.Serial, m.UUID, m.CloudID, strings.Join(m.MACs, " "), bit(m.Agent), micros(m.Modified), now.Generation, now.enumeration, now.seen)
			}
		}
		if err := t.insertRows(ctx, "INSERT INTO machines (source, "+machineColumns+")",
			` ON CONFLICT (source, id) DO UPDATE SET name = excluded.name, serial = excluded.serial, uuid = excluded.uuid, cloud = excluded.cloud, macs = excluded.macs,
			agent = excluded.agent, modified = excluded.modified, generation = excluded.generation, enumeration = excluded.enumeration, seen_at = excluded.seen_at`, 12, rows); err != nil {
			return err
		}
		others, err = t.others(ctx, source, enumeration, known)
		return err
	})
	return known, others, err
}

// others returns the assets beside those of a page that have a value in common
// with one of them.
func (t *tx) others(ctx context.Context, source string, enumeration int64, page []store.Machine) ([]store.Machine, error) {
	here, found := map[int64]bool{}, map[int64]store.Machine{}
	for i := range page {
		here[page[i].ID] = true
	}
	for column, value := range map[string]func(*store.Machine) string{
		"cloud": func(m *store.Machine) string { return m.CloudID }, "uuid": func(m *store.Machine) string { return m.UUID },
		"serial": func(m *store.Machine) string { return m.Serial }, "name": func(m *store.Machine) string { return m.Name },
	} {
		values := map[any]bool{}
		for i := range page {
			if v := value(&page[i]); v != "" {
				values[v] = true
			}
		}
		list := make([]any, 0, len(values))
		for v := range values {
			list = append(list, v)
		}
		rows, err := t.machines(ctx, source, column, list,
			" AND "+column+" <> '' AND seen_at > ? AND (enumeration = ? OR enumeration IN (SELECT id FROM enumerations WHERE state = 'complete'))",
			t.now-store.MachineKeep.Microseconds(), enumeration)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			if !here[rows[i].ID] {
				found[rows[i].ID] = rows[i].Machine
			}
		}
	}
	out := make([]store.Machine, 0, len(found))
	for _, m := range found {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b store.Machine) int { return int(min(1, max(-1, a.ID-b.ID))) })
	return out, nil
}

// machines reads the rows that have one of some values in a column.
func (t *tx) machines(ctx context.Context, source, column string, values []any, and string, args ...any) ([]machine, error) {
	var out []machine
	for part := range slices.Chunk(values, chunk) {
		marks := strings.TrimSuffix(strings.Repeat("?, ", len(part)), ", ")
		all := append(append([]any{source}, part...), args...)
		if err := t.rows(ctx, func(r *sql.Rows) error {
			var m machine
			var macs string
			var agent, modified int64
			if err := r.Scan(&m.ID, &m.Name, &m.Serial, &m.UUID, &m.CloudID, &macs, &agent, &modified, &m.Generation, &m.enumeration, &m.seen); err != nil {
				return err
			}
			m.MACs, m.Agent, m.Modified = strings.Fields(macs), agent == 1, instant(modified)
			out = append(out, m)
			return nil
		}, "SELECT "+machineColumns+" FROM machines WHERE source = ? AND "+column+" IN ("+marks+")"+and, all...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Generation implements store.Machines.
func (s *Store) Generation(ctx context.Context, source string, id int64) (int64, error) {
	var n int64
	err := s.query(ctx, "generation of an asset", func(r *sql.Rows) error { return r.Scan(&n) },
		"SELECT generation FROM machines WHERE source = ? AND id = ?", source, id)
	return n, err
}

// Generations implements store.Machines.
func (s *Store) Generations(ctx context.Context, source string, ids []int64) (map[int64]int64, error) {
	out := map[int64]int64{}
	for part := range slices.Chunk(ids, chunk) {
		args := []any{source}
		for _, id := range part {
			args = append(args, id)
		}
		if err := s.query(ctx, "generations of assets", func(r *sql.Rows) error {
			var id, n int64
			err := r.Scan(&id, &n)
			out[id] = n
			return err
		}, "SELECT id, generation FROM machines WHERE source = ? AND generation > 0 AND id IN ("+strings.TrimSuffix(strings.Repeat("?, ", len(part)), ", ")+")", args...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func idsOf(page []store.Machine) []any {
	out := make([]any, len(page))
	for i := range page {
		out[i] = page[i].ID
	}
	return out
}

// folded returns the machine with the values that are compared in lower case.
func folded(m store.Machine) store.Machine {
	m.Name, m.Serial, m.UUID, m.CloudID = clean(strings.ToLower(m.Name)), clean(strings.ToLower(m.Serial)), clean(strings.ToLower(m.UUID)), clean(strings.ToLower(m.CloudID))
	return m
}

// same reports whether two identities tell the same; when the asset changed last
// does not matter.
func same(a, b *asset.Identity) bool {
	return a.Name == b.Name && a.Serial == b.Serial && a.UUID == b.UUID && a.CloudID == b.CloudID && a.Agent == b.Agent && slices.Equal(a.MACs, b.MACs)
}
