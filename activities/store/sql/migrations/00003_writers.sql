-- The attempt that writes a page: an earlier one that wakes up is refused.

-- +goose Up
ALTER TABLE pages ADD COLUMN writer BIGINT NOT NULL DEFAULT 0;
