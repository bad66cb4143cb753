package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// Schema describes the keys of a bridge's `config:`. The server checks the
// subtree against it without running the network part (an unknown key is an
// error with its line), generates the reference from it, resolves secrets (from
// the key itself, `key_file` or the environment) and redacts them; the bridge gets
// JSON with every secret under its plain key and never opens a secret's file.
//
// It is made from the struct the bridge decodes into:
//
//	type Config struct {
//		Homeserver string       `json:"homeserver" doc:"URL of the homeserver" required:"true"`
//		Token      string       `json:"token" doc:"access token" secret:"true"`
//		Timeout    sdk.Duration `json:"timeout" doc:"longest wait for an answer" default:"30s"`
//		Mode       string       `json:"mode" doc:"what to carry" enum:"all,text" default:"all"`
//	}
//	Config: sdk.SchemaOf(Config{})          // in Info
//	err := sdk.DecodeConfig(c.JSON, &cfg)   // in Configure
type Schema struct {
	Keys []ConfigKey
}

// ConfigType is what a key holds.
type ConfigType string

const (
	TypeString   ConfigType = "string"
	TypeInt      ConfigType = "int"
	TypeNumber   ConfigType = "number"
	TypeBool     ConfigType = "bool"
	TypeDuration ConfigType = "duration" // "30s", "24h"
	TypeObject   ConfigType = "object"   // Keys
	TypeMap      ConfigType = "map"      // any key; Elem
	TypeList     ConfigType = "list"     // Elem
)

// ConfigKey is one key.
type ConfigKey struct {
	Name     string
	Type     ConfigType
	Doc      string
	Required bool
	Secret   bool // also from `NAME_file` or the environment
	Default  string
	Enum     []string
	Keys     []ConfigKey // of an object
	Elem     *ConfigKey  // of a list or map
}

// Duration is a time.Duration written as "1m30s".
type Duration time.Duration

// UnmarshalJSON implements json.Unmarshaler.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return errors.New(`a duration such as "30s" is needed`)
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return fmt.Errorf("a duration such as \"30s\" is needed, not %q", s)
	}
	*d = Duration(v)
	return nil
}

// MarshalJSON implements json.Marshaler.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// DecodeConfig decodes strictly into a struct, after filling in its defaults.
// Keys that are absent or null keep the default.
func DecodeConfig(raw []byte, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return fmt.Errorf("decode config: into %T, not a pointer to a struct", into)
	}
	if err := fillDefaults(v.Elem()); err != nil {
		return fmt.Errorf("decode config: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return nil
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return fmt.Errorf("decode config: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("decode config: something follows the configuration")
	}
	return nil
}

// fillDefaults gives fields with a `default` tag that value.
func fillDefaults(v reflect.Value) error {
	for i := range v.NumField() {
		f, val := v.Type().Field(i), v.Field(i)
		if !f.IsExported() {
			continue
		}
		if val.Kind() == reflect.Struct {
			if err := fillDefaults(val); err != nil {
				return err
			}
			continue
		}
		def, ok := f.Tag.Lookup("default")
		if !ok || !val.IsZero() {
			continue
		}
		raw := []byte(def)
		if val.Kind() == reflect.String || f.Type == reflect.TypeFor[Duration]() {
			raw, _ = json.Marshal(def)
		}
		if err := json.Unmarshal(raw, val.Addr().Interface()); err != nil {
			return fmt.Errorf("default of %s: %w", f.Name, err)
		}
	}
	return nil
}

// SchemaOf reads the schema off a struct's fields and tags. It panics on a
// type that configuration cannot hold: a mistake of the bridge's author that its
// first test finds.
func SchemaOf(config any) Schema {
	t := reflect.TypeOf(config)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return Schema{Keys: structKeys(t)}
}

func structKeys(t reflect.Type) []ConfigKey {
	var keys []ConfigKey
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			panic(fmt.Sprintf("sdk: config field %s.%s has no json name", t.Name(), f.Name))
		}
		k := typeKey(f.Type)
		k.Name, k.Doc, k.Default = name, f.Tag.Get("doc"), f.Tag.Get("default")
		k.Required, k.Secret = f.Tag.Get("required") == "true", f.Tag.Get("secret") == "true"
		if e := f.Tag.Get("enum"); e != "" {
			k.Enum = strings.Split(e, ",")
		}
		keys = append(keys, k)
	}
	return keys
}

func typeKey(t reflect.Type) ConfigKey {
	if t == reflect.TypeFor[Duration]() {
		return ConfigKey{Type: TypeDuration}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeKey(t.Elem())
	case reflect.String:
		return ConfigKey{Type: TypeString}
	case reflect.Bool:
		return ConfigKey{Type: TypeBool}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return ConfigKey{Type: TypeInt}
	case reflect.Float32, reflect.Float64:
		return ConfigKey{Type: TypeNumber}
	case reflect.Struct:
		return ConfigKey{Type: TypeObject, Keys: structKeys(t)}
	case reflect.Slice:
		elem := typeKey(t.Elem())
		return ConfigKey{Type: TypeList, Elem: &elem}
	case reflect.Map:
		elem := typeKey(t.Elem())
		return ConfigKey{Type: TypeMap, Elem: &elem}
	}
	panic(fmt.Sprintf("sdk: config cannot hold a %s", t))
}
