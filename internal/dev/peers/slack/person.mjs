// node person.mjs API_URL TOKEN CHANNEL_ID [BASE_URL]: a person on Slack, through Slack's own library (@slack/web-api).
// Prints CONTROL=URL when ready. POST {id,text,emoji,name,data,thread} to /say /reply /edit /delete /react /unreact /file /topic does it and answers {"id": ts};
// GET /heard?from=N gives all that was seen in the channel, in order: she looks at it again and again, as a Web API client must.
import { createServer } from "node:http";
import { WebClient } from "@slack/web-api";

const [api, token, channel] = process.argv.slice(2);
if (!channel) { console.error("usage: node person.mjs API_URL TOKEN CHANNEL_ID"); process.exit(2); }
const web = new WebClient(token, { slackApiUrl: api, allowAbsoluteUrls: true });
const { user_id: me } = await web.auth.test();
await web.conversations.join({ channel }).catch(() => {});

const heard = [], known = new Map();
let topic;

async function content(file) {
  const address = file.url_private_download || file.url_private;
  if (!address) return "";
  const answer = await fetch(address, { headers: { Authorization: `Bearer ${token}` } });
  return answer.ok ? await answer.text() : `${answer.status}`;
}

const reactions = (m) => new Set((m.reactions ?? []).flatMap((r) => r.users.map((u) => `${r.name} ${u}`)));

async function look() {
  const list = [];
  let cursor;
  do {
    const page = await web.conversations.history({ channel, limit: 200, cursor });
    list.push(...page.messages);
    cursor = page.response_metadata?.next_cursor;
  } while (cursor);
  for (const m of [...list]) {
    if (m.reply_count || m.thread_ts === m.ts) {
      const { messages } = await web.conversations.replies({ channel, ts: m.ts, limit: 200 });
      list.push(...messages.filter((r) => r.ts !== m.ts));
    }
  }
  const now = new Map(list.map((m) => [m.ts, m]));
  for (const m of [...now.values()].sort((a, b) => (a.ts < b.ts ? -1 : 1))) {
    const before = known.get(m.ts);
    const author = m.username || m.bot_profile?.name || m.user || "", mine = m.user === me && !m.username;
    const files = await Promise.all((m.files ?? []).map(content));
    if (!before) heard.push({ what: "message", id: m.ts, author, text: m.text ?? "", reply: m.thread_ts && m.thread_ts !== m.ts ? m.thread_ts : "", files, mine, icon: m.icons?.image_url ?? "" });
    else if (before.text !== m.text) heard.push({ what: "edit", id: m.ts, author, text: m.text ?? "", mine });
    const was = before ? before.emoji : new Set(), is = reactions(m);
    for (const r of is) if (!was.has(r)) heard.push({ what: "react", id: m.ts, emoji: r.split(" ")[0], mine: r.endsWith(` ${me}`) });
    for (const r of was) if (!is.has(r)) heard.push({ what: "unreact", id: m.ts, emoji: r.split(" ")[0], mine: r.endsWith(` ${me}`) });
    known.set(m.ts, { text: m.text, emoji: is });
  }
  for (const ts of [...known.keys()]) if (!now.has(ts)) { known.delete(ts); heard.push({ what: "delete", id: ts }); }
  const info = await web.conversations.info({ channel });
  const said = info.channel.topic?.value ?? "";
  if (topic !== undefined && topic !== said) heard.push({ what: "topic", text: said });
  topic = said;
}

async function watch() {
  for (;;) {
    try { await look(); } catch (e) { if (process.env.DEBUG) console.error(e); }
    await new Promise((done) => setTimeout(done, 150));
  }
}

const does = {
  say: async (o) => (await web.chat.postMessage({ channel, text: o.text })).ts,
  reply: async (o) => (await web.chat.postMessage({ channel, text: o.text, thread_ts: o.id })).ts,
  edit: async (o) => (await web.chat.update({ channel, ts: o.id, text: o.text })).ts,
  delete: async (o) => (await web.chat.delete({ channel, ts: o.id }), ""),
  react: async (o) => (await web.reactions.add({ channel, timestamp: o.id, name: o.emoji }), ""),
  unreact: async (o) => (await web.reactions.remove({ channel, timestamp: o.id, name: o.emoji }), ""),
  file: async (o) => (await web.filesUploadV2({ channel_id: channel, filename: o.name, content: o.data, initial_comment: o.text || undefined }), ""),
  topic: async (o) => (await web.conversations.setTopic({ channel, topic: o.text }), ""),
};

const server = createServer(async (req, res) => {
  const url = new URL(req.url, "http://127.0.0.1"), answer = (status, body) => { res.writeHead(status, { "content-type": "application/json" }); res.end(JSON.stringify(body)); };
  if (url.pathname === "/heard") return answer(200, heard.slice(Number(url.searchParams.get("from") ?? 0)));
  const chunks = [];
  for await (const c of req) chunks.push(c);
  const act = does[url.pathname.slice(1)];
  if (!act) return answer(404, { error: "no such thing to do" });
  try { answer(200, { id: await act(JSON.parse(Buffer.concat(chunks) || "{}")) }); } catch (e) { answer(502, { error: String(e.data?.error ?? e) }); }
});
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(0));
await look();
server.listen(0, "127.0.0.1", () => { console.log(`CONTROL=http://127.0.0.1:${server.address().port}`); void watch(); });
