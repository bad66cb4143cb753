package grpcbridge

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	pb "github.com/viaduct-xmpp/viaduct/plugins/bridgepb"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk"
	"github.com/viaduct-xmpp/viaduct/plugins/sdk/richtext"
)

func testCodec(t testing.TB) *codec {
	t.Helper()
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// filler fills values with what can travel.
type filler struct{ *rand.Rand }

func (f filler) fill(v reflect.Value, depth int) {
	switch v.Type() {
	case reflect.TypeFor[time.Time]():
		if f.IntN(3) > 0 {
			v.Set(reflect.ValueOf(time.UnixMicro(1 + f.Int64N(1<<51)).UTC()))
		}
		return
	case reflect.TypeFor[time.Duration]():
		v.SetInt(f.Int64N(1<<40) * int64(time.Microsecond))
		return
	case reflect.TypeFor[richtext.Document]():
		doc, _ := richtext.Normalize(richtext.Doc(richtext.Para(richtext.Text(f.word()), richtext.Bold(richtext.MentionUserID(f.word(), f.word())))), richtext.DefaultLimits())
		v.Set(reflect.ValueOf(doc))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.word())
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(f.Int64N(1 << 31))
	case reflect.Uint8, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(f.Uint32()) & 0xff)
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).Anonymous {
				f.fill(v.Field(i), depth+1)
			}
		}
	case reflect.Pointer:
		if depth < 4 && f.IntN(3) > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		if depth < 4 {
			n := 1 + f.IntN(2)
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				f.fill(v.Index(i), depth+1)
			}
		}
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{f.word(): f.word()}))
	default:
		panic(fmt.Sprintf("cannot fill %s", v.Type()))
	}
}

func (f filler) word() string {
	return []string{"", "a", "Ünï", "x:y", "日本", strings.Repeat("z", f.IntN(40))}[f.IntN(6)]
}

// overTheWire encodes and decodes a message as gRPC does.
func overTheWire(t *testing.T, m proto.Message) proto.Message {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	out := m.ProtoReflect().New().Interface()
	if err := proto.Unmarshal(raw, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEveryTypeComesBack(t *testing.T) {
	c := testCodec(t)
	f := filler{rand.New(rand.NewPCG(1, 2))}
	for _, k := range messagePairs() {
		st, pt := reflect.TypeOf(k.sdk), reflect.TypeOf(k.pb).Elem()
		pl := c.plans[pair{st, pt}]
		for range 50 {
			in, out, m := reflect.New(st), reflect.New(st), reflect.New(pt)
			f.fill(in.Elem(), 0)
			pl.enc(in.Elem(), m.Elem())
			back := overTheWire(t, m.Interface().(proto.Message))
			var d decoding
			pl.dec(&d, reflect.ValueOf(back).Elem(), out.Elem())
			if d.err != nil {
				t.Fatalf("%s: %v", st, d.err)
			}
			if !reflect.DeepEqual(in.Interface(), out.Interface()) {
				t.Fatalf("%s:\n in  %+v\n out %+v", st, in.Elem(), out.Elem())
			}
		}
	}
}

func TestEventsOpsAndSignalsComeBack(t *testing.T) {
	c := testCodec(t)
	f := filler{rand.New(rand.NewPCG(3, 4))}
	for _, k := range eventKinds() {
		in := reflect.New(reflect.TypeOf(k.sdk))
		f.fill(in.Elem(), 0)
		e := in.Interface().(sdk.Event)
		f.fill(reflect.ValueOf(e.Head()).Elem(), 0)
		m, err := c.event(e)
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.toEvent(overTheWire(t, m).(*pb.Event))
		if err != nil || !reflect.DeepEqual(out, e) {
			t.Errorf("%T: %v\n in  %+v\n out %+v", e, err, e, out)
		}
	}
	for _, k := range opKinds() {
		in := reflect.New(reflect.TypeOf(k.sdk))
		f.fill(in.Elem(), 0)
		o := in.Interface().(sdk.Op)
		f.fill(reflect.ValueOf(o.Head()).Elem(), 0)
		m, err := c.op(o)
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.toOp(overTheWire(t, m).(*pb.Op))
		if err != nil || !reflect.DeepEqual(out, o) {
			t.Errorf("%T: %v\n in  %+v\n out %+v", o, err, o, out)
		}
	}
	for _, k := range signalKinds() {
		in := reflect.New(reflect.TypeOf(k.sdk))
		f.fill(in.Elem(), 0)
		s := in.Interface().(sdk.Signal)
		m, ok := c.signal(s)
		if !ok {
			t.Fatalf("%T does not travel", s)
		}
		if out, ok := c.toSignal(overTheWire(t, m).(*pb.Signal)); !ok || !reflect.DeepEqual(out, s) {
			t.Errorf("%T:\n in  %+v\n out %+v", s, s, out)
		}
	}
}

// Every member of a oneof must be in its table, or a newer kind would arrive as unknown.
func TestTablesAreComplete(t *testing.T) {
	for _, tc := range []struct {
		m     proto.Message
		kinds []kind
	}{{&pb.Event{}, eventKinds()}, {&pb.Op{}, opKinds()}, {&pb.Signal{}, signalKinds()}} {
		d := tc.m.ProtoReflect().Descriptor()
		if got, want := len(tc.kinds), d.Oneofs().ByName("kind").Fields().Len(); got != want {
			t.Errorf("%s: %d kinds in the table, %d in the .proto", d.Name(), got, want)
		}
	}
	h := newHostCalls(testCodec(t), nil, nil, nil)
	if got, want := len(h.table), (&pb.Call{}).ProtoReflect().Descriptor().Oneofs().ByName("request").Fields().Len(); got != want {
		t.Errorf("Call: %d requests in the table, %d in the .proto", got, want)
	}
}

// The constants of sdk and the enums of the .proto are the same numbers.
func TestEnumsAgree(t *testing.T) {
	enums := map[string]protoreflect.EnumDescriptor{}
	protoregistry.GlobalTypes.RangeEnums(func(e protoreflect.EnumType) bool {
		if e.Descriptor().ParentFile().Package() == "viaduct.bridge.v1" {
			enums[string(e.Descriptor().Name())] = e.Descriptor()
		}
		return true
	})
	seen := map[string]int{}
	for _, dir := range []string{"../sdk", "../sdk/richtext"} {
		for typ, consts := range typedConstants(t, dir) {
			e, ok := enums[map[bool]string{true: "NodeKind", false: typ}[typ == "Kind"]]
			if !ok {
				continue
			}
			for name, number := range consts {
				seen[string(e.Name())]++
				v := e.Values().ByNumber(protoreflect.EnumNumber(number))
				if v == nil {
					t.Errorf("%s.%s = %d is not in the .proto", typ, name, number)
					continue
				}
				suffix := strings.TrimPrefix(string(v.Name()), screaming(string(e.Name()))+"_")
				if !strings.HasSuffix(strings.ToLower(name), strings.ToLower(strings.ReplaceAll(suffix, "_", ""))) {
					t.Errorf("%s.%s = %d is %s in the .proto", typ, name, number, v.Name())
				}
			}
		}
	}
	for name, e := range enums {
		if seen[name] != e.Values().Len() {
			t.Errorf("enum %s: %d constants in sdk, %d values in the .proto", name, seen[name], e.Values().Len())
		}
	}
}

func screaming(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte('_')
		}
		b.WriteRune(r)
	}
	return strings.ToUpper(b.String())
}

// typedConstants reads "Name Type = number" declarations.
func typedConstants(t *testing.T, dir string) map[string]map[string]int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		t.Fatal("no sources", err)
	}
	out := map[string]map[string]int{}
	for _, name := range names {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			v, ok := n.(*ast.ValueSpec)
			if !ok || len(v.Values) != 1 {
				return true
			}
			typ, isIdent := v.Type.(*ast.Ident)
			lit, isLit := v.Values[0].(*ast.BasicLit)
			if !isIdent || !isLit || lit.Kind != token.INT {
				return true
			}
			number, err := strconv.Atoi(lit.Value)
			if err != nil {
				t.Fatal(err)
			}
			if out[typ.Name] == nil {
				out[typ.Name] = map[string]int{}
			}
			out[typ.Name][v.Names[0].Name] = number
			return true
		})
	}
	return out
}

func TestDecodingRefuses(t *testing.T) {
	c := testCodec(t)
	for _, tc := range []struct {
		name string
		head *pb.EventHeader
	}{
		{"an id that is too long", &pb.EventHeader{Id: strings.Repeat("x", sdk.MaxID+1)}},
		{"a control character", &pb.EventHeader{Portal: &pb.PortalKey{Room: "a\nb"}}},
		{"a control character deep down", &pb.EventHeader{Actor: &pb.Party{User: "\x00"}}},
	} {
		if _, err := c.toEvent(&pb.Event{Head: tc.head, Kind: &pb.Event_Message{Message: &pb.Message{}}}); err == nil {
			t.Errorf("%s was taken", tc.name)
		}
	}
}

func TestHostileTreeIsBounded(t *testing.T) {
	n := &pb.Node{Kind: pb.NodeKind_NODE_KIND_TEXT, Text: "deep"}
	for range 1000 {
		n = &pb.Node{Kind: pb.NodeKind_NODE_KIND_QUOTE, Children: []*pb.Node{n}}
	}
	c := testCodec(t)
	m := &pb.Event{Head: &pb.EventHeader{Id: "1"}, Kind: &pb.Event_Message{Message: &pb.Message{Content: &pb.Content{Body: &pb.Document{Blocks: []*pb.Node{n}}}}}}
	e, err := c.toEvent(m)
	if err != nil {
		t.Fatal(err)
	}
	body := e.(*sdk.Message).Content.Body
	depth := 0
	for nodes := body.Blocks; len(nodes) > 0; nodes = nodes[0].Children {
		depth++
	}
	if depth == 0 || depth > richtext.DefaultLimits().Depth+2 {
		t.Fatalf("depth %d", depth)
	}
}

func TestUnknownKindsKeepTheirHeader(t *testing.T) {
	c := testCodec(t)
	raw, err := proto.Marshal(&pb.Event{Head: &pb.EventHeader{Id: "e1"}})
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, 0xFA, 0x3E, 0x01, 'x') // field 1007, length-delimited
	var m pb.Event
	if err := proto.Unmarshal(raw, &m); err != nil {
		t.Fatal(err)
	}
	e, err := c.toEvent(&m)
	if u, ok := e.(*sdk.UnknownEvent); err != nil || !ok || u.ID != "e1" {
		t.Fatalf("%#v, %v", e, err)
	}
	o, err := c.toOp(&pb.Op{Head: &pb.OpHeader{Id: "o1"}})
	if u, ok := o.(*sdk.UnknownOp); err != nil || !ok || u.ID != "o1" {
		t.Fatalf("%#v, %v", o, err)
	}
}
