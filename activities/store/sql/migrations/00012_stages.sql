-- What the time of a run went to.

-- +goose Up
CREATE TABLE run_stages (
    run    TEXT   NOT NULL,
    stage  TEXT   NOT NULL,
    micros BIGINT NOT NULL,
    PRIMARY KEY (run, stage)
);

-- +goose Down
DROP TABLE run_stages;
