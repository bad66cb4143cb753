-- The reasons for this layout and the figures are in docs/adr/0001-storage-schema.md.

-- +goose Up

CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- The owners of lists, as integers. A name of NULL: the owner was deleted, the sweep removes what it had.
CREATE TABLE owner(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE INDEX owner_gone ON owner(id) WHERE name IS NULL;

-- The other sides of references, as integers.
CREATE TABLE peer(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);

-- uses is the number of references and 2 more: so it takes one byte from the first and SQLite overwrites it in place.
CREATE TABLE body(id INTEGER PRIMARY KEY, uses INTEGER NOT NULL, body BLOB);
CREATE INDEX body_loose ON body(id) WHERE uses = 2;

-- References: msg is NULL if it equals id.
CREATE TABLE ref_archive(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID;
CREATE TABLE ref_room(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID;
CREATE TABLE ref_offline(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID;
CREATE TABLE ref_unacked(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID;
CREATE TABLE ref_domain(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID;
CREATE TABLE ref_outbox(owner INTEGER, id INTEGER, msg INTEGER, peer INTEGER, note BLOB, PRIMARY KEY(owner, id)) WITHOUT ROWID;

-- Keys that recognise a retry, in the order of time; the index on them is in memory. sum: SHA-256 of scope and key, 16 bytes of it.
CREATE TABLE dedupe(n INTEGER PRIMARY KEY, sum BLOB NOT NULL, id INTEGER NOT NULL, expires INTEGER NOT NULL);

CREATE TABLE account(
  jid TEXT PRIMARY KEY, domain TEXT NOT NULL, credentials BLOB, admin INTEGER NOT NULL, disabled INTEGER NOT NULL,
  created INTEGER NOT NULL, last_seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX account_domain ON account(domain, jid);

CREATE TABLE roster(
  owner TEXT, contact TEXT, name TEXT NOT NULL, groups BLOB, subscription TEXT NOT NULL, ask INTEGER NOT NULL, approved INTEGER NOT NULL,
  pending_in BLOB, listed INTEGER NOT NULL, version INTEGER NOT NULL, PRIMARY KEY(owner, contact)
) WITHOUT ROWID;
CREATE TABLE roster_removed(owner TEXT, contact TEXT, version INTEGER NOT NULL, PRIMARY KEY(owner, contact)) WITHOUT ROWID;
-- oldest: removals up to this version are forgotten.
CREATE TABLE roster_version(owner TEXT PRIMARY KEY, version INTEGER NOT NULL, oldest INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE session(
  id TEXT PRIMARY KEY, jid TEXT NOT NULL, node TEXT NOT NULL, epoch INTEGER NOT NULL, h_in INTEGER NOT NULL, h_out INTEGER NOT NULL,
  clean INTEGER NOT NULL, expires INTEGER NOT NULL, state BLOB
) WITHOUT ROWID;
CREATE INDEX session_jid ON session(jid);

CREATE TABLE room(
  jid TEXT PRIMARY KEY, service TEXT NOT NULL, public INTEGER NOT NULL, name TEXT NOT NULL, config BLOB, subject BLOB, secret BLOB,
  created INTEGER NOT NULL, version INTEGER NOT NULL
);
CREATE INDEX room_service ON room(service, jid);
CREATE INDEX room_public ON room(service, jid) WHERE public = 1;

CREATE TABLE affiliation(
  room TEXT, jid TEXT, affiliation TEXT NOT NULL, nick TEXT NOT NULL, reason TEXT NOT NULL, PRIMARY KEY(room, jid)
) WITHOUT ROWID;
CREATE INDEX affiliation_kind ON affiliation(room, affiliation, jid);
CREATE INDEX affiliation_jid ON affiliation(jid, room);

CREATE TABLE portal(bridge TEXT, key TEXT, room TEXT NOT NULL, state BLOB, PRIMARY KEY(bridge, key)) WITHOUT ROWID;
CREATE UNIQUE INDEX portal_room ON portal(room);

CREATE TABLE puppet(bridge TEXT, remote TEXT, jid TEXT NOT NULL, state BLOB, PRIMARY KEY(bridge, remote)) WITHOUT ROWID;
CREATE INDEX puppet_jid ON puppet(jid);

-- portal is an owner, under bridge, NUL, key. room is in the table peer, whose names stay when a room is deleted.
CREATE TABLE idmap(
  portal INTEGER, remote TEXT, remote_part INTEGER, room INTEGER, stanza INTEGER, stanza_part INTEGER, author TEXT NOT NULL,
  at INTEGER NOT NULL, PRIMARY KEY(portal, remote, remote_part, room, stanza, stanza_part)
) WITHOUT ROWID;
CREATE INDEX idmap_stanza ON idmap(room, stanza, stanza_part);

CREATE TABLE item(tbl TEXT, owner TEXT, key TEXT, value BLOB, PRIMARY KEY(tbl, owner, key)) WITHOUT ROWID;

CREATE TABLE epoch(kind INTEGER, key TEXT, epoch INTEGER NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;
