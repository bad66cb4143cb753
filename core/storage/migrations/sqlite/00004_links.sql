-- The reasons are in docs/adr/0013-links.md.

-- +goose Up

-- A linked room has several portals.
DROP INDEX portal_room;
CREATE INDEX portal_room ON portal(room, bridge, key);
