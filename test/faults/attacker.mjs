// @ts-check
/**
 * One hostile tenant, in a process of its own: `attacker.mjs <attack> <api url> <key>`. Prints "ready" when the attack is
 * under way, and goes on until it is ended. Refusals are what it hopes for least and gets most, so they end nothing.
 */
import { connect } from 'node:net';
import { constants, setPriority } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { exitWithParent } from '@shoal/config';

const [name = '', url = '', key = ''] = process.argv.slice(2);
const MODEL = 'wordnet-embed';
const BODY = 2 * 1024 * 1024 - 1024;
const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
const host = new URL(url);

/** @param {string} path @param {unknown} body @param {Record<string, string>} [more] */
async function post(path, body, more = {}) {
  const sent = typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body);
  const response = await fetch(url + path, { method: 'POST', headers: { ...headers, ...more }, body: sent });
  await response.arrayBuffer();
  return response.status;
}

/** @param {string} path */
async function get(path) {
  const response = await fetch(url + path, { headers });
  return response.arrayBuffer();
}

/** @param {number} width @param {() => Promise<unknown>} work */
function again(width, work) {
  for (let n = 0; n < width; n++) {
    void (async () => {
      for (;;) await work().catch(() => pause(20));
    })();
  }
}

/** A connection on which `head` was sent. @param {string} head */
function raw(head) {
  const socket = connect(Number(host.port), host.hostname);
  socket.on('error', () => undefined);
  socket.write(`${head}\r\nHost: localhost\r\nAuthorization: Bearer ${key}\r\n`);
  return socket;
}

/** @param {string} text */
const fill = (text) => text.repeat(Math.floor(BODY / text.length));
const words = 'many small fish in one large shoal ';

/** Ids of ended jobs of some megabytes each: a vector per token. */
async function largeJobs() {
  const body = { model: MODEL, input: Array(500).fill(words.repeat(2)), parameters: { pooling: 'none' } };
  const ids = [];
  for (let n = 0; n < 4; n++) {
    const response = await fetch(`${url}/v1/jobs?wait=0`, { method: 'POST', headers, body: JSON.stringify(body) });
    if (response.status !== 202) throw new Error(`${response.status}: ${await response.text()}`);
    ids.push(/** @type {{ id: string }} */ (await response.json()).id);
  }
  for (const id of ids)
    while (!String(Buffer.from(await get(`/v1/jobs/${id}?wait=60`))).includes('"completed"')) await pause(100);
  return ids;
}

/** @type {Record<string, () => unknown>} */
const attacks = {
  'many small faults in one call'() {
    const bodies = [
      { model: MODEL, input: { tokens: Array(400_000).fill(-1) } },
      { model: MODEL, input: Array(1000).fill({ tokens: Array(600).fill(-1) }) },
      { model: MODEL, input: Array(500_000).fill('') },
      { jobs: Array(1000).fill({ model: MODEL, input: { tokens: Array(500).fill(-1) } }) },
    ].map((body) => JSON.stringify(body));
    let n = 0;
    again(4, () => post(n % 4 === 3 ? '/v1/jobs/bulk' : '/v1/jobs', bodies[n++ % 4]));
  },
  'texts near the body limit, cut'() {
    const body = JSON.stringify({
      model: MODEL,
      input: Array(1000).fill(words.repeat(58)),
      parameters: { truncate: true },
    });
    again(8, () => post('/v1/jobs', body));
  },
  'one text of 2 MB: spaces, one word, words'() {
    const bodies = [' '.repeat(BODY), 'a'.repeat(BODY), fill(words)].map((input) =>
      JSON.stringify({ model: MODEL, input, parameters: { truncate: true } }),
    );
    let n = 0;
    again(6, () => post('/v1/jobs', bodies[n++ % 3]));
  },
  'large bodies at once'() {
    const body = JSON.stringify({ model: MODEL, input: { tokens: Array(900_000).fill(1) } });
    again(32, () => post('/v1/jobs', body));
  },
  'bodies of a byte a second'() {
    for (let n = 0; n < 500; n++) {
      const socket = raw('POST /v1/jobs HTTP/1.1');
      socket.write(`Content-Type: application/json\r\nContent-Length: ${BODY}\r\n\r\n`);
      const timer = setInterval(() => socket.write(' '), 1000);
      socket.once('close', () => clearInterval(timer));
    }
  },
  'large results at once'() {
    return largeJobs().then((ids) => {
      let n = 0;
      again(20, () => get(`/v1/jobs/${ids[n++ % ids.length]}`));
    });
  },
  'large results that nobody reads'() {
    return largeJobs().then((ids) => {
      for (let n = 0; n < 200; n++)
        raw(`GET /v1/jobs/${ids[n % ids.length]} HTTP/1.1`)
          .pause()
          .write('\r\n');
    });
  },
  'lists by status'() {
    again(2, () => post('/v1/jobs/bulk', { jobs: Array(1000).fill({ model: MODEL, input: 'fish' }) }));
    again(16, () => get('/v1/jobs?status=expired&limit=1'));
  },
  'event streams'() {
    const body = { model: MODEL, input: Array(200).fill(words) };
    for (let n = 0; n < 1000; n++) {
      void (async () => {
        for (;;) {
          try {
            const response = await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body: JSON.stringify(body) });
            const { id } = /** @type {{ id?: string }} */ (await response.json());
            if (id) await get(`/v1/jobs/${id}/events`);
            else await pause(1000);
          } catch {
            await pause(1000);
          }
        }
      })();
    }
  },
  'webhooks of names that are looked up'() {
    let n = 0;
    again(64, () => {
      const webhook = { url: `https://h${n++}.${Date.now()}.invalid/` };
      return post('/v1/jobs', { model: MODEL, input: { tokens: [-1] }, webhook });
    });
  },
  'everything of high priority'() {
    const job = { model: MODEL, input: words, priority: 'high' };
    again(4, () => post('/v1/jobs/bulk', { jobs: Array(1000).fill(job) }));
  },
  'gzip that unpacks to more than it is'() {
    const bomb = gzipSync(Buffer.alloc(BODY, 0x20));
    again(64, () => post('/v1/jobs', bomb, { 'content-encoding': 'gzip' }));
  },
  'objects, lists and fields by the hundred thousand'() {
    const fields = Array.from({ length: 40_000 }, (_, n) => `"k${n}":1`).join();
    const bodies = [
      `{"model":"${MODEL}","input":[${'{},'.repeat(40_000)}{}]}`,
      `{"model":"${MODEL}","input":[${'[],'.repeat(600_000)}[]]}`,
      `{"model":"${MODEL}","input":"a","parameters":{${fields}}}`,
      `{"model":"${MODEL}","input":[${`${'['.repeat(90)}${']'.repeat(90)},`.repeat(10_000)}0]}`,
    ];
    let n = 0;
    again(8, () => post('/v1/jobs', bodies[n++ % bodies.length], { 'idempotency-key': `k${n}` }));
  },
};

const attack = attacks[name];
if (!attack) throw new Error(`no attack is named ${name}; there are ${Object.keys(attacks).join(', ')}`);
exitWithParent();
// Who attacks brings a machine of its own: what this process computes is not what is measured.
setPriority(constants.priority.PRIORITY_LOW);
process.on('unhandledRejection', () => undefined);
await attack();
process.stdout.write('{"event":"ready"}\n');
