-- What people look at while many records wait: since when the oldest one does, and
-- why records failed.

-- +goose Up
CREATE INDEX heads_pending_since ON heads (schedule, staged_at) WHERE state = 'pending';
CREATE INDEX heads_failed_why ON heads (schedule, reason, staged_at) WHERE state = 'failed';

-- +goose Down
DROP INDEX heads_failed_why;
DROP INDEX heads_pending_since;
