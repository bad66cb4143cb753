package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/viaduct-xmpp/viaduct/core/event"
	"github.com/viaduct-xmpp/viaduct/core/ns"
	"github.com/viaduct-xmpp/viaduct/core/stanza"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
	"github.com/viaduct-xmpp/viaduct/mappings"
)

// Topics. A portal knows which topic its network has (portalState.Topic), a link which one counts and since when. A network is never told the one that it has, so that two which
// report each other's changes come to rest.

// setTopic sets the subject if it is another one than the network had before. In a linked room the last change counts: a network that reports an older one, or one
// that the room has, changes nothing, and gets ours.
func (p *portal) setTopic(ctx context.Context, topic string, by *puppet, at time.Time) error {
	topic = mappings.Cut(topic, 4000, 16000)
	p.mu.Lock()
	same := p.state.Topic == topic
	p.mu.Unlock()
	if same {
		return nil
	}
	if now := p.b.m.d.Clock.Now(); at.IsZero() || at.After(now) { // no clock of a network is ahead of ours
		at = now
	}
	l := p.link()
	if l != nil {
		known, here, newer := l.topicFrom(topic, at)
		switch {
		case here:
			return p.save(ctx, func(s *portalState) { s.Topic = topic })
		case !newer:
			return p.answerTopic(ctx, topic, known)
		}
	}
	msg := event.InjectedMessage{Room: p.room(), Payload: []*xmlstream.Node{xmlstream.NewNode(ns.Client, "subject").SetText(topic)},
		At: p.b.m.d.Clock.Now(), Live: true, Origin: p.b.spec.users()}
	if by != nil {
		c := p.b.change(ctx, p, by, "", nil)
		msg.Author, msg.Enter = by.jid, &c
	}
	if l != nil {
		msg.Record = func(rec *event.MessageRecord) {
			if err := l.passTopic(p, rec, by, topic, at); err != nil {
				p.b.log.Error("a topic could not be passed on", "room", l.room.String(), "error", err)
			}
		}
	}
	done := make(chan error, 1)
	msg.Done = func(_ storageID, err error) { done <- err }
	if err := p.b.m.rooms.SetSubject(ctx, msg); err != nil {
		return fmt.Errorf("gateway: subject: %w", err)
	}
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("gateway: subject: %w", err)
		}
	case <-ctx.Done():
		return ctx.Err()
	}
	if l != nil {
		p.wakeOthers()
	}
	return p.save(ctx, func(s *portalState) { s.Topic = topic })
}

// passTopic puts a topic into the lists of the other portals, in the unit that sets it.
func (l *link) passTopic(from *portal, rec *event.MessageRecord, by *puppet, topic string, at time.Time) error {
	if err := l.noteTopic(rec.Unit, topic, at); err != nil {
		return err
	}
	n := note{Op: opTopic, Bare: from.b.spec.users(), Nick: from.b.title(), Room: l.room.String()}
	if by != nil {
		n.Bare, n.Nick = by.jid.String(), by.name()
	}
	for _, p := range from.others() {
		if err := p.record(rec, n); err != nil {
			return err
		}
	}
	return nil
}

// answerTopic gives a network that reports an older topic the one that counts.
func (p *portal) answerTopic(ctx context.Context, has, known string) error {
	if err := p.save(ctx, func(s *portalState) { s.Topic = has }); err != nil {
		return err
	}
	u := newLinkUnit(p.key)
	n := note{Op: opTopic, Bare: p.b.spec.users(), Nick: p.b.title(), Room: p.archive(), Force: true} // one that is on its way may have come before
	if err := p.queue(u, n, stanza.NewMessage(stanza.TypeGroupchat, xmlstream.NewNode(ns.Client, "subject").SetText(known))); err != nil {
		return err
	}
	if err := p.b.m.commit(ctx, u); err != nil {
		return fmt.Errorf("gateway: store topic: %w", err)
	}
	p.out.wake()
	return nil
}

// noteTopic remembers the topic and when it was set, in the unit that sets it.
func (l *link) noteTopic(u unit, topic string, at time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.topic = linkTopic{topic, at}
	b, err := json.Marshal(l.topic)
	if err != nil {
		return fmt.Errorf("gateway: encode topic: %w", err)
	}
	u.Add(storage.PutRow{Table: tableLinks, Owner: topicsOwner, Key: l.room.String(), Value: b})
	return nil
}

// topicFrom decides on a topic that a network reports: known is the link's, and newer tells that it wins.
func (l *link) topicFrom(topic string, at time.Time) (known string, same, newer bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.topic.Text, l.topic.Text == topic, !at.Before(l.topic.At)
}

// noteTopic remembers which topic the network has from us.
func (p *portal) noteTopic(ctx context.Context, msg storage.MessageID) {
	body, err := p.b.m.d.Store.Messages().Body(ctx, msg)
	if err != nil {
		return // the room keeps it, too: it was removed meanwhile
	}
	st, err := stanza.Unmarshal(body)
	if err != nil {
		return
	}
	c, _ := st.Child(ns.Client, "subject")
	if err := p.save(ctx, func(s *portalState) { s.Topic = c.Text() }); err != nil && ctx.Err() == nil {
		p.b.log.Warn("a topic could not be noted", "portal", p.key, "error", err)
	}
}
