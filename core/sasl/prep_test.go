package sasl

import (
	"bytes"
	"testing"
	"unicode/utf8"
)

func TestPreparePassword(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"ASCII", "pencil", "pencil"},
		{"space kept", " pen cil ", " pen cil "},
		{"RFC 4013 §3: soft hyphen", "I\u00adX", "IX"},
		{"RFC 4013 §3: case kept", "USER", "USER"},
		{"RFC 4013 §3: compatibility", "\u00aa", "a"},
		{"RFC 4013 §3: compatibility 2", "\u2168", "IX"},
		{"non-ASCII space", "a\u00a0b\u3000c", "a b c"},
		{"composed", "u\u0308", "ü"},
		{"emoji newer than Unicode 3.2", "pass\U0001f9d9word", "pass\U0001f9d9word"},
		{"right to left", "\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd"},
		{"mixed directions, as an OpaqueString", "\u05e9\u05dc\u05d5\u05dd1", "\u05e9\u05dc\u05d5\u05dd1"},
		{"RFC 4013 §3: control", "\u0007", ""},
		{"DEL", "a\u007f", ""},
		{"empty", "", ""},
		{"only a soft hyphen", "\u00ad", ""},
		{"not UTF-8", "a\xff", ""},
		{"private use", "a\ue000", ""},
		{"noncharacter", "a\U0001ffff", ""},
		{"direction mark", "a\u202eb", ""},
		{"replacement character", "\ufffd", ""},
		{"tag", "a\U000e0041", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := PreparePassword(tt.in)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestPrepareUsername(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"ASCII", "juliet", "juliet"},
		{"case", "JULIET", "juliet"},
		{"non-ASCII", "JÜRGEN", "jürgen"},
		{"full width", "\uff4a\uff55", "ju"},
		{"empty", "", ""},
		{"space", "ju liet", ""},
		{"at sign", "juliet@x", ""},
		{"slash", "juliet/x", ""},
		{"control", "juliet\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := PrepareUsername(tt.in)
			if got != tt.want || (err != nil) != (tt.want == "") {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func TestCredentials(t *testing.T) {
	c, err := DeriveCredentials(SHA512, "pass\u00adword", NewSalt(), minIterations)
	if err != nil {
		t.Fatal(err)
	}
	for password, want := range map[string]bool{"password": true, "Password": false, "": false, "x": false} {
		if ok, err := c.Verify(password); ok != want || err != nil {
			t.Errorf("%q: %v, %v", password, ok, err)
		}
	}
	salted, err := SaltedPassword(SHA512, "password", c.Salt, c.Iterations)
	if err != nil {
		t.Fatal(err)
	}
	up, err := CredentialsFromSaltedPassword(SHA512, salted, c.Salt, c.Iterations) // XEP-0480
	if err != nil || !bytes.Equal(up.StoredKey, c.StoredKey) || !bytes.Equal(up.ServerKey, c.ServerKey) {
		t.Errorf("upgrade: %v", err)
	}
	if _, err := CredentialsFromSaltedPassword(SHA256, salted, c.Salt, c.Iterations); err == nil {
		t.Error("a salted password of another hash was taken")
	}
	if _, err := DeriveCredentials(SHA1, "password", nil, minIterations); err == nil {
		t.Error("no salt was taken")
	}
	if _, err := (Credentials{Hash: SHA1}).Verify("x"); err == nil {
		t.Error("damaged credentials were taken")
	}
	if SHA256.UpgradeTask() != "UPGR-SCRAM-SHA-256" {
		t.Error(SHA256.UpgradeTask())
	}
}

func TestHashNames(t *testing.T) {
	for _, h := range Hashes() {
		if got, ok := ParseHash(h.String()); !ok || got != h {
			t.Errorf("%v: %v %v", h, got, ok)
		}
		for _, plus := range []bool{false, true} {
			got, p, ok := h.Mechanism(plus).Scram()
			if got != h || p != plus || !ok {
				t.Errorf("%s: %v %v %v", h.Mechanism(plus), got, p, ok)
			}
		}
	}
	for _, n := range []Name{"PLAIN", "SCRAM-", "SCRAM-MD5", "SCRAM-MD5-PLUS", "-PLUS", "SHA-1"} {
		if _, _, ok := n.Scram(); ok {
			t.Errorf("%s taken", n)
		}
	}
}

func TestText(t *testing.T) {
	tests := []struct {
		name, in string
		initial  bool
		want     []byte
		cond     Condition
	}{
		{"none", "", true, nil, ""},
		{"empty initial", "=", true, []byte{}, ""},
		{"empty response", "", false, []byte{}, ""},
		{"data", "AGE=", true, []byte("\x00a"), ""},
		{"not base64", "%", true, nil, IncorrectEncoding},
		{"no padding", "AGE", true, nil, IncorrectEncoding},
		{"stray bits", "AGF=", true, nil, IncorrectEncoding},
		{"line feed", "AG\nE=", true, nil, IncorrectEncoding},
		{"space", "AG E=", true, nil, IncorrectEncoding},
		{"two equal signs", "==", true, nil, IncorrectEncoding},
		{"too long", string(bytes.Repeat([]byte("A"), MaxMessage*2)), true, nil, MalformedRequest},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := DecodeText([]byte(tt.in), tt.initial)
			if tt.cond != "" {
				wantCondition(t, err, tt.cond)
				return
			}
			if err != nil || !bytes.Equal(got, tt.want) || (got == nil) != (tt.want == nil) {
				t.Fatalf("%#v, %v", got, err)
			}
			if tt.initial && EncodeText(got) != tt.in {
				t.Errorf("back: %q", EncodeText(got))
			}
		})
	}
}

func FuzzPreparePassword(f *testing.F) {
	for _, s := range []string{"pencil", "I\u00adX", "\u2168", "\u05e9 1", "\xff", "\u0007", "\U000e0041"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, err := PreparePassword(s)
		if err != nil {
			return
		}
		if !utf8.ValidString(out) || out == "" {
			t.Fatalf("%q became %q", s, out)
		}
	})
}
