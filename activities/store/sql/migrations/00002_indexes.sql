-- Staging, settling and dropping links find heads by key; closing a run finds
-- what still waits. Without these indexes each of them reads all heads of a
-- schedule, bodies included.

-- +goose Up
DROP INDEX heads_by_key;
CREATE INDEX heads_by_key ON heads (key, schedule, target);
CREATE INDEX heads_waiting ON heads (run) WHERE state = 'staged';
CREATE INDEX pages_by_run ON pages (run);

-- +goose Down
DROP INDEX pages_by_run;
DROP INDEX heads_waiting;
DROP INDEX heads_by_key;
CREATE INDEX heads_by_key ON heads (kind, key);
