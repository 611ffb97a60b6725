-- How far the writing of a decision is, read from an index alone.

-- +goose Up
CREATE INDEX decision_records_by_outcome ON decision_records (schedule, decision, outcome);
