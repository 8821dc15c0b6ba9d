/** `shoal optimize` from a model and examples to a variant that is served; ended anywhere, it goes on where it was. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { openModel, openRepository } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import {
  judge,
  type Method,
  type OptimizeContext,
  type Optimized,
  type OptimizeRequest,
  optimize,
  readQuality,
  TABLE,
} from '@shoal/optimizer';
import { afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from 'vitest';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLES = join(ROOT, 'test/fixtures/wordnet-topic/eval.jsonl');
const SCRIPTED = join(ROOT, 'libs/optimizer/dist/testing/scripted-run.js');

let runtime: Runtime;
let folder: string;
let to: string;
beforeAll(async () => {
  runtime = await openRuntime();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'shoal-optimize-'));
  to = join(folder, 'optimize');
  cpSync(join(ROOT, 'models/wordnet-topic'), join(folder, 'models/topic'), { recursive: true });
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Of the folder of the model `topic`. */
function request(changes: Partial<OptimizeRequest> = {}): OptimizeRequest {
  return {
    ...{ models: join(folder, 'models'), model: 'topic', data: EXAMPLES, allowed: { loss: 0.01 }, seconds: 3600 },
    ...{ methods: ['int8'], force: false, to, ...changes },
  };
}

async function run(changes: Partial<OptimizeRequest> = {}, other: Partial<OptimizeContext> = {}) {
  const said: string[] = [];
  const ended: Optimized = await optimize(request(changes), {
    ...{ runtime, signal: new AbortController().signal, table: TABLE, onProgress: () => {} },
    ...{ now: () => performance.now(), date: () => new Date(), say: (line) => void said.push(line), ...other },
  });
  return { said, ...ended };
}

const journal = () => readFileSync(join(to, 'topic@1/journal.jsonl'), 'utf8').trimEnd().split('\n');

test('int8 of a classifier is made, measured and put in place if the gate says so, or by force; nothing is done twice', async () => {
  const { rows, report, said } = await run();
  expect(said.join('\n')).toContain('702 for the verdict');
  const [int8] = rows;
  const verdict = judge(int8!.verdict!, { loss: 0.01 });
  // How fast it is beside others on this machine is not what is tested.
  expect(int8!.outcome).toBe(verdict.kind === 'passed' ? 'passed' : 'refused');
  expect(int8!.verdict!.loss).toMatchObject({ metric: 'accuracy', texts: 702 });
  const models = await openModel(join(folder, 'models/topic'));
  const quality = await readQuality(join(folder, 'models/topic/1'));
  if (verdict.kind === 'passed') {
    expect(models.map(({ variant }) => variant)).toEqual(['fp32', 'int8']);
    expect(quality!.variants.int8).toMatchObject({ verdict: 'passed', loss: int8!.verdict!.loss });
    // Its figures are of the graphs that are there: none is told to be another.
    expect((await openRepository(join(folder, 'models'))).problems).toEqual([]);
  } else {
    expect(models.map(({ variant }) => variant)).toEqual(['fp32']);
    expect(quality).toBeUndefined();
  }
  expect(readFileSync(report, 'utf8')).toContain('The run has ended.');
  expect(readdirSync(join(to, 'topic@1/made'))).toEqual([]);

  const before = journal();
  // Made, measured by the choice part, given its part of the error, judged.
  expect(before).toHaveLength(4);
  expect(JSON.parse(before[2]!)).toMatchObject({ kind: 'allotted', alpha: 0.025, command: 1 });
  const again = await run();
  expect(again.rows).toEqual(rows);
  // It uses up nothing.
  for (const lines of [said, again.said]) expect(lines.join('\n')).not.toContain('given by these texts before');
  expect(journal()).toEqual(before);

  // What is allowed is no part of a trial. No loss at all in 702 texts does not show that it is less than 0.1 %.
  const strict = { allowed: { loss: 0.001 } };
  const there = verdict.kind === 'passed' ? 'stays' : '';
  expect((await run(strict)).rows).toMatchObject([{ outcome: 'refused', reason: expect.stringContaining(there) }]);
  rmSync(join(folder, 'models/topic/1/onnx/model_int8.onnx'), { force: true });
  rmSync(join(folder, 'models/topic/1/quality.json'), { force: true });
  expect((await run(strict)).rows).toMatchObject([{ outcome: 'refused' }]);
  expect(existsSync(join(folder, 'models/topic/1/onnx/model_int8.onnx'))).toBe(false);
  expect(journal()).toEqual(before);

  const { rows: forced } = await run({ ...strict, force: true });
  expect(forced[0]!.outcome).toBe('forced');
  // Its graph was gone, its figures were not.
  expect(journal()).toHaveLength(before.length + 1);
  const marked = await readQuality(join(folder, 'models/topic/1'));
  expect(marked!.variants.int8).toMatchObject({ verdict: 'forced', reason: forced[0]!.reason });
  // Another graph of that name is not replaced without being asked to.
  cpSync(join(folder, 'models/topic/1/onnx/model.onnx'), join(folder, 'models/topic/1/onnx/model_int8.onnx'));
  const { rows: taken } = await run(strict);
  expect(taken[0]).toMatchObject({ outcome: 'taken', reason: expect.stringContaining('--force replaces') });
});

test('ended by SIGKILL at every trial, before, behind and within it, it goes on with nothing done twice', async () => {
  const data = join(folder, 'data.jsonl');
  const log = join(folder, 'log');
  writeFileSync(data, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 120).join('\n'));
  const acts = { slow: 'slow', killed: 'kill', junk: 'junk', copy: 'copy', refused: 'refuse' };
  writeFileSync(`${data}.script`, JSON.stringify({ acts, log }));
  writeFileSync(log, '');
  const asked = JSON.stringify(request({ data, methods: [], allowed: { loss: 0.5, metric: 'agreement' } }));
  const path = join(to, 'topic@1/journal.jsonl');
  const ends = () => (existsSync(path) ? readFileSync(path, 'utf8').split('\n').slice(0, -1) : []);
  const begun = () =>
    readFileSync(log, 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('begun'));

  let deaths = 0;
  for (let at = 1; ; at = at < 40 ? at + 1 : Math.ceil(1.5 * at)) {
    const known = ends().map((line) => (JSON.parse(line) as { variant: string }).variant);
    const before = begun().length;
    const child = spawn(process.execPath, [SCRIPTED, asked, String(at)], { stdio: ['ignore', 'pipe', 'inherit'] });
    let printed = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
    const again = begun()
      .slice(before)
      .filter((line) => known.includes(line.split(' ')[1]!));
    expect(again).toEqual([]);
    if (signal === 'SIGKILL') {
      deaths += 1;
      continue;
    }
    expect(code).toBe(0);
    const { outcomes } = JSON.parse(printed) as { outcomes: readonly (readonly [string, string])[] };
    const { copy, ...others } = Object.fromEntries(outcomes);
    expect(others).toEqual({ slow: 'refused', killed: 'crashed', junk: 'failed', refused: 'refused' });
    // A copy is as fast as the original, which a machine that does other work may see otherwise.
    expect(['refused', 'passed']).toContain(copy);
    break;
  }
  // As many as it says and hears: fewer of those that the journal knows already.
  expect(deaths).toBeGreaterThan(15);
  const keys = ends().map((line) => (JSON.parse(line) as { key: string }).key);
  expect(new Set(keys).size).toBe(keys.length);
  expect(readdirSync(join(to, 'topic@1/made'))).toEqual([]);
  // Of runs that were ended the next one removes the lock.
  expect(readdirSync(join(to, 'topic@1')).filter((name) => name.startsWith('lock'))).toEqual([]);
  expect(ends().find((line) => line.includes('"made"'))).toContain('chooses by agreement');
});

test('a file that was changed is a new one: what was tried with the other counts no more', async () => {
  const data = join(folder, 'data.jsonl');
  const log = join(folder, 'log');
  const lines = readFileSync(EXAMPLES, 'utf8').split('\n');
  writeFileSync(`${data}.script`, JSON.stringify({ acts: { refused: 'refuse' }, log }));
  const begun = async (count: number) => {
    writeFileSync(data, lines.slice(0, count).join('\n'));
    const asked = JSON.stringify(request({ data, methods: [] }));
    await once(spawn(process.execPath, [SCRIPTED, asked], { stdio: ['ignore', 'ignore', 'inherit'] }), 'exit');
    return readFileSync(log, 'utf8').split('\n').length - 1;
  };
  expect([await begun(120), await begun(120), await begun(121), await begun(120)]).toEqual([1, 1, 2, 2]);
  const config = join(folder, 'models/topic/1/tokenizer.json');
  writeFileSync(config, `${readFileSync(config, 'utf8')}\n`);
  expect(await begun(120)).toBe(3);
});

test('stopped, it leaves nothing half-done, and the page says so', async () => {
  const stop = new AbortController();
  const reason = new Error('Ctrl-C');
  const page = join(to, 'topic@1/report.html');
  const stopped = run(
    {},
    {
      signal: stop.signal,
      onProgress: ({ doing }) => {
        if (doing === 'int8 is made') expect(readFileSync(page, 'utf8')).toContain('The run goes on');
        if (doing === 'int8 is measured') stop.abort(reason);
      },
    },
  );
  await expect(stopped).rejects.toBe(reason);
  expect(journal()).toHaveLength(1);
  expect(readdirSync(join(to, 'topic@1/drafts'))).toEqual([]);
  expect(readdirSync(join(folder, 'models/topic/1/onnx'))).toEqual(['model.onnx']);
  expect(readFileSync(page, 'utf8')).toContain('The run was stopped');
});

test('a trial that was stopped finds what it had left, which is gone when it has ended', async () => {
  const data = join(folder, 'data.jsonl');
  writeFileSync(data, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 120).join('\n'));
  writeFileSync(`${data}.script`, JSON.stringify({ acts: { a: 'halves' }, log: join(folder, 'log') }));
  const module = pathToFileURL(join(ROOT, 'libs/optimizer/dist/testing/scripted-methods.js')).href;
  const { METHODS: methods } = (await import(module)) as { METHODS: readonly Method[] };
  const table = { methods, module };
  const stop = new AbortController();
  const reason = new Error('Ctrl-C');
  const say = (line: string) => void (line.includes('half of it is made') && stop.abort(reason));
  await expect(run({ data, methods: [] }, { table, signal: stop.signal, say })).rejects.toBe(reason);
  expect(readdirSync(join(to, 'topic@1/states'))).toHaveLength(1);
  const { rows } = await run({ data, methods: [] }, { table });
  expect(rows).toMatchObject([{ outcome: 'refused', reason: 'the other half is no better' }]);
  expect(readdirSync(join(to, 'topic@1/states'))).toEqual([]);
});

test('a run that is stopped while another one takes over ends when it goes on, and writes nothing any more', async () => {
  const data = join(folder, 'data.jsonl');
  const log = join(folder, 'log');
  writeFileSync(data, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 120).join('\n'));
  const write = (act: string) => writeFileSync(`${data}.script`, JSON.stringify({ acts: { a: act }, log }));
  write('hang');
  const args = [SCRIPTED, JSON.stringify(request({ data, methods: [] }))];
  const stopped = spawn(process.execPath, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let printed = '';
  stopped.stderr.setEncoding('utf8').on('data', (text: string) => {
    printed += text;
  });
  onTestFinished(() => void stopped.kill('SIGKILL'));
  const begun = () => /begun a (\d+)/.exec(existsSync(log) ? readFileSync(log, 'utf8') : '')?.[1];
  await expect.poll(begun).toBeDefined();
  stopped.kill('SIGSTOP');
  // As a run in another container does it, which does not see this process and has waited for a sign of life.
  const [lock = ''] = readdirSync(join(to, 'topic@1')).filter((name) => name.startsWith('lock-'));
  rmSync(join(to, 'topic@1', lock));
  // The trial's process goes on, and sees it by itself. Nobody takes note of its end before the stopped one does.
  await expect.poll(() => readFileSync(`/proc/${begun()}/stat`, 'utf8')).toContain(') Z ');

  write('refuse');
  const module = pathToFileURL(join(ROOT, 'libs/optimizer/dist/testing/scripted-methods.js')).href;
  const { METHODS: methods } = (await import(module)) as { METHODS: readonly Method[] };
  const { rows, report } = await run({ data, methods: [] }, { table: { methods, module } });
  expect(rows).toMatchObject([{ outcome: 'refused', reason: 'this cannot be made' }]);
  const written = () => [journal(), readFileSync(report, 'utf8'), readdirSync(join(to, 'topic@1')).sort()];
  const before = written();
  stopped.kill('SIGCONT');
  expect(await once(stopped, 'close')).toEqual([1, null]);
  expect(printed).toContain('another run has taken this model over');
  expect(written()).toEqual(before);
  expect(journal()).toHaveLength(1);
});

test('a full disk ends the run in one line; nothing is noted of the trial, and nothing half-written is left', async () => {
  const data = join(folder, 'data.jsonl');
  writeFileSync(data, readFileSync(EXAMPLES, 'utf8').split('\n').slice(0, 120).join('\n'));
  writeFileSync(`${data}.script`, JSON.stringify({ acts: { full: 'full' }, log: join(folder, 'log') }));
  const module = pathToFileURL(join(ROOT, 'libs/optimizer/dist/testing/scripted-methods.js')).href;
  const { METHODS: methods } = (await import(module)) as { METHODS: readonly Method[] };
  const ended = run({ data, methods: [] }, { table: { methods, module } });
  await expect(ended).rejects.toThrow(
    /^no room is left on the disk of .*topic@1 \(ENOSPC\): what was half written is removed;/,
  );
  expect(readFileSync(join(to, 'topic@1/journal.jsonl'), 'utf8')).toBe('');
  expect(readdirSync(join(to, 'topic@1/drafts'))).toEqual([]);
});

test.each<[string, Partial<OptimizeRequest>, RegExp]>([
  ['no such model', { model: 'topics' }, /^there is no model topics in .*: did you mean topic\?$/],
  ['no such version', { model: 'topic@7' }, /^there is no model topic@7 in .*: topic has version 1 only$/],
  ['no such file', { data: '/nowhere/a.jsonl' }, /^there is no file \/nowhere\/a\.jsonl$/],
  ['a variant', { model: 'topic:fp32' }, /^topic:fp32 names a variant: write topic@1/],
  ['no such method', { methods: ['int9'] }, /^there is no method "int9": did you mean int8 or int4\?$/],
  [
    'another metric',
    { allowed: { loss: 0.01, metric: 'f1' } },
    /with such lines, text-classification is measured by accuracy or agreement, not by f1/,
  ],
  ['too little time', { seconds: 5 }, /^5 s are too short for anything: int8 alone takes about \d+ s \(--time\)$/],
])('%s is told in one line, and nothing is left of it', async (_, changes, message) => {
  await expect(run(changes)).rejects.toThrow(message);
  expect(readdirSync(join(folder, 'models/topic/1/onnx'))).toEqual(['model.onnx']);
});
