package mappings_test

import "strings"

// addressRows are the ids of the golden file: network, kind, id.
func addressRows() [][3]string {
	var out [][3]string
	add := func(network, kind string, ids ...string) {
		for _, id := range ids {
			out = append(out, [3]string{network, kind, id})
		}
	}
	add("matrix", "user",
		"@alice:matrix.org", "@bob:hs", "@a/b:hs:8448", "@Alice:hs", "@ALICE:hs", "@aLiCe:hs", "@alice~1:hs", "@alice~0:hs", "@alice~:hs", "@alice~g:hs",
		"@Alice~1:hs", "@alice~dead:hs", "@a%b:hs", "@%:hs", "@a%%b:hs", "@_xmpp_bob=40example.org:hs", "@user=3aname:hs", "@a.b_c-d=e/f+g:example.com",
		"@irc_#chan:hs", "@a&b:hs", "@a'b:hs", "@a\"b:hs", "@a<b>c:hs", "@a@b:hs", "@a b:hs", "@ a:hs", "@a :hs", "@a\\b:hs", "@a\\20b:hs", "@a\\5c20b:hs", "@\\:hs",
		"@юрий:hs", "@ЮРИЙ:hs", "@Straße:hs", "@STRASSE:hs", "@ΣΊΣΥΦΟΣ:hs", "@İstanbul:hs", "@ǆ:hs", "@ǅ:hs", "@Ǆ:hs", "@é:hs", "@e\u0301:hs", "@ﬁ:hs", "@Å:hs", "@Å:hs",
		"@ａ:hs", "@١٢٣:hs", "@用户:hs", "@🙂:hs", "@a\u200bb:hs", "@a\u202eb:hs", "@b32-abc:hs", "@h-abc:hs", "@b32-mfrgg:hs", "@"+strings.Repeat("a", 200)+":hs",
		"@"+strings.Repeat("A", 200)+":hs", "@x:127.0.0.1", "@x:127.0.0.1:8448", "@x:[::1]", "@x:[2001:db8::1]:8448", "@x:xn--bcher-kva.example", "@x:bücher.example",
		"@x:HS", "@:hs", "@a", "alice:hs", "@"+strings.Repeat("é", 400)+":hs", "@"+strings.Repeat("z", 900)+":hs", "@\tx:hs", "@a:b:c:d", "@1:2", "@.:hs", "@-:hs")
	add("matrix", "room",
		"!QtyK:hs", "!qtyk:hs", "!qtyK:hs", "!QTYK:hs", "!OGEhHVWSdvArJzumhm:matrix.org", "!abc:hs:8448", "!AbCdEfGhIjKlMnOpQr:example.org",
		"!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM", "!abcdefghijklmnopqrstuvwxyz0123456789-_ABCDE", "!___________________________________________",
		"!-a:hs", "!a~1:hs", "!A~1:hs", "!a%b:hs", "!b32-ab:hs", "!b32-mfrgg", "!h-"+strings.Repeat("a", 52), "!h-aa", "!"+strings.Repeat("R", 300)+":hs",
		"!x:[::1]:8448", "!ÄÖÜ:hs", "!a b:hs", "!#x:hs", "!!x:hs", "!@x:hs", "!x:Upper.example", "!Zz9:hs", "!zZ9:hs", "!ZZ9:hs", "!zz9:hs",
		"#not-a-room:hs", "room", "!"+strings.Repeat("q", 1000), "!"+strings.Repeat("Q", 1000))
	add("matrix", "alias",
		"#xmpp:matrix.org", "#Matrix:matrix.org", "#matrix:matrix.org", "#a/b:hs", "#a b:hs", "#юникс:hs", "#_xmpp_room=40conf.example.org:hs", "#irc_#go:hs", "##double:hs",
		"#a~1:hs", "#a%b:hs", "#x:hs:8448", "#CamelCase:example.org")
	add("slack", "user",
		"U012ABC:T0XYZ", "U0:T0", "W0123456789:E01ABCDEF", "USLACKBOT:T0XYZ", "B012ABC:T0XYZ", "u012:T0", "U012ABC", "U012ABC:t0xyz", "U1%2:T0", "U1:T0:X", "UÄ:T0", "U012ABC:T9")
	add("slack", "room", "C012ABC:T0XYZ", "G0A:T0XYZ", "D0A:T0XYZ", "C012ABC:E0ENT", "C0", "c012abc:T0XYZ", "B32-ABC:T0", "C012ABC:T1XYZ", "#C0:T0")
	add("slack", "alias", "#general:acme", "#random:acme-corp", "#dev_ops:acme", "#ünïcode:acme", "#日本語:acme", "#a.b:acme")
	add("discord", "user", "123456789012345678", "1", "0", "00", "18446744073709551615", "80351110224678912", "abc", "12a", "١٢", "wh-1-abc")
	add("discord", "room", "41771983423143937", "1234567890123456789", "7", "07", "0007", "general", "-1", "1 2")
	add("discord", "alias", "#general:197038439483310086", "#general:my-guild", "#off-topic:197038439483310086", "#💬chat:my-guild")
	add("demo", "user", "ada", "grace", "linus", "o'brien", "a&b", "a b", "Ada", "b32-aa", "b32-mfrgg", "h-x", "x@y", "x/y", "x:y", "ада", "🙂", "~", "~1", "a~1", "%", "a%b", "#a", "!a")
	add("demo", "room", "lobby", "support", "off topic", "a/b", "#tag", "Lobby", "b32-mfrgg", "лобби", "50%", "x~ff", ".", "..", "-")
	return out
}
