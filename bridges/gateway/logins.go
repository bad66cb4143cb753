package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/viaduct-xmpp/viaduct/core/jid"
	"github.com/viaduct-xmpp/viaduct/core/storage"
	"github.com/viaduct-xmpp/viaduct/mappings"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
)

// loginRow is what is stored of a login. Its credentials are encrypted and bound to bridge and login; only the plugin reads them.
type loginRow struct {
	Owner  string           `json:"owner"` // bare JID
	User   sdk.RemoteUserID `json:"user"`
	Name   string           `json:"name,omitempty"`
	State  sdk.LoginState   `json:"state"`
	Text   string           `json:"text,omitempty"`
	Sealed []byte           `json:"sealed"`
}

func (b *Bridge) loginPurpose(id sdk.LoginID) string {
	return "login" + sep + b.spec.Name + sep + string(id)
}

// login reads a stored login.
func (b *Bridge) login(ctx context.Context, id sdk.LoginID) (loginRow, error) {
	var row loginRow
	raw, err := b.m.d.Store.Table(tableLogins).Get(ctx, b.spec.Name, string(id))
	if err == nil {
		err = json.Unmarshal(raw, &row)
	}
	if err != nil {
		return row, fmt.Errorf("gateway: login: %w", err)
	}
	return row, nil
}

func (b *Bridge) storeLogin(ctx context.Context, id sdk.LoginID, row loginRow) error {
	raw, err := json.Marshal(row)
	if err != nil {
		return fmt.Errorf("gateway: login: %w", err)
	}
	u := newLinkUnit(b.spec.Name)
	u.Add(storage.PutRow{Table: tableLogins, Owner: b.spec.Name, Key: string(id), Value: raw})
	if err := b.m.commit(ctx, u); err != nil {
		return fmt.Errorf("gateway: store login: %w", err)
	}
	return nil
}

// saveLogin stores a login that a person has made.
func (b *Bridge) saveLogin(ctx context.Context, owner jid.JID, l sdk.Login) error {
	if l.ID == "" || !validID(string(l.ID)) || !validID(string(l.User)) {
		return &sdk.Error{Code: sdk.CodeProtocol, Text: "the bridge made a login without an id"}
	}
	if old, err := b.login(ctx, l.ID); err == nil && old.Owner != owner.Bare().String() {
		return sdk.Refuse(sdk.CodeConflict, "this account of the network belongs to somebody else here")
	}
	sealed, err := b.m.seal(l.Credentials, b.loginPurpose(l.ID))
	if err != nil {
		return err
	}
	return b.storeLogin(ctx, l.ID, loginRow{Owner: owner.Bare().String(), User: l.User, Name: mappings.Cut(l.Name, 200, 800), State: sdk.LoginConnecting, Sealed: sealed})
}

// LoginInfo is a login as its owner and administrators see it.
type LoginInfo struct {
	ID    sdk.LoginID
	Owner jid.JID
	User  sdk.RemoteUserID
	Name  string
	State sdk.LoginState
	Text  string
}

// logins lists the logins of a bridge, of one owner if it is not zero.
func (b *Bridge) logins(ctx context.Context, owner jid.JID) ([]LoginInfo, error) {
	var out []LoginInfo
	for from := ""; ; {
		rows, err := b.m.d.Store.Table(tableLogins).Range(ctx, b.spec.Name, from, "", 500, false)
		if err != nil {
			return nil, fmt.Errorf("gateway: read logins: %w", err)
		}
		for _, r := range rows {
			from = r.Key + "\x00"
			var row loginRow
			if json.Unmarshal(r.Value, &row) != nil {
				continue
			}
			who, err := jid.Parse(row.Owner)
			if err == nil && (owner.IsZero() || owner == who) {
				out = append(out, LoginInfo{sdk.LoginID(r.Key), who, row.User, row.Name, row.State, row.Text})
			}
		}
		if len(rows) < 500 {
			return out, nil
		}
	}
}

// loadLogins hands all logins to a new instance.
func (i *instance) loadLogins(ctx context.Context) {
	if !i.remote.Can(sdk.AbilityLogin) {
		return
	}
	list, err := i.b.logins(ctx, jid.JID{})
	if err != nil {
		i.b.log.Error("logins not read", "error", err)
		return
	}
	for _, l := range list {
		row, err := i.b.login(ctx, l.ID)
		if err != nil || row.State == sdk.LoginLoggedOut {
			continue
		}
		plain, err := i.b.m.unseal(row.Sealed, i.b.loginPurpose(l.ID))
		if err != nil {
			i.b.log.Error("a login cannot be decrypted", "login", string(l.ID), "error", err)
			continue
		}
		call, cancel := context.WithTimeout(ctx, i.b.m.o.Tune.OpTimeout)
		st, err := i.remote.LoadLogin(call, sdk.Login{ID: l.ID, Person: i.b.m.person(l.Owner), User: l.User, Name: l.Name, Credentials: plain})
		cancel()
		if err != nil {
			i.b.log.Warn("a login could not be loaded", "login", string(l.ID), "error", err)
			continue
		}
		st.ID = l.ID
		if err := i.b.loginChanged(ctx, st); err != nil {
			i.b.log.Warn("a login's state could not be stored", "login", string(l.ID), "error", err)
		}
	}
}

// loginChanged stores a login's state and what was renewed; the person is told what she has to do.
func (b *Bridge) loginChanged(ctx context.Context, s sdk.LoginStatus) error {
	if s.ID == "" {
		b.counters.setConnection(s)
		return nil
	}
	row, err := b.login(ctx, s.ID)
	if errors.Is(err, storage.ErrNotFound) {
		return sdk.Refuse(sdk.CodeNotFound, "there is no such login")
	}
	if err != nil {
		return sdk.RetryAfter(0, err)
	}
	was := row.State
	b.act(row.Owner, s.ID, s.State == sdk.LoginConnected)
	row.State, row.Text = s.State, mappings.Cut(s.Text, 300, 1200)
	if s.Credentials != nil {
		if row.Sealed, err = b.m.seal(s.Credentials, b.loginPurpose(s.ID)); err != nil {
			return err
		}
	}
	if err := b.storeLogin(ctx, s.ID, row); err != nil {
		return sdk.RetryAfter(0, err)
	}
	if owner, err := jid.Parse(row.Owner); err == nil && was != s.State && (s.State == sdk.LoginBadSecret || s.State == sdk.LoginLoggedOut) {
		b.notify(ctx, owner, b.title()+": "+firstOf(row.Text, "you are signed out; sign in again with the command \"login\"."))
	}
	return nil
}

// act makes a login the one that its owner's operations go through, or no longer.
func (b *Bridge) act(owner string, id sdk.LoginID, on bool) {
	who, err := jid.Parse(owner)
	if err != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case on:
		b.acting[who] = id
	case b.acting[who] == id:
		delete(b.acting, who)
	}
}

// loginOf is the own account of a person that is connected, "" if there is none: then the bridge acts for her.
func (b *Bridge) loginOf(who jid.JID) sdk.LoginID {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.acting[who]
}

// logout ends a login of its owner.
func (b *Bridge) logout(ctx context.Context, owner jid.JID, id sdk.LoginID) error {
	row, err := b.login(ctx, id)
	if err != nil || row.Owner != owner.Bare().String() {
		return sdk.Refuse(sdk.CodeNotFound, "you have no such login")
	}
	if i := b.current(); i != nil && i.remote.Can(sdk.AbilityLogin) {
		if err := i.remote.Logout(ctx, id); err != nil && sdk.AsError(err).Temporary {
			return err
		}
	}
	b.act(row.Owner, id, false)
	u := newLinkUnit(b.spec.Name)
	u.Add(storage.DeleteRow{Table: tableLogins, Owner: b.spec.Name, Key: string(id)})
	return b.m.commit(ctx, u)
}

// changeCapabilities replaces what the bridge, or a portal, can do.
func (b *Bridge) changeCapabilities(ctx context.Context, c sdk.CapabilitiesChange) error {
	switch c.Scope {
	case sdk.ScopePortal:
		p, err := b.portals.get(ctx, c.Portal)
		if err != nil {
			return sdk.RetryAfter(0, err)
		}
		if p == nil {
			return sdk.Refuse(sdk.CodeNotFound, "there is no such portal")
		}
		return p.save(ctx, func(s *portalState) { s.Caps = c.Capabilities })
	case sdk.ScopeBridge:
		b.mu.Lock()
		defer b.mu.Unlock()
		b.caps = b.info.Capabilities
		if c.Capabilities != nil {
			b.caps = *c.Capabilities
		}
	}
	return nil
}
