package grpcbridge

import (
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

// A codec converts between the types of sdk and their twins of bridgepb. Twins
// have fields of the same names, so the conversion is planned once from the types
// and nothing has to be written, or can be forgotten, when the contract grows;
// newCodec fails on a field without its twin. A codec is immutable after newCodec.
type codec struct {
	plans   map[pair]*plan
	events  oneof
	ops     oneof
	signals oneof
}

type pair struct{ sdk, pb reflect.Type }

// plan converts one pair of types; dst is settable and zero.
type plan struct {
	enc func(src, dst reflect.Value)
	dec func(d *decoding, src, dst reflect.Value)
}

// decoding is one message being read; the first error stays.
type decoding struct{ err error }

func (d *decoding) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

// planning collects what is wrong with the two sets of types.
type planning struct {
	c    *codec
	errs []string
}

func (p *planning) plan(s, b reflect.Type) *plan {
	key := pair{s, b}
	if pl, ok := p.c.plans[key]; ok {
		return pl
	}
	pl := &plan{}
	p.c.plans[key] = pl // before its parts: types may contain themselves
	p.fill(pl, s, b)
	if s == reflect.TypeFor[richtext.Document]() {
		normalizing(pl)
	}
	if pl.enc == nil {
		p.errs = append(p.errs, fmt.Sprintf("no conversion between %s and %s", s, b))
	}
	return pl
}

// normalizing makes a decoded document harmless: it was made by the other side.
func normalizing(pl *plan) {
	dec := pl.dec
	pl.dec = func(d *decoding, src, dst reflect.Value) {
		dec(d, src, dst)
		doc := dst.Addr().Interface().(*richtext.Document)
		*doc, _ = richtext.Normalize(*doc, richtext.DefaultLimits())
	}
}

func (p *planning) fill(pl *plan, s, b reflect.Type) {
	switch {
	case s == reflect.TypeFor[time.Time]() && b.Kind() == reflect.Int64:
		fillTime(pl)
	case s == reflect.TypeFor[time.Duration]() && b.Kind() == reflect.Int64:
		fillDuration(pl)
	case s.Kind() == reflect.Struct && b.Kind() == reflect.Pointer:
		p.fillValue(pl, s, b)
	case s.Kind() == reflect.Struct && b.Kind() == reflect.Struct:
		p.fillStruct(pl, s, b)
	case s.Kind() == reflect.Pointer && b.Kind() == reflect.Pointer:
		p.fillPointer(pl, s, b)
	case s.Kind() == reflect.Slice && b.Kind() == reflect.Slice && s.Elem().Kind() == reflect.Uint8 && b.Elem().Kind() == reflect.Uint8:
		pl.enc = func(src, dst reflect.Value) { dst.SetBytes(src.Bytes()) }
		pl.dec = func(_ *decoding, src, dst reflect.Value) { dst.SetBytes(src.Bytes()) }
	case s.Kind() == reflect.Slice && b.Kind() == reflect.Slice:
		p.fillSlice(pl, s, b)
	case s.Kind() == reflect.Map && s == b:
		pl.enc = func(src, dst reflect.Value) { dst.Set(src) }
		pl.dec = func(_ *decoding, src, dst reflect.Value) { dst.Set(src) }
	default:
		fillScalar(pl, s, b)
	}
}

// Times travel as microseconds since 1970, 0 for none.
func fillTime(pl *plan) {
	pl.enc = func(src, dst reflect.Value) {
		if t := src.Interface().(time.Time); !t.IsZero() {
			dst.SetInt(t.UnixMicro())
		}
	}
	pl.dec = func(_ *decoding, src, dst reflect.Value) {
		if us := src.Int(); us != 0 {
			dst.Set(reflect.ValueOf(time.UnixMicro(us).UTC()))
		}
	}
}

func fillDuration(pl *plan) {
	pl.enc = func(src, dst reflect.Value) { dst.SetInt(time.Duration(src.Int()).Microseconds()) }
	pl.dec = func(_ *decoding, src, dst reflect.Value) { dst.SetInt(int64(micros(src.Int()))) }
}

// micros is a duration of n microseconds, the longest there is if n is too many.
func micros(n int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Microsecond)
	return time.Duration(min(max(n, -most), most)) * time.Microsecond
}

func fillScalar(pl *plan, s, b reflect.Type) {
	switch {
	case s.Kind() == reflect.String && b.Kind() == reflect.String:
		limit, isID := idLimits()[s]
		pl.enc = func(src, dst reflect.Value) { dst.SetString(validUTF8(src.String())) }
		pl.dec = func(d *decoding, src, dst reflect.Value) {
			v := src.String()
			if isID {
				d.checkID(s, v, limit)
			}
			dst.SetString(v)
		}
	case s.Kind() == reflect.Bool && b.Kind() == reflect.Bool:
		pl.enc = func(src, dst reflect.Value) { dst.SetBool(src.Bool()) }
		pl.dec = func(_ *decoding, src, dst reflect.Value) { dst.SetBool(src.Bool()) }
	case s.ConvertibleTo(reflect.TypeFor[int64]()) && isInt(s) && isInt(b):
		pl.enc = func(src, dst reflect.Value) { dst.SetInt(clampInt(src.Int(), dst.Type())) }
		pl.dec = func(_ *decoding, src, dst reflect.Value) { dst.SetInt(clampInt(src.Int(), dst.Type())) }
	case isUint(s) && isUint(b):
		pl.enc = func(src, dst reflect.Value) { dst.SetUint(src.Uint()) }
		pl.dec = func(_ *decoding, src, dst reflect.Value) { dst.SetUint(src.Uint()) }
	}
}

func isInt(t reflect.Type) bool  { return t.Kind() >= reflect.Int && t.Kind() <= reflect.Int64 }
func isUint(t reflect.Type) bool { return t.Kind() >= reflect.Uint && t.Kind() <= reflect.Uint64 }

func clampInt(v int64, t reflect.Type) int64 {
	if t.Bits() == 32 {
		return min(max(v, math.MinInt32), math.MaxInt32)
	}
	return v
}

// validUTF8 keeps a careless bridge from breaking its session: protobuf refuses
// to encode other strings.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// idLimits are the types that are ids, with their longest length.
func idLimits() map[reflect.Type]int {
	return map[reflect.Type]int{
		reflect.TypeFor[sdk.RemoteUserID]():    sdk.MaxID,
		reflect.TypeFor[sdk.RemoteRoomID]():    sdk.MaxID,
		reflect.TypeFor[sdk.RemoteMessageID](): sdk.MaxID,
		reflect.TypeFor[sdk.EventID]():         sdk.MaxID,
		reflect.TypeFor[sdk.PartID]():          sdk.MaxID,
		reflect.TypeFor[sdk.LoginID]():         sdk.MaxID,
		reflect.TypeFor[sdk.PersonID]():        sdk.MaxID,
		reflect.TypeFor[sdk.OpID]():            sdk.MaxID,
		reflect.TypeFor[sdk.RemoteRoleID]():    sdk.MaxID,
		reflect.TypeFor[sdk.Cursor]():          sdk.MaxCursor,
		reflect.TypeFor[sdk.MediaID]():         sdk.MaxCursor,
	}
}

func (d *decoding) checkID(t reflect.Type, v string, limit int) {
	if len(v) > limit {
		d.fail("%s of %d bytes is longer than %d", t.Name(), len(v), limit)
		return
	}
	if i := strings.IndexFunc(v, unicode.IsControl); i >= 0 || !utf8.ValidString(v) {
		d.fail("%s has a control character", t.Name())
	}
}

// fillValue is a struct held by value on our side: its zero is no message at all.
func (p *planning) fillValue(pl *plan, s, b reflect.Type) {
	inner := p.plan(s, b.Elem())
	pl.enc = func(src, dst reflect.Value) {
		if src.IsZero() {
			return
		}
		m := reflect.New(b.Elem())
		inner.enc(src, m.Elem())
		dst.Set(m)
	}
	pl.dec = func(d *decoding, src, dst reflect.Value) {
		if !src.IsNil() {
			inner.dec(d, src.Elem(), dst)
		}
	}
}

func (p *planning) fillPointer(pl *plan, s, b reflect.Type) {
	inner := p.plan(s.Elem(), b.Elem())
	pl.enc = func(src, dst reflect.Value) {
		if src.IsNil() {
			return
		}
		v := reflect.New(b.Elem())
		inner.enc(src.Elem(), v.Elem())
		dst.Set(v)
	}
	pl.dec = func(d *decoding, src, dst reflect.Value) {
		if src.IsNil() {
			return
		}
		v := reflect.New(s.Elem())
		inner.dec(d, src.Elem(), v.Elem())
		dst.Set(v)
	}
}

func (p *planning) fillSlice(pl *plan, s, b reflect.Type) {
	elem := b.Elem()
	inner := p.plan(s.Elem(), elem)
	// A list cannot hold "no message": an element that is zero is an empty one.
	message := s.Elem().Kind() == reflect.Struct && elem.Kind() == reflect.Pointer
	pl.enc = func(src, dst reflect.Value) {
		if src.Len() == 0 {
			return
		}
		out := reflect.MakeSlice(b, src.Len(), src.Len())
		for i := range src.Len() {
			inner.enc(src.Index(i), out.Index(i))
			if message && out.Index(i).IsNil() {
				out.Index(i).Set(reflect.New(elem.Elem()))
			}
		}
		dst.Set(out)
	}
	pl.dec = func(d *decoding, src, dst reflect.Value) {
		if src.Len() == 0 {
			return
		}
		out := reflect.MakeSlice(s, src.Len(), src.Len())
		for i := range src.Len() {
			inner.dec(d, src.Index(i), out.Index(i))
		}
		dst.Set(out)
	}
}

type fieldPlan struct {
	sdk, pb []int
	*plan
}

func (p *planning) fillStruct(pl *plan, s, b reflect.Type) {
	twins := map[string]reflect.StructField{}
	for f := range exported(b) {
		twins[strings.ToLower(f.Name)] = f
	}
	var fields []fieldPlan
	for f := range exported(s) {
		if f.Anonymous { // EventHeader, OpHeader: they stand beside the kind
			continue
		}
		name := strings.ToLower(f.Name)
		twin, ok := twins[name]
		if !ok {
			p.errs = append(p.errs, fmt.Sprintf("%s.%s has no twin in %s", s, f.Name, b))
			continue
		}
		delete(twins, name)
		fields = append(fields, fieldPlan{f.Index, twin.Index, p.plan(f.Type, twin.Type)})
	}
	for _, f := range twins {
		p.errs = append(p.errs, fmt.Sprintf("%s.%s has no twin in %s", b, f.Name, s))
	}
	pl.enc = func(src, dst reflect.Value) {
		for _, f := range fields {
			f.enc(src.FieldByIndex(f.sdk), dst.FieldByIndex(f.pb))
		}
	}
	pl.dec = func(d *decoding, src, dst reflect.Value) {
		for _, f := range fields {
			f.dec(d, src.FieldByIndex(f.pb), dst.FieldByIndex(f.sdk))
		}
	}
}

func exported(t reflect.Type) func(yield func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if f := t.Field(i); f.IsExported() && !yield(f) {
				return
			}
		}
	}
}
