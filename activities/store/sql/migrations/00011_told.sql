-- Schedules of which somebody was told that they are late; and runs in the order of
-- their ends, so that counting goes on where it was.

-- +goose Up
CREATE TABLE told (
    schedule TEXT PRIMARY KEY,
    since    BIGINT NOT NULL
);
CREATE INDEX runs_by_end ON runs (ended_at, id);

-- +goose Down
DROP INDEX runs_by_end;
DROP TABLE told;
