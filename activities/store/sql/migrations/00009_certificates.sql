-- One row per certificate of a schedule: when it ends, which enumeration saw it
-- last, and which one retired it.

-- +goose Up
CREATE TABLE certificates (
    schedule      TEXT   NOT NULL,
    target        TEXT   NOT NULL,
    key           TEXT   NOT NULL,
    name          TEXT   NOT NULL,
    issuer        TEXT   NOT NULL,
    valid_to      BIGINT NOT NULL, -- 0: not known
    hosts         BIGINT NOT NULL,
    enumeration   BIGINT NOT NULL,
    seen_at       BIGINT NOT NULL,
    retired_by    BIGINT NOT NULL DEFAULT 0, -- enumeration; 0: it is not retired
    retired_batch BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (schedule, target, key)
);
CREATE INDEX certificates_by_end ON certificates (valid_to, key);

-- +goose Down
DROP TABLE certificates;
