/** A running server as commands call it: one clear line for whatever is wrong, and nothing that runs twice. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@shoal/tools/ports';
import { expect, onTestFinished, test } from 'vitest';
import { loadConfig } from './config.js';
import { followJob } from './follow-job.js';
import { manageModels } from './models.js';
import type { Input } from './predict-inputs.js';
import { type JobOptions, PredictJobs } from './predict-jobs.js';
import { openServer, type ServerOptions } from './server.js';

const quiet = new AbortController().signal;

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function open(env: Record<string, string>, options: ServerOptions = {}, said: string[] = []) {
  return openServer(loadConfig(env), options, (line) => said.push(line));
}

const faultOf = async (work: Promise<unknown>) =>
  String(await work.catch((error: unknown) => (error as Error).message));

test('a key is that of the file, of SHOAL_KEY, or of this machine’s API, and no other server gets the last', async () => {
  const seen: (string | undefined)[] = [];
  const url = await serve(({ headers }, response) => {
    seen.push(headers.authorization);
    response.end('{}');
  });
  const folder = mkdtempSync(join(tmpdir(), 'shoal-key-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const keyFile = join(folder, 'key');
  writeFileSync(keyFile, 'of-file\n');
  const keys = { PORT: new URL(url).port, SHOAL_API_KEYS: 'a:of-a' };
  const ask = (env: Record<string, string>, options?: ServerOptions) => open(env, options).ask('GET', '/v1/jobs');
  await ask({ ...keys, SHOAL_URL: url, SHOAL_KEY: 'mine' }, { keyFile });
  await ask({ ...keys, SHOAL_URL: url, SHOAL_KEY: 'mine' });
  await ask({ ...keys, SHOAL_URL: url });
  await ask(keys, { url });
  await ask(keys);
  expect(seen).toEqual(['Bearer of-file', 'Bearer mine', undefined, undefined, 'Bearer of-a']);
  const said: string[] = [];
  await manageModels({ what: 'load', name: 'm' }, loadConfig({ SHOAL_URL: url, SHOAL_KEY: 'mine' }), (line) =>
    said.push(line),
  );
  expect([seen.at(-1), said]).toEqual(['Bearer mine', ['m takes jobs; workers load it within seconds.']]);
  writeFileSync(keyFile, 'canary two\n');
  expect(() => open(keys, { keyFile })).toThrow(`--key-file ${keyFile} has to hold one key, of printable`);
  expect(() => open(keys, { keyFile: join(folder, 'none') })).toThrow('/none cannot be read (ENOENT).');
});

test('what is wrong is told in a line', async () => {
  const answers: Record<string, (response: ServerResponse) => void> = {
    '/moved': (response) => response.writeHead(308, { location: 'https://shoal.example.com/moved' }).end(),
    '/page': (response) => response.end('<html>'),
    '/array-less': (response) => response.end('"yes"'),
    '/problem': (response) => response.writeHead(401).end('{"detail":"no key."}'),
    '/none': (response) => response.writeHead(404).end('{"error":{"message":"No such model."}}'),
    '/away': (response) => void response.destroy(),
    '/broken': (response) => void response.writeHead(503).end('{"detail":"Redis cannot be reached."}'),
  };
  const url = await serve(({ url: path = '' }, response) => answers[path]!(response));
  const told = async (path: string, env: Record<string, string> = {}) =>
    (await faultOf(open({ SHOAL_URL: url, ...env }).ask('GET', path, { patience: 'none' }))).replaceAll(url, 'URL');
  expect(await told('/moved')).toBe('URL points to https://shoal.example.com: give that address in its place.');
  const foreign = 'what answers on URL is no API of Shoal (status 200): name its address by --url or SHOAL_URL.';
  expect(await told('/page')).toBe(foreign);
  expect(await told('/array-less')).toBe(foreign);
  expect(await told('/problem')).toBe(
    'URL wants an API key: set SHOAL_KEY, or name a file that holds it by --key-file.',
  );
  expect(await told('/problem', { SHOAL_KEY: 'canary' })).toBe('URL does not know the key that is in SHOAL_KEY.');
  expect(await told('/none')).toBe('No such model.');
  expect(await told('/away')).toMatch(/^URL does not answer: .+\.$/);
  expect(await told('/broken')).toBe('URL does not answer: Redis cannot be reached.');
  const nobody = open({ PORT: String(await freePort()) }).ask('GET', '/', { patience: 'none' });
  expect(await faultOf(nobody)).toMatch(/^no API answers on http:\/\/127\.0\.0\.1:\d+: "npm start" starts it; /);
});

const OPTIONS: JobOptions = {
  ...{
    model: 'm',
    task: 'text-classification',
    query: undefined,
    chats: false,
    parameters: undefined,
    priority: undefined,
  },
  ...{ maxAccuracyLoss: undefined, timeout: undefined, keepGoing: true, keep: false, onText: undefined },
};
const inputs = (...values: readonly unknown[]): Input[] => values.map((value, n) => ({ line: n + 1, value, end: n }));
const view = (id: string, more: object) => ({ id, status: 'completed', error: null, errors: [], output: [], ...more });

async function readBody(request: IncomingMessage): Promise<{ readonly input: readonly unknown[] }> {
  let text = '';
  for await (const chunk of request) text += String(chunk);
  return JSON.parse(text) as { readonly input: readonly unknown[] };
}

test('a job whose answer was lost is sent again with its key; what is refused is left out of the next', async () => {
  const posts: [key: unknown, input: readonly unknown[]][] = [];
  const calls: string[] = [];
  const url = await serve(async (request, response) => {
    const { method, url: path, headers } = request;
    if (method !== 'POST') calls.push(`${method} ${path}`);
    if (method === 'GET') {
      const errors = [{ index: 1, code: 'device_failed', detail: 'It failed.' }];
      return void response.end(JSON.stringify(view('j', { output: ['A', null], errors })));
    }
    if (method === 'DELETE') return void response.writeHead(204).end();
    const { input } = await readBody(request);
    posts.push([headers['idempotency-key'], input]);
    if (posts.length === 1) return void response.destroy();
    if (posts.length === 2) return void response.writeHead(429, { 'retry-after': '1' }).end('{"detail":"full"}');
    if (posts.length === 3) {
      const errors = [{ path: 'input[1].text', message: 'must not be empty' }];
      return void response.writeHead(422).end(JSON.stringify({ code: 'invalid_request', detail: 'no', errors }));
    }
    response.writeHead(202).end('{"id":"j"}');
  });
  const said: string[] = [];
  const jobs = new PredictJobs(open({ SHOAL_URL: url }, {}, said), OPTIONS, quiet);
  const answers = await jobs.answer(inputs('a', { text: '' }, 'c'));
  expect(answers.map(({ output, fault }) => output ?? fault)).toEqual([
    'A',
    { code: 'invalid_request', detail: 'text must not be empty', refused: true },
    { code: 'device_failed', detail: 'It failed.', refused: false },
  ]);
  expect(posts.map(([, input]) => input.length)).toEqual([3, 3, 3, 2]);
  expect(new Set(posts.slice(0, 3).map(([key]) => key)).size).toBe(1);
  expect(posts[3]![0]).not.toBe(posts[0]![0]);
  expect(calls).toEqual(['GET /v1/jobs/j?wait=60', 'DELETE /v1/jobs/j']);
  expect(said).toHaveLength(2);
});

test('what a server takes no more of at once is sent in parts; what is too large alone is told', async () => {
  const sizes: number[] = [];
  const url = await serve(async (request, response) => {
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    if (request.method === 'GET') return void response.end(JSON.stringify(view('j', { output: ['A'] })));
    const { input } = await readBody(request);
    sizes.push(input.length);
    if (input.length > 1 || input[0] === 'long') return void response.writeHead(413).end('{"detail":"Too large."}');
    response.writeHead(202).end('{"id":"j"}');
  });
  const answers = await new PredictJobs(open({ SHOAL_URL: url }), OPTIONS, quiet).answer(inputs('a', 'long', 'c'));
  expect(answers.map(({ output, fault }) => output ?? fault?.detail)).toEqual(['A', 'Too large', 'A']);
  expect(sizes).toEqual([3, 2, 1, 2, 1, 1]);
});

test('without keep-going what is before the first fault is answered, and a fault of the request itself is thrown', async () => {
  const sent: (readonly unknown[])[] = [];
  const url = await serve(async (request, response) => {
    if (request.method === 'DELETE') return void response.writeHead(204).end();
    if (request.method === 'GET') return void response.end(JSON.stringify(view('j', { output: ['A'] })));
    const { input } = await readBody(request);
    sent.push(input);
    if (input[0] === 'odd') {
      const errors = [{ path: 'parameters.top_k', message: 'must be more than 0' }];
      return void response.writeHead(422).end(JSON.stringify({ detail: 'parameters.top_k: must be', errors }));
    }
    response.writeHead(202).end('{"id":"j"}');
  });
  const jobs = new PredictJobs(open({ SHOAL_URL: url }), { ...OPTIONS, keepGoing: false }, quiet);
  const [a, b, c] = inputs('a', null, 'c');
  const answers = await jobs.answer([a!, { ...b!, fault: 'is not valid JSON' }, c!]);
  expect(answers.map(({ output, fault }) => output ?? fault?.detail)).toEqual(['A', 'the input is not valid JSON']);
  expect(sent).toEqual([['a']]);
  await expect(jobs.answer(inputs('odd'))).rejects.toThrow('parameters.top_k: must be.');
});

test('a text that is put into something is told of as a text', async () => {
  const sent: (readonly unknown[])[] = [];
  const url = await serve(async (request, response) => {
    const { input } = await readBody(request);
    sent.push(input);
    const path = sent.length === 1 ? 'input[0].messages[0].content' : 'input[0].documents[0]';
    response.writeHead(422).end(JSON.stringify({ errors: [{ path, message: 'must not be empty' }] }));
  });
  const told = async (options: Partial<JobOptions>) => {
    const jobs = new PredictJobs(open({ SHOAL_URL: url }), { ...OPTIONS, ...options }, quiet);
    return (await jobs.answer(inputs(''))).map(({ fault }) => fault?.detail);
  };
  expect(await told({ chats: true })).toEqual(['the input must not be empty']);
  expect(await told({ query: 'q' })).toEqual(['the input must not be empty']);
  expect(sent).toEqual([[{ messages: [{ role: 'user', content: '' }] }], [{ query: 'q', documents: [''] }]]);
  const mixed = new PredictJobs(open({ SHOAL_URL: url }), { ...OPTIONS, query: 'q' }, quiet);
  expect(await mixed.answer(inputs({ text: 'a' }))).toMatchObject([
    { fault: { detail: 'the input must be a text, to go with --query' } },
  ]);
});

test('what is under way is cancelled, also where the answer that would have told its id has not come', async () => {
  const stop = new AbortController();
  const deleted: string[] = [];
  const ids = new Map<string, string>();
  const hung = new AbortController();
  const hangs = once(hung.signal, 'abort');
  const url = await serve(async (request, response) => {
    if (request.method === 'DELETE') {
      deleted.push(request.url!);
      return void response.writeHead(204).end();
    }
    const key = String(request.headers['idempotency-key']);
    await readBody(request);
    const known = ids.get(key);
    if (known === undefined) {
      ids.set(key, `j${ids.size + 1}`);
      return hung.abort();
    }
    response.writeHead(202).end(JSON.stringify({ id: known }));
  });
  const jobs = new PredictJobs(open({ SHOAL_URL: url }), OPTIONS, stop.signal);
  const answer = faultOf(jobs.answer(inputs('a')));
  await hangs;
  stop.abort(new Error('stopped'));
  expect(await answer).toBe('stopped');
  expect(await jobs.cancel()).toBe(1);
  expect(deleted).toEqual(['/v1/jobs/j1']);
});

test('events go on behind the last one that came, each once', async () => {
  const seen: unknown[] = [];
  const url = await serve(({ headers }, response) => {
    seen.push(headers['last-event-id']);
    const event = (id: string) => `id: ${id}\nevent: job.${id}\ndata: {"n":"${id}"}\n\n`;
    const parts = [[event('queued'), 'id: star'], [event('started'), ': still there\n\n'], [event('end')]];
    const [whole, cut = ''] = parts[seen.length - 1]!;
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(whole! + cut, () => (seen.length === 1 ? response.destroy() : response.end()));
  });
  const events: string[] = [];
  for await (const { type } of followJob(open({ SHOAL_URL: url }), 'a', quiet)) events.push(type);
  expect(events).toEqual(['job.queued', 'job.started', 'job.end']);
  expect(seen).toEqual([undefined, 'queued', 'started']);
});
