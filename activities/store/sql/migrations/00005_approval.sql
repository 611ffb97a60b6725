-- What a record would do, as it is shown to whoever decides.

-- +goose Up
ALTER TABLE heads ADD COLUMN decision TEXT NOT NULL DEFAULT '';
CREATE INDEX heads_by_state ON heads (schedule, state, key) WHERE state IN ('pending', 'held', 'approved', 'rejected', 'failed', 'expired');

CREATE TABLE plans (
    schedule   TEXT   NOT NULL,
    target     TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    key        TEXT   NOT NULL,
    operation  TEXT   NOT NULL,
    class      TEXT   NOT NULL,
    rule       TEXT   NOT NULL,
    columns    TEXT   NOT NULL, -- " a b ": names between blanks
    digest     TEXT   NOT NULL,
    body       BYTEA,           -- JSON
    planned_at BIGINT NOT NULL,
    PRIMARY KEY (schedule, target, kind, key)
);

-- The log of decisions. Entries of a schedule form a chain: each holds the hash
-- of the one before, and of the records that it is about.
CREATE TABLE decisions (
    schedule TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    id       TEXT   NOT NULL,
    entry    TEXT   NOT NULL, -- JSON
    receipt  TEXT   NOT NULL, -- JSON
    prev     TEXT   NOT NULL,
    hash     TEXT   NOT NULL,
    PRIMARY KEY (schedule, n)
);
CREATE UNIQUE INDEX decisions_by_id ON decisions (schedule, id);

CREATE TABLE decision_records (
    decision       TEXT   NOT NULL,
    schedule       TEXT   NOT NULL,
    target         TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    key            TEXT   NOT NULL,
    version        BIGINT NOT NULL,
    payload_digest TEXT   NOT NULL,
    plan_digest    TEXT   NOT NULL,
    outcome        TEXT   NOT NULL DEFAULT '', -- of the write, when there was one
    run            TEXT   NOT NULL DEFAULT '',
    PRIMARY KEY (schedule, decision, kind, key)
);
CREATE INDEX decision_records_by_key ON decision_records (key);
