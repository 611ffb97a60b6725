-- The body that was written last, while another one takes its place: what is in
-- it and no longer in the new one is retired when that is written.

-- +goose Up
ALTER TABLE heads ADD COLUMN prior BYTEA;

-- One row per asset of a source: what tells machines apart, and which of several
-- assets of one machine writes its CI. The enumeration is the one that saw the
-- asset first as it is; it counts for others once it is complete.
CREATE TABLE machines (
    source      TEXT   NOT NULL,
    id          BIGINT NOT NULL,
    name        TEXT   NOT NULL,
    serial      TEXT   NOT NULL,
    uuid        TEXT   NOT NULL,
    cloud       TEXT   NOT NULL,
    macs        TEXT   NOT NULL,
    agent       BIGINT NOT NULL,
    modified    BIGINT NOT NULL,
    generation  BIGINT NOT NULL, -- rises when the id describes another machine
    enumeration BIGINT NOT NULL,
    seen_at     BIGINT NOT NULL,
    PRIMARY KEY (source, id)
);
CREATE INDEX machines_by_name ON machines (source, name) WHERE name <> '';
CREATE INDEX machines_by_serial ON machines (source, serial) WHERE serial <> '';
CREATE INDEX machines_by_uuid ON machines (source, uuid) WHERE uuid <> '';
CREATE INDEX machines_by_cloud ON machines (source, cloud) WHERE cloud <> '';
