package pubsub

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/modules/pubsub/node"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/core/xmlstream"
)

// The tables; see docs/adr/0007.
const (
	tableNode  = "pubsub_node"
	tableItem  = "pubsub_item"
	tableOrder = "pubsub_order"
	tableAffil = "pubsub_affil"
	tableSub   = "pubsub_sub"
	tableOf    = "pubsub_of"
	tableLink  = "pubsub_link"
	tableTrash = "pubsub_trash"
)

// tables are their read sides.
type tables struct {
	node, item, order, affil, sub, of, link, trash, expire, lease, gone, moved storage.Table
}

func (t *tables) init(s storage.Store) {
	t.node, t.item, t.order, t.affil = s.Table(tableNode), s.Table(tableItem), s.Table(tableOrder), s.Table(tableAffil)
	t.sub, t.of, t.link, t.trash = s.Table(tableSub), s.Table(tableOf), s.Table(tableLink), s.Table(tableTrash)
	t.expire, t.lease, t.gone, t.moved = s.Table(tableExpire), s.Table(tableLease), s.Table(tableGone), s.Table(tableMoved)
}

// sep stands between the parts of a key: no name, id or address has it (xmlName refuses it where they come in). sepAfter is the next byte.
const (
	sep      = "\n"
	sepAfter = "\v"
)

// record is the row of a node.
type record struct {
	Name    string `json:"-"`
	ID      int64  // owner of its lists and links; another one when a node of the same name is made again
	Gen     int64  // owner of its items; another one after a purge
	Config  node.Config
	Creator string
	Created int64 // seconds
	Count   int   // items
	Subs    int   // subscriptions
	Last    string
}

func (s *service) owner(id int64) string { return s.name + "/" + strconv.FormatInt(id, 16) }

func (s *service) person(bare jid.JID) string { return s.name + "/" + bare.Bare().String() }

// find reads a node; nil: there is none.
func (m *Module) find(ctx context.Context, svc *service, name string) (*record, error) {
	if name == "" {
		return m.root(ctx, svc)
	}
	b, err := m.t.node.Get(ctx, svc.name, name)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pubsub: read node: %w", err)
	}
	return decodeRecord(name, b)
}

func decodeRecord(name string, b []byte) (*record, error) {
	r := &record{Name: name}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("pubsub: read node: %w", err)
	}
	return r, nil
}

// put is the row that stores a node.
func (s *service) put(r *record) (storage.PutRow, error) {
	b, err := json.Marshal(r)
	if err != nil {
		return storage.PutRow{}, fmt.Errorf("pubsub: encode node: %w", err)
	}
	if r.Name == "" {
		return storage.PutRow{Table: tableNode, Owner: s.rootOwner(), Key: rootKey, Value: b}, nil
	}
	return storage.PutRow{Table: tableNode, Owner: s.name, Key: r.Name, Value: b}, nil
}

// item is one published item.
type item struct {
	ID        string
	Seq       storage.MessageID
	Publisher string
	Payload   []byte // canonical; empty: none
}

func (it *item) encode() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(it.Seq))
	b = binary.AppendUvarint(b, uint64(len(it.Publisher)))
	return append(append(b, it.Publisher...), it.Payload...)
}

var errItem = errors.New("pubsub: read item: the row is damaged")

func decodeItem(id string, b []byte) (*item, error) {
	if len(b) < 9 {
		return nil, errItem
	}
	it := &item{ID: id, Seq: storage.MessageID(binary.BigEndian.Uint64(b))}
	n, w := binary.Uvarint(b[8:])
	if w <= 0 || n > uint64(len(b)-8-w) {
		return nil, errItem
	}
	rest := b[8+w:]
	it.Publisher, it.Payload = string(rest[:n]), rest[n:]
	return it, nil
}

// node returns the <item/> in a namespace; publisher says who published it.
func (it *item) node(space string, payload, publisher bool) (*xmlstream.Node, error) {
	n := xmlstream.NewNode(space, "item", "id", it.ID)
	if publisher && it.Publisher != "" {
		n.SetAttr("publisher", it.Publisher)
	}
	if payload && len(it.Payload) > 0 {
		f, err := xmlstream.ParseFragment(it.Payload)
		if err != nil {
			return nil, fmt.Errorf("pubsub: read item: %w", err)
		}
		n.Add(f.Nodes()...)
	}
	return n, nil
}

func orderKey(seq storage.MessageID) string { return fmt.Sprintf("%016x", uint64(seq)) }

// item reads one item; nil: there is none.
func (m *Module) item(ctx context.Context, svc *service, r *record, id string) (*item, error) {
	b, err := m.t.item.Get(ctx, svc.owner(r.Gen), id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("pubsub: read item: %w", err)
	}
	return decodeItem(id, b)
}

// affiliation reads what somebody is to a node.
func (m *Module) affiliation(ctx context.Context, svc *service, r *record, who jid.JID) (node.Affiliation, error) {
	if svc.account && who.Bare() == svc.jid {
		return node.Owner, nil // XEP-0163 §3.2: the account owns its nodes
	}
	b, err := m.t.affil.Get(ctx, svc.owner(r.ID), who.Bare().String())
	if errors.Is(err, storage.ErrNotFound) {
		return node.None, nil
	}
	if err != nil {
		return node.None, fmt.Errorf("pubsub: read affiliation: %w", err)
	}
	return node.Affiliation(b), nil
}

func subKey(who, id string) string { return who + sep + id }

func ofAffil(name string) string { return "a" + sep + name }

func ofSub(name, who, id string) string { return "s" + sep + name + sep + who + sep + id }

// ofValue is what a person's row says: which node it was, and what she is.
func ofValue(id int64, what string) []byte { return []byte(strconv.FormatInt(id, 16) + sep + what) }

func parseOf(b []byte) (id int64, what string) {
	h, what, _ := strings.Cut(string(b), sep)
	id, err := strconv.ParseInt(h, 16, 64)
	if err != nil {
		return 0, what
	}
	return id, what
}

func decodeSub(r storage.Row) (node.Subscription, error) {
	who, id, _ := strings.Cut(r.Key, sep)
	s := node.Subscription{JID: who, ID: id}
	if err := json.Unmarshal(r.Value, &s); err != nil {
		return s, fmt.Errorf("pubsub: read subscription: %w", err)
	}
	return s, nil
}

// subs reads the subscriptions of an address to a node; with all, a bare JID means those of its resources too.
func (m *Module) subs(ctx context.Context, svc *service, r *record, who jid.JID, all bool) ([]node.Subscription, error) {
	from := who.String()
	out, err := m.subRange(ctx, svc, r, from+sep, from+sepAfter)
	if err != nil || !all || !who.IsBare() {
		return out, err
	}
	more, err := m.subRange(ctx, svc, r, from+"/", from+"0")
	return append(out, more...), err
}

func (m *Module) subRange(ctx context.Context, svc *service, r *record, from, to string) ([]node.Subscription, error) {
	rows, err := m.t.sub.Range(ctx, svc.owner(r.ID), from, to, maxPage, false)
	if err != nil {
		return nil, fmt.Errorf("pubsub: read subscriptions: %w", err)
	}
	out := make([]node.Subscription, 0, len(rows))
	for _, row := range rows {
		s, err := decodeSub(row)
		if err != nil {
			return nil, err
		}
		if !s.Over(m.d.Clock.Now()) {
			out = append(out, s)
		}
	}
	return out, nil
}

// xmlName tells whether a name of a node or an item can be kept.
func xmlName(s string) bool {
	return s != "" && len(s) <= maxName && !strings.ContainsAny(s, "\n\v\t\r")
}

// nodeOf is the node in a person's key.
func nodeOf(key string) string {
	_, rest, _ := strings.Cut(key, sep)
	name, _, _ := strings.Cut(rest, sep)
	return name
}

// subOf reads a person's key; "": it is no subscription's.
func subOf(key string) (who, id string) {
	p := strings.Split(key, sep)
	if len(p) != 4 || p[0] != "s" {
		return "", ""
	}
	return p[2], p[3]
}
