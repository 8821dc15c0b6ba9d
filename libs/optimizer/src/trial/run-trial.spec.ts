/** Whatever a trial does to its process, it costs that trial. */
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openModel } from '@shoal/models';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readData } from '../data/read-data.js';
import { printOfModel } from '../journal/keys.js';
import type { Act } from '../testing/scripted-methods.js';
import type { MakeOrder } from './messages.js';
import { runTrial } from './run-trial.js';

const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));
const METHODS = new URL('../../dist/testing/scripted-methods.js', import.meta.url).href;

let folder: string;
let order: (act: Act) => MakeOrder;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-trial-'));
  cpSync(join(ROOT, 'models/wordnet-topic'), join(folder, 'topic'), { recursive: true });
  const [original] = await openModel(join(folder, 'topic'));
  const lines = readFileSync(join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl'), 'utf8').split('\n').slice(0, 120);
  const path = original!.variants.fp32!;
  const print = await printOfModel(original!, path, quiet.signal);
  order = (act) => {
    const own = mkdtempSync(join(folder, `${act}-`));
    const dataFile = join(own, 'data.jsonl');
    writeFileSync(dataFile, lines.join('\n'));
    writeFileSync(`${dataFile}.script`, JSON.stringify({ acts: { a: act }, log: join(own, 'log') }));
    mkdirSync(join(own, 'onnx'));
    const { sha256 } = readData(dataFile, original);
    return {
      ...{ kind: 'make', methods: METHODS, path: join(own, 'onnx', 'model_a.onnx'), seed: 1 },
      candidate: { method: 'scripted', variant: 'a', settings: {}, seconds: 1 },
      subject: { original: original!, path, print, metric: 'agreement', dataFile, dataSha256: sha256 },
    };
  };
});
afterAll(() => rmSync(folder, { recursive: true }));

const quiet = { limitMs: 60_000, signal: new AbortController().signal, say: () => {}, onProgress: () => {} };

/** Empty where it was not begun. */
function logOf({ subject }: MakeOrder): string {
  const path = join(subject.dataFile, '..', 'log');
  return existsSync(path) ? readFileSync(path, 'utf8') : '';
}

/** Of the process that began it. */
function pidIn(log: string): number {
  return Number(/begun a (\d+)/.exec(log)?.[1]);
}

function isThere(pid: number): boolean {
  try {
    // One that ended and that nobody has asked for yet is not there.
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

test('what was made is told, and is on the disk', async () => {
  const copy = order('copy');
  const end = await runTrial(copy, quiet);
  expect(end).toEqual({ kind: 'made', made: { method: 'scripted a', notes: ['chooses by agreement'] } });
  expect(readFileSync(copy.path).equals(readFileSync(copy.subject.path))).toBe(true);
});

test.each<[Act, object]>([
  ['refuse', { kind: 'refused', reason: 'this cannot be made' }],
  ['throw', { kind: 'failed', reason: 'a fault of the method', code: undefined }],
  ['full', { kind: 'failed', reason: expect.stringContaining('no space left'), code: 'ENOSPC' }],
  [
    'kill',
    { kind: 'crashed', reason: expect.stringMatching(/killed \(SIGKILL\).*memory/), signal: 'SIGKILL', exitCode: null },
  ],
  ['abort', { kind: 'crashed', reason: 'its process crashed (SIGABRT)', signal: 'SIGABRT', exitCode: null }],
])('one that ends by %s is told as such', async (act, end) => {
  expect(await runTrial(order(act), quiet)).toEqual(end);
});

test('data that was changed since the run began is not worked with', async () => {
  const copy = order('copy');
  const changed = { ...copy, subject: { ...copy.subject, dataSha256: 'a'.repeat(64) } };
  expect(await runTrial(changed, quiet)).toEqual({
    kind: 'stale',
    reason: expect.stringContaining('was changed while'),
  });
});

test('nor is a model that was replaced since', async () => {
  const copy = order('copy');
  const changed = { ...copy, subject: { ...copy.subject, print: 'a'.repeat(64) } };
  expect(await runTrial(changed, quiet)).toEqual({
    kind: 'stale',
    reason: expect.stringMatching(/topic.* was changed/),
  });
  expect(logOf(copy)).toBe('');
});

test('it ends by itself where the run may write no more, which a run that was stopped does not see', async () => {
  const endless = order('spin');
  const held = join(dirname(endless.path), 'held');
  writeFileSync(held, '');
  const end = await runTrial(endless, { ...quiet, held, onProgress: () => rmSync(held, { force: true }) });
  expect(end).toMatchObject({ kind: 'crashed', signal: 'SIGKILL' });
});

test.each<Act>(['hang', 'spin'])('one that does not end is ended at its limit: %s', async (act) => {
  const endless = order(act);
  expect(await runTrial(endless, { ...quiet, limitMs: 3000 })).toEqual({ kind: 'late' });
  expect(isThere(pidIn(logOf(endless)))).toBe(false);
});

test('an abort ends it, and rejects with its reason when it is gone', async () => {
  const endless = order('spin');
  const stop = new AbortController();
  const reason = new Error('enough');
  const end = runTrial(endless, { ...quiet, signal: stop.signal, onProgress: () => stop.abort(reason) });
  await expect(end).rejects.toBe(reason);
  expect(isThere(pidIn(logOf(endless)))).toBe(false);
});

test.each<Act>(['hang', 'spin'])(
  'it ends with the process that began it, also where that is killed: %s',
  async (act) => {
    const endless = order(act);
    const script = `
    import { runTrial } from ${JSON.stringify(new URL('../../dist/trial/run-trial.js', import.meta.url).href)};
    const order = JSON.parse(${JSON.stringify(JSON.stringify(plain(endless)))});
    order.subject.original.text.prompts.texts = new Map();
    await runTrial(order, { limitMs: 600000, signal: new AbortController().signal, say() {}, onProgress: () => console.log('on') });
  `;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    await firstWord(parent);
    const child = pidIn(logOf(endless));
    expect(isThere(child)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => isThere(child)).toBe(false);
  },
);

/** Without maps, which JSON does not have. */
function plain(value: MakeOrder): unknown {
  return JSON.parse(JSON.stringify(value));
}

async function firstWord(process: ChildProcess): Promise<void> {
  for await (const _ of process.stdout!) return;
}
