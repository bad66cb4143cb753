package sqlite

import "github.com/viaduct-xmpp/viaduct/core/storage"

func roomArgs(r storage.RoomRow) []any {
	return []any{
		r.JID, r.Service, bit(r.Public), r.Name, nullable(r.Config), nullable(r.Subject), nullable(r.Secret), millis(r.Created), r.Version,
	}
}

const insertRoom = `INTO room(jid, service, public, name, config, subject, secret, created, version) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)`

func putRoom(b *batch, op storage.PutRoom) error {
	_, err := b.c.exec(`INSERT `+insertRoom+` ON CONFLICT DO UPDATE SET service = excluded.service, public = excluded.public,
		name = excluded.name, config = excluded.config, subject = excluded.subject, secret = excluded.secret, created = excluded.created,
		version = excluded.version`, roomArgs(op.Room)...)
	return err
}

func createRoom(b *batch, op storage.CreateRoom) error {
	return b.mustChange(`INSERT OR IGNORE `+insertRoom, roomArgs(op.Room)...)
}

func deleteRoom(b *batch, op storage.DeleteRoom) error {
	if _, err := b.c.exec(`DELETE FROM room WHERE jid = ?`, op.JID); err != nil {
		return err
	}
	if _, err := b.c.exec(`DELETE FROM affiliation WHERE room = ?`, op.JID); err != nil {
		return err
	}
	return b.forget(op.JID)
}

func putAffiliation(b *batch, op storage.PutAffiliation) error {
	a := op.Affiliation
	if a.Affiliation == "none" {
		_, err := b.c.exec(`DELETE FROM affiliation WHERE room = ? AND jid = ?`, a.Room, a.JID)
		return err
	}
	_, err := b.c.exec(`INSERT INTO affiliation(room, jid, affiliation, nick, reason) VALUES(?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET affiliation = excluded.affiliation, nick = excluded.nick, reason = excluded.reason`,
		a.Room, a.JID, a.Affiliation, a.Nick, a.Reason)
	return err
}
