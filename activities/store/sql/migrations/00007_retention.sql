-- What a run was expected to cost, and whether its outcomes are kept for good.

-- +goose Up
ALTER TABLE runs ADD COLUMN pinned BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN forecast TEXT NOT NULL DEFAULT '';

-- +goose Down
ALTER TABLE runs DROP COLUMN pinned;
ALTER TABLE runs DROP COLUMN forecast;
