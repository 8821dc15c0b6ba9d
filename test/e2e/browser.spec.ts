/** A page of another origin in a real browser: it submits with a key, and follows with an EventSource that has none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openFleet } from '../support/fleet.js';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync);

/** Runs in the page; tells its own origin what it saw. */
const SCRIPT = `
  const headers = { 'content-type': 'application/json', authorization: 'Bearer page-key', 'idempotency-key': 'one' };
  const call = (path, body) => fetch(API + path, { method: 'POST', headers, body: JSON.stringify(body) });
  const seen = { events: [] };
  const submitted = await call('/v1/jobs', { model: 'wordnet-topic', input: ['fish swim', 'bread is baked'] });
  seen.location = submitted.headers.get('location');
  const { id } = await submitted.json();
  seen.refused = (await call('/v1/jobs', { model: 'wordnet-topic' })).status;
  const { url } = await (await call('/v1/jobs/' + id + '/events/url', {})).json();
  const source = new EventSource(API + url);
  const end = new Promise((resolve) => {
    for (const type of ['job.queued', 'job.output', 'job.completed']) {
      source.addEventListener(type, ({ data }) => {
        seen.events.push(type);
        if (type === 'job.completed') resolve(JSON.parse(data).status);
      });
    }
    source.addEventListener('error', () => source.readyState === EventSource.CLOSED && resolve('closed'));
  });
  seen.status = await end;
  source.close();
  await fetch('/seen', { method: 'POST', body: JSON.stringify(seen) });
`;

/** Serves the page; `seen` resolves to what it tells. */
async function servePage(api: () => string) {
  let tell: (seen: unknown) => void = () => undefined;
  const seen = new Promise<unknown>((resolve) => {
    tell = resolve;
  });
  const server = createServer(async (request, response) => {
    if (request.method === 'POST') {
      let text = '';
      for await (const chunk of request) text += String(chunk);
      tell(JSON.parse(text));
    }
    response.setHeader('content-type', 'text/html');
    response.end(`<script type="module">const API = ${JSON.stringify(api())};${SCRIPT}</script>`);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, seen };
}

/** Ends a browser with its children: they would outlive it for a moment, and go on writing to its profile. */
async function endGroup(leader: ChildProcess) {
  const ended = leader.exitCode === null && leader.signalCode === null ? once(leader, 'exit') : undefined;
  process.kill(-leader.pid!, 'SIGKILL');
  await ended;
}

test.runIf(CHROMIUM)('a page of an allowed origin submits, and an EventSource follows without a key', async () => {
  let url = '';
  const page = await servePage(() => url);
  const fleet = await openFleet({
    model: 'wordnet-topic',
    apiKeys: 'page:page-key',
    env: { SHOAL_CORS_ORIGINS: page.origin },
  });
  const api = await fleet.startApi();
  url = api.url;
  await fleet.startWorker();
  const profile = mkdtempSync(join(tmpdir(), 'shoal-chromium-'));
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--no-first-run'];
  const args = [...flags, `--user-data-dir=${profile}`, page.origin];
  const browser = spawn(CHROMIUM!, args, { stdio: 'ignore', detached: true });
  onTestFinished(async () => {
    await endGroup(browser);
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  });
  expect(await page.seen).toEqual({
    location: expect.stringMatching(/^\/v1\/jobs\/wordnet-topic\./),
    refused: 422,
    events: ['job.queued', 'job.output', 'job.output', 'job.completed'],
    status: 'completed',
  });
});
