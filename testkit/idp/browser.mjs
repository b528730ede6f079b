// Logs a person in with Chromium, as they would: opens a page, fills in the form of the provider, and arrives.
//
//   node browser.mjs URL PERSON
//
// Prints where the browser is in the end, what it shows, what scripts there see of cookies, and the cookies that the page is sent with.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const [url, person] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), 'browser-'));
const browser = spawn('chromium', [
  '--headless=new', '--no-sandbox', '--disable-gpu', '--no-first-run', '--disable-dev-shm-usage', '--disable-extensions',
  '--disable-background-networking', `--user-data-dir=${folder}`, '--remote-debugging-pipe', 'about:blank',
], { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
const [, , , commands, answers] = browser.stdio;

// The protocol over pipes: JSON texts, each with a zero byte behind it.
let next = 1;
const waiting = new Map();
let arrived = '';
answers.on('data', (piece) => {
  arrived += piece;
  const texts = arrived.split('\0');
  arrived = texts.pop();
  for (const message of texts.map((text) => JSON.parse(text))) {
    waiting.get(message.id)?.(message);
    waiting.delete(message.id);
  }
});
function ask(method, params = {}, sessionId = undefined) {
  const id = next++;
  commands.write(`${JSON.stringify({ id, method, params, sessionId })}\0`);
  return new Promise((done, failed) => {
    waiting.set(id, ({ result, error }) => (error ? failed(new Error(`${method}: ${error.message}`)) : done(result)));
  });
}

const FORM = `(() => {
  const field = document.querySelector('input[name=login]');
  if (!field) return false;
  field.value = ${JSON.stringify(person)};
  field.form.requestSubmit();
  return true;
})()`;
const STATE = `JSON.stringify({ url: location.href, ready: document.readyState, text: document.body?.innerText ?? '',
  cookie: document.cookie })`;

async function logIn() {
  const { targetInfos } = await ask('Target.getTargets');
  const { targetId } = targetInfos.find(({ type }) => type === 'page');
  const { sessionId } = await ask('Target.attachToTarget', { targetId, flatten: true });
  const evaluate = async (expression) => (await ask('Runtime.evaluate', { expression }, sessionId)).result.value;
  await ask('Page.navigate', { url }, sessionId);
  for (;;) {
    const state = JSON.parse(await evaluate(STATE).catch(() => '{}'));
    if (state.ready === 'complete' && state.url === url) {
      const { cookies } = await ask('Network.getCookies', { urls: [url] }, sessionId);
      return { ...state, cookies };
    }
    if (state.ready === 'complete') await evaluate(FORM).catch(() => false);
    await new Promise((done) => { setTimeout(done, 50); });
  }
}

const patience = setTimeout(() => { console.error('the browser does not arrive'); end(1); }, 60_000);
function end(code) {
  browser.kill('SIGKILL');
  clearTimeout(patience);
  browser.once('exit', () => { rmSync(folder, { recursive: true, force: true, maxRetries: 5 }); process.exit(code); });
}
logIn().then((state) => { console.log(JSON.stringify(state)); end(0); }, (error) => { console.error(error); end(1); });
