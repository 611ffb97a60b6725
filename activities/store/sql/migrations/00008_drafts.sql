-- What a run reads before it can plan anything.

-- +goose Up
CREATE TABLE drafts (
    run  TEXT   NOT NULL,
    name TEXT   NOT NULL,
    part BIGINT NOT NULL,
    body BYTEA  NOT NULL,
    PRIMARY KEY (run, name, part)
);

-- +goose Down
DROP TABLE drafts;
