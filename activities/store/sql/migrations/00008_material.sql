-- What a run read from one system and keeps until it plans with the other.

-- +goose Up
CREATE TABLE material (
    run  TEXT NOT NULL,
    part BIGINT NOT NULL,
    body BYTEA NOT NULL,
    PRIMARY KEY (run, part)
);

-- +goose Down
DROP TABLE material;
