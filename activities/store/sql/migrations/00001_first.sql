-- One set of statements for SQLite and PostgreSQL. Times are microseconds since
-- 1970 in UTC, so that both compare and index them alike.

-- +goose Up
CREATE TABLE revisions (
    n          BIGINT PRIMARY KEY,
    digest     TEXT   NOT NULL,
    document   TEXT   NOT NULL,
    author     TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    active     BIGINT NOT NULL
);

CREATE TABLE runs (
    id           TEXT PRIMARY KEY,
    workflow_id  TEXT   NOT NULL,
    schedule     TEXT   NOT NULL,
    source       TEXT   NOT NULL,
    target       TEXT   NOT NULL,
    direction    TEXT   NOT NULL,
    revision     TEXT   NOT NULL,
    rules_digest TEXT   NOT NULL,
    mode         TEXT   NOT NULL,
    status       TEXT   NOT NULL,
    resumed      BIGINT NOT NULL,
    verify       BIGINT NOT NULL,
    enumeration  BIGINT NOT NULL,
    since        BIGINT NOT NULL,
    start_cursor BIGINT NOT NULL,
    retries      BIGINT NOT NULL,
    epoch        BIGINT NOT NULL,
    started_at   BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL,
    counters     TEXT   NOT NULL,
    pages        BIGINT NOT NULL,
    events       BIGINT NOT NULL,
    calls        TEXT   NOT NULL,
    error        TEXT   NOT NULL
);
CREATE INDEX runs_by_start ON runs (started_at);
CREATE INDEX runs_by_schedule ON runs (schedule, status);
CREATE INDEX runs_by_workflow ON runs (workflow_id);

-- A lease has no expiry: a taker asks Temporal about the holder. The epoch rises
-- with every holder and fences the writes of the one before.
CREATE TABLE leases (
    name        TEXT PRIMARY KEY,
    workflow_id TEXT   NOT NULL,
    run         TEXT   NOT NULL,
    epoch       BIGINT NOT NULL
);

CREATE TABLE enumerations (
    id           BIGINT PRIMARY KEY,
    schedule     TEXT   NOT NULL,
    revision     TEXT   NOT NULL,
    mode         TEXT   NOT NULL,
    since        BIGINT NOT NULL,
    verify       BIGINT NOT NULL,
    touched_at   BIGINT NOT NULL, -- last page staged or finished
    server_date  BIGINT NOT NULL, -- Date of the first page: the next watermark
    state        TEXT   NOT NULL  -- open | complete | abandoned
);
CREATE INDEX enumerations_by_schedule ON enumerations (schedule, state);

CREATE TABLE watermarks (
    schedule     TEXT PRIMARY KEY,
    at           BIGINT NOT NULL,
    rules_digest TEXT   NOT NULL
);

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    n    BIGINT NOT NULL
);

CREATE TABLE pages (
    id          BIGINT PRIMARY KEY,
    enumeration BIGINT NOT NULL,
    run         TEXT   NOT NULL,
    cursor_in   BIGINT NOT NULL,
    cursor_out  BIGINT NOT NULL,
    last        BIGINT NOT NULL,
    records     BIGINT NOT NULL,
    finished    BIGINT NOT NULL,
    UNIQUE (enumeration, cursor_in)
);

-- One row per record: what was staged last, what was written last.
CREATE TABLE heads (
    schedule       TEXT   NOT NULL,
    target         TEXT   NOT NULL,
    kind           TEXT   NOT NULL,
    key            TEXT   NOT NULL,
    version        BIGINT NOT NULL,
    state          TEXT   NOT NULL,
    outcome        TEXT   NOT NULL,
    reason         TEXT   NOT NULL,
    class          TEXT   NOT NULL,
    payload_digest TEXT   NOT NULL,
    written_digest TEXT   NOT NULL,
    body           BYTEA, -- SQLite keeps blobs as they are in a column of any type
    answer         TEXT   NOT NULL,
    intent         TEXT   NOT NULL, -- payload digest of a post without an answer yet
    run            TEXT   NOT NULL,
    page           BIGINT NOT NULL,
    staged_at      BIGINT NOT NULL,
    written_at     BIGINT NOT NULL,
    PRIMARY KEY (schedule, target, kind, key)
);
CREATE INDEX heads_by_page ON heads (page, state);
CREATE INDEX heads_by_key ON heads (kind, key);
CREATE INDEX heads_failed ON heads (schedule, state) WHERE state = 'failed';

CREATE TABLE outcomes (
    run     TEXT   NOT NULL,
    key     TEXT   NOT NULL,
    kind    TEXT   NOT NULL,
    outcome TEXT   NOT NULL,
    reason  TEXT   NOT NULL,
    class   TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    PRIMARY KEY (run, key)
);
CREATE INDEX outcomes_by_outcome ON outcomes (run, outcome);
CREATE INDEX outcomes_by_key ON outcomes (key, at);
CREATE INDEX outcomes_by_time ON outcomes (at);

CREATE TABLE links (
    target TEXT NOT NULL,
    key    TEXT NOT NULL,
    sys_id TEXT NOT NULL,
    class  TEXT NOT NULL,
    origin TEXT NOT NULL,
    PRIMARY KEY (target, key)
);

CREATE TABLE refs (
    target      TEXT   NOT NULL,
    tbl         TEXT   NOT NULL,
    name        TEXT   NOT NULL,
    sys_id      TEXT   NOT NULL,
    missing     BIGINT NOT NULL,
    resolved_at BIGINT NOT NULL,
    PRIMARY KEY (target, tbl, name)
);

CREATE TABLE pollers (
    queue TEXT PRIMARY KEY,
    owner TEXT   NOT NULL,
    until BIGINT NOT NULL
);

-- +goose Down
DROP TABLE pollers;
DROP TABLE refs;
DROP TABLE links;
DROP TABLE outcomes;
DROP TABLE heads;
DROP TABLE pages;
DROP TABLE counters;
DROP TABLE watermarks;
DROP TABLE enumerations;
DROP TABLE leases;
DROP TABLE runs;
DROP TABLE revisions;
