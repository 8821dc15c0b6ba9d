/** `shoal predict` and `shoal jobs` against real processes: answers in order, refusals, signals, and an API that starts anew. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@shoal/tools/ports';
import { expect, onTestFinished, test } from 'vitest';
import { openFleet } from '../support/fleet.js';
import { startOwnRedis } from '../support/own-redis.js';
import { foreignEnvironment, ROOT, startApp } from '../support/processes.js';

interface Shoal {
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly error: string }>;
  out(): string;
  /** Resolves when it has printed this. */
  printed(text: string): Promise<void>;
  kill(signal: NodeJS.Signals): void;
  readonly input: NodeJS.WritableStream;
}

function shoal(url: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Shoal {
  const child = spawn(process.execPath, ['apps/cli/bin/shoal.mjs', ...args], {
    ...{ cwd: ROOT, env: { ...foreignEnvironment(), SHOAL_URL: url, ...env } },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let [out, error] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (more: string) => {
    out += more;
  });
  child.stderr.setEncoding('utf8').on('data', (more: string) => {
    error += more;
  });
  // It may end before it has read all of it.
  child.stdin.on('error', () => {});
  const printed = async (text: string) => {
    while (!out.includes(text)) await once(child.stdout, 'data');
  };
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, out, error }));
  return { ended, out: () => out, printed, kill: (signal) => void child.kill(signal), input: child.stdin };
}

const run = (url: string, args: readonly string[], input = '', env = {}) => {
  const started = shoal(url, args, env);
  started.input.end(input);
  return started.ended;
};

const jsonLines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

const TEXTS = Array.from(
  { length: 1000 },
  (_, n) => `a fish of kind ${n} that lives in the ${n % 7 ? 'sea' : 'house'}`,
);

test('1,000 lines are answered in their order, and nothing of them is left', async () => {
  const fleet = await openFleet({ model: 'wordnet-topic', apiKeys: 'acme:secret' });
  const [api] = await Promise.all([fleet.startApi(), fleet.startWorker()]);
  const key = { SHOAL_KEY: 'secret' };
  const args = ['predict', fleet.model, '--parameters', '{"top_k":1}', '--json'];
  const { code, out, error } = await run(api.url, args, TEXTS.join('\n'), key);
  expect([code, error]).toEqual([0, '']);
  const answers = jsonLines(out);
  expect(answers.map(({ line }) => line)).toEqual(TEXTS.map((_, n) => n + 1));
  const wanted = await api.post(
    '/v1/jobs?wait=60',
    { model: fleet.model, input: TEXTS, parameters: { top_k: 1 } },
    'secret',
  );
  const job = (await wanted.json()) as { id: string; output: { label: string }[][] };
  const labels = (all: readonly unknown[]) => all.map((output) => (output as { label: string }[])[0]!.label);
  expect(labels(answers.map(({ output }) => output))).toEqual(labels(job.output));
  expect(await run(api.url, ['jobs', 'ls', '--quiet'], '', key)).toEqual({ code: 0, out: `${job.id}\n`, error: '' });

  const person = await run(api.url, ['predict', fleet.model, 'a large fish'], '', key);
  expect(person).toMatchObject({ code: 0, error: '' });
  expect(person.out).toMatch(/^animal 0\.\d+ {2}\w+ 0\.\d+ {2}\w+ 0\.\d+ {2}\.\.\.\n$/);

  // Without the key, and with another one.
  expect((await run(api.url, ['jobs', 'ls'])).error).toMatch(/^shoal: http\S+ wants an API key: set SHOAL_KEY/);
  const other = await run(api.url, ['jobs', 'ls'], '', { SHOAL_KEY: 'canary' });
  expect(other).toMatchObject({
    code: 1,
    error: expect.stringMatching(/does not know the key that is in SHOAL_KEY\.\n$/),
  });
  const folder = mkdtempSync(join(tmpdir(), 'shoal-key-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, 'key'), 'secret\n');
  expect(await run(api.url, ['jobs', 'ls', '--key-file', join(folder, 'key'), '--quiet'])).toMatchObject({ code: 0 });

  // A line that is refused, and one that the file has wrong.
  writeFileSync(join(folder, 'texts.jsonl'), '"a fish"\n{"text": ""}\nno JSON\n\n{"text": "a", "text_pair": "b"}\n');
  const file = ['predict', fleet.model, '--file', join(folder, 'texts.jsonl')];
  const refused = await run(api.url, file, '', key);
  expect(refused).toMatchObject({ code: 1, out: expect.stringMatching(/^[^\n]+\n$/) });
  expect(refused.error).toMatch(/^shoal: line 2: text must not be empty \(1 result was written before it; /);
  const going = await run(api.url, [...file, '--keep-going', '--json'], '', key);
  expect(going.code).toBe(2);
  expect(going.error).toBe('shoal: 2 of 4 inputs have no answer.\n');
  expect(jsonLines(going.out)).toEqual([
    { line: 1, output: expect.any(Array) },
    { line: 2, error: { code: 'invalid_request', detail: 'text must not be empty' } },
    { line: 3, error: { code: 'invalid_request', detail: 'the input is not valid JSON' } },
    { line: 5, output: expect.any(Array) },
  ]);
  writeFileSync(join(folder, 'texts.csv'), 'id,text\n1,"a ""large"", grey\nfish"\n2,a house\n');
  const rows = await run(api.url, ['predict', fleet.model, '--file', join(folder, 'texts.csv'), '--json'], '', key);
  expect(rows.error).toBe('');
  expect(jsonLines(rows.out).map(({ line }) => line)).toEqual([3, 4]);
  const column = await run(
    api.url,
    ['predict', fleet.model, '--file', join(folder, 'texts.csv'), '--column=x'],
    '',
    key,
  );
  expect(column.error).toMatch(/has no column x, but id, text: name one by --column\.\n$/);
});

test('Ctrl-C cancels what is under way, and says how much there is', async () => {
  const fleet = await openFleet({ model: 'wordnet-topic' });
  const [api, worker] = [await fleet.startApi(), await fleet.startWorker()];
  const started = shoal(api.url, ['predict', fleet.model, '-']);
  started.input.write('a large fish\n');
  await started.printed('\n');
  await worker.stop();
  started.input.write('a small house\n');
  const listed = async () => (await run(api.url, ['jobs', 'ls', '--quiet'])).out;
  await expect.poll(listed).not.toBe('');
  started.kill('SIGINT');
  const { code, error } = await started.ended;
  expect([code, error]).toEqual([130, 'shoal: stopped: 1 result was written, 1 job was cancelled.\n']);
  expect(await listed()).toBe('');
});

test('jobs are listed, followed through a restart of the API, and cancelled', async () => {
  const fleet = await openFleet({ model: 'wordnet-topic', redisUrl: await startOwnRedis() });
  const port = await freePort();
  const env = { ...fleet.env, PORT: String(port) };
  const startApi = async () => {
    const api = await startApp('apps/api/dist/main.js', 'api.ready', { redisUrl: fleet.redisUrl, env });
    onTestFinished(async () => void (await api.stop()));
    return api;
  };
  const url = `http://127.0.0.1:${port}`;
  const before = await startApi();
  const worker = await fleet.startWorker();
  await worker.stop();
  const submit = async (input: unknown) => {
    const headers = { 'content-type': 'application/json' };
    const body = JSON.stringify({ model: fleet.model, input });
    const response = await fetch(`${url}/v1/jobs`, { method: 'POST', headers, body });
    return ((await response.json()) as { id: string }).id;
  };
  const followed = await submit(['a fish', 'a house']);
  const cancelled = await submit('a tree');
  const list = await run(url, ['jobs', 'ls', '--status', 'queued', '--limit', '2']);
  expect(list).toMatchObject({ code: 0, error: '' });
  expect(list.out).toMatch(
    new RegExp(`^id .*\n${cancelled}  queued  wordnet-topic@1:fp32  0/1 .*\n${followed}  queued`),
  );

  expect(await run(url, ['jobs', 'cancel', cancelled])).toEqual({
    code: 0,
    out: `${cancelled}  cancelled\n`,
    error: '',
  });
  const ended = await run(url, ['jobs', 'get', cancelled, '--wait', '--quiet']);
  expect(ended).toEqual({ code: 2, out: `${cancelled}\n`, error: `shoal: the job ${cancelled} is cancelled.\n` });

  const following = shoal(url, ['jobs', 'follow', followed, '--json']);
  const waiting = run(url, ['jobs', 'get', followed, '--wait', '--json']);
  await following.printed('job.queued');
  expect(await before.stop()).toBe('exit code 0');
  await startApi();
  await fleet.startWorker();
  const { code, out } = await following.ended;
  expect(code).toBe(0);
  const events = jsonLines(out).filter(({ event }) => event !== 'job.progress');
  expect(events.map(({ event }) => event)).toEqual([
    ...['job.queued', 'job.started', 'job.output', 'job.output', 'job.completed'],
  ]);
  const got = await waiting;
  expect(jsonLines(got.out)).toMatchObject([{ id: followed, status: 'completed' }]);

  const none = `${cancelled.slice(0, -4)}aaaa`;
  const cancel = await run(url, ['jobs', 'cancel', followed, none]);
  expect(cancel).toMatchObject({ code: 1, out: `${followed}  had ended: completed\n` });
  expect(cancel.error).toContain('1 of 2 are no jobs.');
});

test('a text that is generated, and a model that is not there', async () => {
  const fleet = await openFleet({ model: 'wordnet-lm' });
  const [api] = await Promise.all([fleet.startApi(), fleet.startWorker()]);
  const parameters = ['--parameters', '{"temperature":0,"max_tokens":12}'];
  const said = 'Define tree (noun).';
  const body = { model: fleet.model, messages: [{ role: 'user', content: said }], temperature: 0, max_tokens: 12 };
  const choiceOf = async (response: Response) =>
    ((await response.json()) as { choices: [{ message: { content: string }; text: string }] }).choices[0];
  const { message } = await choiceOf(await api.post('/v1/chat/completions', body));
  const answered = await run(api.url, ['predict', fleet.model, ...parameters, said]);
  expect(answered).toEqual({ code: 0, out: `${message.content}\n`, error: '' });
  const lines = await run(api.url, ['predict', fleet.model, ...parameters, '--json'], `${said}\n`);
  expect(jsonLines(lines.out)).toMatchObject([{ line: 1, output: { text: message.content } }]);
  const prompt = { model: fleet.model, prompt: 'a small fish', temperature: 0, max_tokens: 12 };
  const { text } = await choiceOf(await api.post('/v1/completions', prompt));
  const goesOn = await run(api.url, ['predict', fleet.model, '--complete', ...parameters, '--json', prompt.prompt]);
  expect(jsonLines(goesOn.out)).toMatchObject([{ output: { text } }]);
  expect(await run(api.url, ['predict', 'wordnet-ml', 'x'])).toMatchObject({
    ...{
      code: 1,
      out: '',
      error: expect.stringMatching(/^shoal: No model of this name is served\. Did you mean wordnet-lm\?/),
    },
  });
  const odd = await run(api.url, ['predict', fleet.model, '--parameters', '{"top_k":-5}', 'x']);
  expect(odd).toMatchObject({ code: 1, error: expect.stringMatching(/^shoal: parameters\.top_k/) });
});
