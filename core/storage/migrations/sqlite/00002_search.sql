-- The reasons are in docs/adr/0006-archive.md.

-- +goose Up

-- The words of archived messages by the ids of their bodies, each with a word for every owner. The text is not kept. Only its own words are
-- given to it, cut by core/storage.Words.
CREATE VIRTUAL TABLE word USING fts5(text, content='', contentless_delete=1, detail=none, tokenize='ascii');

-- Bodies up to meta.indexed that came too late to be indexed with the others: those of the past.
CREATE TABLE unindexed(id INTEGER PRIMARY KEY);
