package sdk

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

type testConfig struct {
	Homeserver string            `json:"homeserver" doc:"URL of the homeserver" required:"true"`
	Token      string            `json:"token" doc:"access token" secret:"true" required:"true"`
	Timeout    Duration          `json:"timeout" doc:"longest wait" default:"30s"`
	Mode       string            `json:"mode" doc:"what to carry" enum:"all,text" default:"all"`
	Max        int               `json:"max" doc:"most" default:"7"`
	Ratio      float64           `json:"ratio" doc:"ratio"`
	On         bool              `json:"on" doc:"switch" default:"true"`
	Names      map[string]string `json:"names" doc:"names"`
	Guilds     []testGuild       `json:"guilds" doc:"guilds"`
	Limits     struct {
		Rate int `json:"rate" doc:"per second" default:"3"`
	} `json:"limits" doc:"limits"`
	Hidden  int `json:"-"`
	private int
}

type testGuild struct {
	ID     string `json:"id" doc:"id" required:"true"`
	Secret string `json:"secret" doc:"a secret" secret:"true"`
}

func TestSchemaAndDecode(t *testing.T) {
	s := SchemaOf(&testConfig{private: 1})
	byName := map[string]ConfigKey{}
	for _, k := range s.Keys {
		byName[k.Name] = k
	}
	if len(s.Keys) != 10 || byName["token"].Secret != true || byName["timeout"].Type != TypeDuration || byName["timeout"].Default != "30s" ||
		byName["guilds"].Elem.Keys[1].Name != "secret" || byName["limits"].Keys[0].Type != TypeInt || byName["names"].Elem.Type != TypeString ||
		!reflect.DeepEqual(byName["mode"].Enum, []string{"all", "text"}) {
		t.Errorf("%+v", s)
	}
	var cfg testConfig
	if err := DecodeConfig([]byte(`{"homeserver":"https://hs","timeout":"1m","limits":{},"on":false}`), &cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.Homeserver != "https://hs" || time.Duration(cfg.Timeout) != time.Minute || cfg.Mode != "all" || cfg.Max != 7 || cfg.Limits.Rate != 3 || cfg.On {
		t.Errorf("%+v", cfg)
	}
	if b, err := json.Marshal(cfg.Timeout); err != nil || string(b) != `"1m0s"` {
		t.Errorf("%s, %v", b, err)
	}
	for name, raw := range map[string]string{"unknown key": `{"homesever":"x"}`, "duration": `{"timeout":5}`, "bad duration": `{"timeout":"5 parsecs"}`, "trailing": `{} {}`, "type": `{"max":"x"}`} {
		if err := DecodeConfig([]byte(raw), &testConfig{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := DecodeConfig(nil, &testConfig{}); err != nil {
		t.Error(err)
	}
	if err := DecodeConfig(nil, testConfig{}); err == nil {
		t.Error("decoded into a value")
	}
	defer func() {
		if recover() == nil {
			t.Error("a channel is configuration")
		}
	}()
	SchemaOf(struct {
		C chan int `json:"c"`
	}{})
}

func TestCheckConfig(t *testing.T) {
	s := SchemaOf(testConfig{})
	full := `"homeserver":"x","token":"y"`
	for _, tc := range []struct {
		name, raw string
		want      []string
	}{
		{"fine", `{` + full + `,"guilds":[{"id":"1","secret_file":"f"}],"names":{"a":"b"},"ratio":1.5,"max":3,"on":null}`, nil},
		{"missing", ``, []string{"homeserver: is needed: URL of the homeserver", "token: is needed: access token"}},
		{"null", `null`, []string{"homeserver: is needed: URL of the homeserver", "token: is needed: access token"}},
		{"unknown", `{` + full + `,"Home_server":"x","zzz":1}`, []string{"Home_server: unknown key, did you mean homeserver?", "zzz: unknown key"}},
		{"types", `{` + full + `,"max":1.5,"on":"yes","timeout":"long","ratio":"x","names":[],"guilds":{},"mode":"some","limits":3}`, []string{
			"timeout: a duration is needed", "mode: one of all, text is needed", "max: a int is needed", "ratio: a number is needed",
			"on: a bool is needed", "names: a map is needed", "guilds: a list is needed", "limits: a object is needed",
		}},
		{"nested", `{` + full + `,"guilds":[{"id":"1"},{"idd":"2"}],"names":{"a":1}}`, []string{
			"names.a: a string is needed", "guilds.1.id: is needed: id", "guilds.1.idd: unknown key, did you mean id?",
		}},
		{"two sources", `{` + full + `,"token_file":"f"}`, []string{"token: given more than once: use one of the key, token_file and the environment"}},
		{"not a mapping", `[]`, []string{".: not a mapping of keys to values: json: cannot unmarshal array into Go value of type map[string]interface {}"}},
		{"file for what is no secret", `{` + full + `,"mode_file":"x"}`, []string{"mode_file: unknown key, did you mean mode?"}},
	} {
		var got []string
		for _, p := range s.Check([]byte(tc.raw), nil) {
			got = append(got, p.String())
		}
		if !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s:\n got  %q\n want %q", tc.name, got, tc.want)
		}
	}
	fromEnv := func(path string) bool { return path == "token" }
	if got := s.Check([]byte(`{"homeserver":"x"}`), fromEnv); len(got) > 0 {
		t.Error(got)
	}
	if got := s.Check([]byte(`{"homeserver":"x","token":"y"}`), fromEnv); len(got) != 1 {
		t.Error(got)
	}
}

func TestResolveSecrets(t *testing.T) {
	src := SecretSource{
		ReadFile: func(path, file string) (string, error) {
			if file == "missing" {
				return "", errors.New("no such file")
			}
			return "from " + file + " for " + path + "\n", nil
		},
		Env: func(path string) (string, bool) { return "from env", path == "token" },
	}
	out, problems := SchemaOf(testConfig{}).Resolve([]byte(`{"homeserver":"x","on":null,"guilds":[{"id":"1","secret_file":"g"}]}`), src)
	want := `{"guilds":[{"id":"1","secret":"from g for guilds.0.secret"}],"homeserver":"x","token":"from env"}`
	if len(problems) > 0 || string(out) != want {
		t.Fatalf("%s, %v", out, problems)
	}
	var cfg testConfig
	if err := DecodeConfig(out, &cfg); err != nil || cfg.Token != "from env" || !cfg.On {
		t.Fatal(cfg, err)
	}
	for name, raw := range map[string]string{
		"two sources": `{"homeserver":"x","token_file":"f"}`, "missing file": `{"homeserver":"x","guilds":[{"id":"1","secret_file":"missing"}]}`,
		"unknown": `{"x":1}`, "broken": `{`,
	} {
		if out, problems := SchemaOf(testConfig{}).Resolve([]byte(raw), src); len(problems) == 0 || out != nil {
			t.Errorf("%s: %s", name, out)
		}
	}
	_, problems = SchemaOf(testConfig{}).Resolve([]byte(`{"homeserver":"x","token_file":"f"}`), SecretSource{})
	if len(problems) != 1 || !strings.Contains(problems[0].Text, "files cannot be read") {
		t.Error(problems)
	}
}

func FuzzCheckConfig(f *testing.F) {
	f.Add([]byte(`{"homeserver":"x","token":"y","guilds":[{"id":"1","secret_file":"f"}],"names":{"a":"b"}}`))
	f.Add([]byte(`{"guilds":[null,{"id":null}],"limits":{"rate":1e3}}`))
	s := SchemaOf(testConfig{})
	src := SecretSource{ReadFile: func(string, string) (string, error) { return "s", nil }}
	f.Fuzz(func(t *testing.T, raw []byte) {
		problems := s.Check(raw, nil)
		out, more := s.Resolve(raw, src)
		if (len(problems) == 0) != (len(more) == 0) {
			t.Fatalf("check %v, resolve %v", problems, more)
		}
		// What passes the check can be decoded.
		if out != nil {
			if err := DecodeConfig(out, &testConfig{}); err != nil {
				t.Fatalf("%s passed and does not decode: %v", out, err)
			}
		}
	})
}
