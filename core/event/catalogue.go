package event

// Catalogue holds every point, by area.
type Catalogue struct {
	C2S      C2S
	Route    Route
	Presence PresencePoints
	Roster   RosterPoints
	Account  AccountPoints
	MUC      MUC

	// OnPanic is told of a handler that panicked.
	OnPanic func(point, module string, value any, stack []byte)

	list []listed
}

type listed struct {
	name      string
	listeners func() []string
}

// NewCatalogue returns a catalogue with all points named.
func NewCatalogue() *Catalogue {
	c := &Catalogue{}
	c.C2S.register(c)
	c.Route.register(c)
	c.Presence.register(c)
	c.Roster.register(c)
	c.Account.register(c)
	c.MUC.register(c)
	return c
}

func add[T any](c *Catalogue, p *Point[T], name string) {
	p.name, p.cat = name, c
	c.list = append(c.list, listed{name, p.Listeners})
}

// Points lists every point with its listeners ("phase module"), in the order of the catalogue.
func (c *Catalogue) Points() []PointInfo {
	out := make([]PointInfo, len(c.list))
	for i, l := range c.list {
		out[i] = PointInfo{l.name, l.listeners()}
	}
	return out
}

// PointInfo is one line of the admin command that lists the points.
type PointInfo struct {
	Name      string
	Listeners []string
}
