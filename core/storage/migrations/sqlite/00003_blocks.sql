-- The reasons for this layout and the figures are in docs/adr/0001-storage-schema.md.

-- +goose Up

-- Long lists of archives and rooms in blocks, each from behind the one before up to an id. What is behind the last is the open end. messages
-- and bytes are what a block holds, NULL if that is not known.
CREATE TABLE block(owner INTEGER, upto INTEGER, messages INTEGER, bytes INTEGER, PRIMARY KEY(owner, upto)) WITHOUT ROWID;

-- In which blocks there may be something of a peer: in no others there is. Rows of blocks that are not in the table above mean nothing.
CREATE TABLE block_peer(owner INTEGER, peer INTEGER, upto INTEGER, PRIMARY KEY(owner, peer, upto)) WITHOUT ROWID;

-- What background work looks at: an open end (the highest integer), a block to which much was added, the beginning of a list (0).
CREATE TABLE block_due(owner INTEGER, upto INTEGER, PRIMARY KEY(owner, upto)) WITHOUT ROWID;
INSERT INTO block_due(owner, upto) SELECT id, 9223372036854775807 FROM owner WHERE name IS NOT NULL;
