package main

import (
	"bytes"
	"fmt"
	"strconv"
	"time"
)

// archiveJudge reads the receivers' archives: they must hold every acknowledged
// message, once. Every second receiver is logged in while messages are sent.
type archiveJudge struct {
	k       *killcheck
	page    int
	longest int // archive read
}

func (*archiveJudge) online(pair int) bool { return pair%2 == 1 }

// round reads what the archives have since the round began, and takes in what
// waits for the receivers, so that it does not disturb the next round.
func (j *archiveJudge) round(r int, began time.Time) (kcTally, error) {
	found, err := j.read(began, true)
	if err != nil {
		return kcTally{}, err
	}
	return j.k.tally(r, r+1, found, func(kcKey) {}), nil
}

// end reads everything again: a later kill must not take what an earlier one
// left.
func (j *archiveJudge) end() (kcTally, error) {
	found, err := j.read(time.Time{}, false)
	if err != nil {
		return kcTally{}, err
	}
	return j.k.tally(0, len(j.k.sent), found, j.k.sayLost()), nil
}

func (j *archiveJudge) figures(t kcTally, fig map[string]float64) {
	fig["lost_anywhere"] = float64(t.lostAnywhere)
	fig["archived"] = float64(t.found)
	fig["archive_max"] = float64(j.longest)
}

// read counts the copies of each message in the archives of all receivers.
func (j *archiveJudge) read(from time.Time, drain bool) (map[kcKey]int, error) {
	found := map[kcKey]int{}
	k := j.k
	err := forEach(k.pairs, k.cfg.Conc, func(i int) error {
		c := newClient(k.cfg, k.receiver(i))
		if err := connectAll([]*Client{c}, 1, false); err != nil {
			return err
		}
		defer c.logout()
		items := 0
		err := c.mamAll(from, j.page, func(b []byte) {
			items++
			if m, ok := parseKC(k.run, forwardedID(b)); ok && m.pair == i {
				k.mu.Lock()
				found[m]++
				k.mu.Unlock()
			}
		})
		if err != nil {
			return err
		}
		k.mu.Lock()
		j.longest = max(j.longest, items)
		k.mu.Unlock()
		if !drain {
			return nil
		}
		c.onUnit = func(b []byte, kind byte) {
			if kind == kindMessage {
				k.note(b, &k.offline)
			}
		}
		if err := c.presence(); err != nil {
			return err
		}
		c.quiet(300 * time.Millisecond)
		return nil
	})
	return found, err
}

// mamAll reads the archive of the session's account page by page (XEP-0313,
// XEP-0059) from start on, from its beginning if start is zero, and hands each
// result to fn.
func (c *Client) mamAll(start time.Time, page int, fn func(b []byte)) error {
	form := ""
	if !start.IsZero() {
		form = "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'><value>urn:xmpp:mam:2</value></field>" +
			"<field var='start'><value>" + start.UTC().Format("2006-01-02T15:04:05Z") + "</value></field></x>"
	}
	after := ""
	ends := map[string]bool{}
	defer c.nc.SetReadDeadline(time.Time{})
	for n := 0; ; n++ {
		p, err := c.mamPage(n, page, form, after, fn)
		if err != nil {
			return err
		}
		if p.complete || p.got == 0 || p.last == "" {
			return nil
		}
		if ends[p.last] {
			return fmt.Errorf("archive of %s: two pages end at %s", c.user, p.last)
		}
		ends[p.last] = true
		after = "<after>" + p.last + "</after>"
	}
}

// mamAnswer is what came of a request for a page.
type mamAnswer struct {
	got      int
	last     string // id of its last message; "" if it has none
	complete bool
}

// mamPage reads one page, the n-th request of this session.
func (c *Client) mamPage(n, page int, form, from string, fn func(b []byte)) (mamAnswer, error) {
	var p mamAnswer
	c.nc.SetReadDeadline(time.Now().Add(c.cfg.Timeout))
	id := "mam" + strconv.Itoa(n)
	err := c.send("<iq type='set' id='" + id + "'><query xmlns='urn:xmpp:mam:2' queryid='" + id + "'>" + form +
		"<set xmlns='http://jabber.org/protocol/rsm'><max>" + strconv.Itoa(page) + "</max>" + from + "</set></query></iq>")
	if err != nil {
		return p, err
	}
	var fin []byte
	err = c.wait(func(b []byte, k byte) bool {
		if k == kindMessage && bytes.Contains(b, []byte("<result")) {
			p.got++
			fn(b)
		}
		if k != kindIQ || string(attr(b, "id")) != id {
			return false
		}
		fin = append(fin, b...)
		return true
	})
	if err != nil {
		return p, err
	}
	i := bytes.Index(fin, []byte("<fin"))
	if string(attr(fin, "type")) != "result" || i < 0 {
		return p, fmt.Errorf("archive of %s: %.300s", c.user, fin)
	}
	p.last = string(inner(fin, "<last"))
	p.complete = string(attr(fin[i:], "complete")) == "true"
	return p, nil
}

// forwardedID returns the id of the message within an archive's result.
func forwardedID(b []byte) []byte {
	return attr(b[bytes.LastIndex(b, []byte("<message")):], "id")
}
