-- Who may use the console, who is signed in, and which decisions were made by
-- somebody who was.

-- +goose Up
CREATE TABLE accounts (
    name       TEXT PRIMARY KEY,
    password   TEXT   NOT NULL,
    roles      TEXT   NOT NULL, -- JSON
    changed_at BIGINT NOT NULL
);

CREATE TABLE sessions (
    digest     TEXT PRIMARY KEY,
    name       TEXT   NOT NULL,
    how        TEXT   NOT NULL,
    roles      TEXT   NOT NULL, -- JSON
    csrf       TEXT   NOT NULL,
    started_at BIGINT NOT NULL,
    seen_at    BIGINT NOT NULL
);
CREATE INDEX sessions_by_seen ON sessions (seen_at);

CREATE TABLE vouchers (
    decision TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    how      TEXT NOT NULL
);

-- +goose Down
DROP TABLE vouchers;
DROP TABLE sessions;
DROP TABLE accounts;
