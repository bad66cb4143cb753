// Converse.js in a real browser enters a room, reads what was said before, says something and uploads a picture.
//
//   node converse.mjs FOLDER JID PASSWORD WEBSOCKET-URL ROOM PICTURE SCREENSHOT TEXT…
//
// FOLDER is what setup.sh installed; each TEXT was said before. It prints one line for each thing that worked; exit status 0 only if all did.
import { createServer } from 'node:http';
import { createReadStream, existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { extname, join, normalize } from 'node:path';

const [folder, jid, password, websocket, room, picture, screenshot, ...said] = process.argv.slice(2);
const { chromium } = createRequire(join(folder, 'package.json'))('playwright-core');
const dist = join(folder, 'node_modules/converse.js/dist');
const types = { '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.html': 'text/html', '.wasm': 'application/wasm' };

const options = {
  authentication: 'login', auto_login: true, jid, password, websocket_url: websocket, discover_connection_methods: false, auto_reconnect: false,
  auto_join_rooms: [{ jid: room, nick: 'carol' }], view_mode: 'fullscreen', assets_path: '/', persistent_store: 'none', theme: 'default', loglevel: 'info',
  render_media: true, i18n: 'en', whitelisted_plugins: [], play_sounds: false, show_desktop_notifications: false, muc_show_logs_before_join: true,
};
const page = `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Converse</title><link rel="stylesheet" href="/converse.min.css"></head>
<body class="converse-fullscreen"><div id="conversejs-bg"></div><script type="module" src="/converse.min.js"></script><script type="module">converse.initialize(${JSON.stringify(options)});</script></body></html>`;

const server = createServer((req, res) => {
  const path = normalize(new URL(req.url, 'http://x').pathname);
  if (path === '/') return res.setHeader('content-type', 'text/html').end(page);
  const file = join(dist, path);
  if (!existsSync(file)) return res.writeHead(404).end();
  res.setHeader('content-type', types[extname(file)] ?? 'application/octet-stream');
  return createReadStream(file).on('error', () => res.end()).pipe(res);
});
await new Promise((done) => server.listen(0, '127.0.0.1', done));

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--ignore-certificate-errors', '--host-resolver-rules=MAP * 127.0.0.1'],
});
const context = await browser.newContext({ viewport: { width: 1200, height: 800 }, ignoreHTTPSErrors: true });
const tab = await context.newPage();
const log = [];
tab.on('console', (m) => log.push(`${m.type()}: ${m.text()}`));
tab.on('pageerror', (e) => log.push(`page error: ${e.message}`));
const patience = { timeout: 45_000 };
let ok = false;
try {
  await tab.goto(`http://127.0.0.1:${server.address().port}/`);
  const chat = tab.locator(`converse-muc[jid="${room}"]`);
  await chat.waitFor({ ...patience, state: 'attached' });
  for (const text of said) {
    await chat.getByText(text, { exact: true }).first().waitFor(patience);
    console.log(`ok    it shows what was said before: ${text}`);
  }
  const box = chat.locator('textarea.chat-textarea');
  await box.waitFor(patience);
  await box.fill('hello from the browser');
  await box.press('Enter');
  await chat.getByText('hello from the browser', { exact: true }).first().waitFor(patience);
  console.log('ok    it says something');
  await chat.locator('input[type=file].fileupload, input[type=file]').first().setInputFiles(picture);
  const image = chat.locator('.chat-msg img.chat-image, .chat-msg__media img').first();
  await image.waitFor(patience);
  await tab.waitForFunction(() => [...document.querySelectorAll('.chat-msg img.chat-image, .chat-msg__media img')].some((i) => i.complete && i.naturalWidth > 0), null, patience);
  console.log('ok    it uploads a picture and shows it');
  ok = true;
} catch (error) {
  console.log(`FAIL  ${error.message}`);
  console.log(log.slice(-40).join('\n'));
} finally {
  await tab.screenshot({ path: screenshot }).catch(() => {});
  await browser.close();
  server.close();
}
process.exit(ok ? 0 : 1);
