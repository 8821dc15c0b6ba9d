/** Models that come with Shoal are tuned on this machine, and what is found lies where workers look. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Model, machineOf, openRepository, readTuning } from '@shoal/models';
import { openRuntime, type Runtime } from '@shoal/onnxruntime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cpuTime } from '../cpu-time.js';
import { reportTuning } from './report.js';
import type { SearchProgress } from './search.js';
import type { Setting, Space } from './setting.js';
import { tuneModel } from './tune.js';

const MODELS = fileURLToPath(new URL('../../../../models', import.meta.url));
const NEVER = new AbortController().signal;

let runtime: Runtime;
let models: readonly Model[];
let cacheDir: string;
beforeAll(async () => {
  runtime = await openRuntime();
  ({ models } = await openRepository(MODELS));
  cacheDir = mkdtempSync(join(tmpdir(), 'shoal-tune-'));
});
afterAll(() => rmSync(cacheDir, { recursive: true }));

const modelOf = (wanted: string) => models.find(({ name }) => name === wanted)!;

async function tune(model: Model, cores: number) {
  const progress: SearchProgress<Setting>[] = [];
  const begun: [space: Space<Setting>, what: string][] = [];
  const tuning = await tuneModel(model, {
    ...{ runtime, cacheDir, cores, passes: 2, rounds: 20, budgetMs: 600_000, signal: NEVER },
    ...{ now: () => performance.now(), cpu: cpuTime, date: () => new Date(0), random: Math.random },
    onStart: (space, what) => void begun.push([space, what]),
    onProgress: (step) => void progress.push(step),
  });
  return { tuning, progress, begun };
}

test.each([
  [
    'wordnet-lm-draft',
    2,
    ['threads', 'attention', 'memory'],
    / tokens of one text, .* of 8 texts each, .* prompts of 64/,
  ],
  ['wordnet-topic', 1, ['tokens of a batch', 'padding', 'memory'], /^\d+ texts of 8 to \d+ tokens$/],
] as const)('%s', { timeout: 600_000 }, async (name, cores, factors, work) => {
  const { tuning, progress, begun } = await tune(modelOf(name), cores);
  expect(begun).toEqual([[tuning.space, expect.stringMatching(work)]]);
  expect(tuning.space.factors.map((factor) => factor.name)).toEqual(factors);
  expect(progress).toHaveLength(tuning.found.measurements);
  expect(tuning.found.tried.length).toBeGreaterThan(2);
  expect(tuning.found.tried.every(({ ratio }) => ratio.median > 0)).toBe(true);
  const { tuning: kept } = await readTuning(modelOf(name), { cacheDir, machine: await machineOf(runtime) });
  // What told nothing is not kept: it would stand in for what an earlier search has found.
  expect(tuning.file === null).toBe(tuning.found.end === 'undecided');
  const found = { settings: tuning.settings, measured: '1970-01-01T00:00:00.000Z' };
  if (tuning.file === null) expect(kept).toBeNull();
  else expect(kept).toMatchObject(found);
  if (kept) expect(kept.ratio === null).toBe(Object.keys(tuning.settings).length === 0);
  const lines = reportTuning(tuning);
  expect(lines.join('\n')).toMatch(/\| setting +\| times \|/);
  expect(lines.join('\n')).toMatch(/\| defaults +\| \d+ +\| 1 +\|/);
  expect(lines.at(-1)).toContain(tuning.file ?? 'Nothing was kept');
});

test('tensors are not tuned, and a search that is stopped keeps nothing', async () => {
  const model = modelOf('wordnet-topic');
  await expect(tune({ ...model, task: 'tensors' }, 1)).rejects.toThrow('takes tensors');
  const other = mkdtempSync(join(cacheDir, 'other-'));
  const stopped = tuneModel(modelOf('wordnet-lm-draft'), {
    ...{ runtime, cacheDir: other, cores: 1, passes: 1, rounds: 5, budgetMs: 60_000 },
    signal: AbortSignal.abort(new Error('stopped')),
    ...{ now: () => performance.now(), cpu: cpuTime, date: () => new Date(0), random: Math.random },
    ...{ onStart: () => undefined, onProgress: () => undefined },
  });
  await expect(stopped).rejects.toThrow('stopped');
  const place = { cacheDir: other, machine: await machineOf(runtime) };
  expect(await readTuning(modelOf('wordnet-lm-draft'), place)).toEqual({ tuning: null, note: null });
});
