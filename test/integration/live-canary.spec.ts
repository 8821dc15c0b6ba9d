/** A version that takes a share of another one's jobs, more and more of it, while jobs come: none fails, none is another's. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobView } from '@shoal/contracts';
import { GraphBuilder, serialiseModel } from '@shoal/onnx';
import { expect, test } from 'vitest';
import { openLive, POLL, productGraph, type Rig } from '../support/live-models.js';

const SIDE = 4000;
/** Bytes. */
const WEIGHTS = SIDE * SIDE * 4;
const INPUT = { x: [[1, ...new Array(SIDE - 1).fill(0)]] };

/** The alias stands for these versions. */
function share(rig: Rig, versions: Readonly<Record<string, number>>): void {
  const shares = Object.entries(versions).map(([version, weight]) => [`${rig.name}@${version}`, weight]);
  const aliases = { [`${rig.name}-prod`]: Object.fromEntries(shares) };
  writeFileSync(join(rig.folder, 'models.json'), JSON.stringify({ aliases }));
}

/** Jobs one after the other, from a few callers, until `stop`, which resolves to all of them. */
function trickle(rig: Rig) {
  const done: JobView[] = [];
  let going = true;
  const callers = Array.from({ length: 3 }, async () => {
    while (going) done.push(await rig.run(`${rig.name}-prod`, INPUT));
  });
  /** Versions of the next `count` jobs that end. */
  const next = async (count: number) => {
    const from = done.length;
    await expect.poll(() => done.length, POLL).toBeGreaterThan(from + count);
    return new Set(done.slice(from).map(({ version }) => version));
  };
  const stop = async () => {
    going = false;
    await Promise.all(callers);
    return done;
  };
  return { next, stop };
}

/** Which version it ran on, which a product tells: all of a version's weights are its number. */
function ranOn({ output }: JobView): string {
  return String((output as { y: { data: number[][] } }).y.data[0]![0]);
}

test('a canary takes over step by step, and the version before gives its memory back', async () => {
  const rig = await openLive([]);
  rig.addGraph('1', productGraph(SIDE, 1));
  share(rig, { 1: 100 });
  await expect.poll(rig.loaded, POLL).toEqual([`${rig.name}@1:fp32`]);
  await expect.poll(async () => (await rig.submit(`${rig.name}-prod`, INPUT)).status, POLL).toBe(200);
  const jobs = trickle(rig);
  share(rig, { 1: 70, 2: 30 });
  expect(await jobs.next(10)).toEqual(new Set(['1']));
  rig.addGraph('2', productGraph(SIDE, 2));
  await expect.poll(() => jobs.next(20), POLL).toEqual(new Set(['1', '2']));
  share(rig, { 2: 100 });
  await expect.poll(() => jobs.next(10), POLL).toEqual(new Set(['2']));
  const before = rig.resident();
  await rig.shoal('unload', `${rig.name}@1`);
  await expect.poll(rig.loaded, POLL).toEqual([`${rig.name}@2:fp32`]);
  await expect.poll(() => before - rig.resident(), POLL).toBeGreaterThan(0.9 * WEIGHTS);
  const done = await jobs.stop();
  expect(done.filter(({ status }) => status !== 'completed')).toEqual([]);
  const isOf = (job: JobView) => ranOn(job) === job.version && job.id.startsWith(`${rig.name}.${job.version}.`);
  expect(done.filter((job) => !isOf(job))).toEqual([]);
});

test('a canary that does not load takes no share, is told of, and takes it once its files are mended', async () => {
  const rig = await openLive([]);
  rig.addGraph('1', productGraph(SIDE, 1));
  rig.addGraph('2', strangeGraph());
  share(rig, { 1: 50, 2: 50 });
  await expect.poll(() => rig.shoal('show', `${rig.name}`), POLL).toMatch(/@2:fp32 +failed +0 workers/);
  const refused = await rig.submit(`${rig.name}@2`, INPUT);
  expect([refused.status, await refused.json()]).toEqual([
    503,
    expect.objectContaining({ code: 'model_failed', detail: expect.stringContaining('Nonesuch') }),
  ]);
  const jobs = trickle(rig);
  expect(await jobs.next(20)).toEqual(new Set(['1']));
  rmSync(join(rig.folder, rig.name, '2'), { recursive: true });
  rig.addGraph('2', productGraph(SIDE, 2));
  await expect.poll(() => jobs.next(20), POLL).toEqual(new Set(['1', '2']));
  const done = await jobs.stop();
  expect(done.filter((job) => job.status !== 'completed' || ranOn(job) !== job.version)).toEqual([]);
});

/** Whole, but of an operator that there is not. */
function strangeGraph(): Uint8Array {
  const g = new GraphBuilder({ name: 'strange', opset: 17, irVersion: 8 });
  g.output('y', g.op('Nonesuch', [g.input('x', 'float32', ['rows', SIDE])]), 'float32', ['rows', SIDE]);
  return serialiseModel(g.build());
}
