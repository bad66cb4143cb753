package upload

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/journal"
	"github.com/viaduct-xmpp/viaduct/core/storage"
)

// The tables. Values are JSON.
//
//	upload_file    owner: id              key: "file"              the file
//	upload_user    owner: "of "+JID       key: time of the PUT-id  empty: the files of one owner
//	upload_blob    owner: hash            key: id                  empty: a reference to the body
//	upload_expiry  owner: "expiry"        key: time of expiry-id   empty
//	upload_count   owner: "of "+JID       key: "usage"             counters of one owner
//	               owner: "total"         key: "usage"             counters of all
//	upload_gone    owner: "gone"          key: owner's JID         when the account was deleted
//
// Rows whose owner is a JID go with the account, in its unit; these must stay until the files are gone, so their owner is another name.
const (
	fileTable   = "upload_file"
	userTable   = "upload_user"
	blobTable   = "upload_blob"
	expiryTable = "upload_expiry"
	countTable  = "upload_count"
	goneTable   = "upload_gone"

	fileKey     = "file"
	usageKey    = "usage"
	totalOwner  = "total"
	expiryOwner = "expiry"
	goneOwner   = "gone"
	ownerPrefix = "of "
)

// File is what is kept of one file.
type file struct {
	User    string  `json:"user"`
	Name    string  `json:"name"`
	Type    string  `json:"type"`
	Size    int64   `json:"size"`
	Hash    string  `json:"hash"`
	Created int64   `json:"created"`           // milliseconds
	Expires int64   `json:"expires,omitempty"` // milliseconds; 0: never
	Purpose purpose `json:"purpose,omitempty"`

	id  string
	raw []byte // as it stands in the store
}

func (f *file) created() time.Time { return time.UnixMilli(f.Created) }

// expires returns when the file ends; zero for never.
func (f *file) expires() time.Time {
	if f.Expires == 0 {
		return time.Time{}
	}
	return time.UnixMilli(f.Expires)
}

func (f *file) expired(now time.Time) bool { return f.Expires != 0 && now.UnixMilli() >= f.Expires }

// rowsOf is the owner of the rows about a person's files.
func rowsOf(who string) string { return ownerPrefix + who }

// sortable is a key that orders by time.
func sortable(ms int64, id string) string { return fmt.Sprintf("%016x-%s", max(ms, 0), id) }

// idOf returns the id of such a key.
func idOf(key string) string {
	_, id, _ := strings.Cut(key, "-")
	return id
}

type tables struct{ file, user, blob, expiry, count, gone storage.Table }

func openTables(s storage.Store) tables {
	return tables{s.Table(fileTable), s.Table(userTable), s.Table(blobTable), s.Table(expiryTable), s.Table(countTable), s.Table(goneTable)}
}

// get returns a file; an error that is storage.ErrNotFound if there is none.
func (t *tables) get(ctx context.Context, id string) (*file, error) {
	raw, err := t.file.Get(ctx, id, fileKey)
	if err != nil {
		return nil, fmt.Errorf("upload: read file: %w", err)
	}
	f := &file{id: id, raw: raw}
	if err := json.Unmarshal(raw, f); err != nil {
		return nil, fmt.Errorf("upload: read file: %w", err)
	}
	return f, nil
}

// insert adds the rows of a new file. There is one of an id: the first wins.
func (f *file) insert(u *journal.Unit) error {
	raw, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("upload: write file: %w", err)
	}
	u.Add(storage.CompareAndPut{Table: fileTable, Owner: f.id, Key: fileKey, New: raw},
		storage.PutRow{Table: userTable, Owner: rowsOf(f.User), Key: sortable(f.Created, f.id)},
		storage.PutRow{Table: blobTable, Owner: f.Hash, Key: f.id})
	if f.Expires != 0 {
		u.Add(storage.PutRow{Table: expiryTable, Owner: expiryOwner, Key: sortable(f.Expires, f.id)})
	}
	return nil
}

// delete removes the rows of a file, if it is still the one that was read.
func (f *file) delete(u *journal.Unit) {
	u.Add(storage.CompareAndPut{Table: fileTable, Owner: f.id, Key: fileKey, Old: f.raw},
		storage.DeleteRow{Table: userTable, Owner: rowsOf(f.User), Key: sortable(f.Created, f.id)},
		storage.DeleteRow{Table: blobTable, Owner: f.Hash, Key: f.id})
	if f.Expires != 0 {
		u.Add(storage.DeleteRow{Table: expiryTable, Owner: expiryOwner, Key: sortable(f.Expires, f.id)})
	}
}

// referenced tells whether a file has this body.
func (t *tables) referenced(ctx context.Context, hash string) (bool, error) {
	rows, err := t.blob.Range(ctx, hash, "", "", 1, false)
	if err != nil {
		return false, fmt.Errorf("upload: read references: %w", err)
	}
	return len(rows) > 0, nil
}

// lane is the one order of all units of this module: counters are absolute values.
func lane() journal.Lane { return journal.Lane{Kind: journal.LaneServer, Key: "upload"} }
