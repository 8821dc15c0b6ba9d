/** Models that come and go while API and workers run: no restart, no job lost, none on another version than its own. */
import { cpSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JobView } from '@shoal/contracts';
import { expect, test } from 'vitest';
import { openLive, POLL, productGraph } from '../support/live-models.js';
import { ROOT } from '../support/processes.js';

/** Of the matrix of a large model, and its bytes. */
const SIDE = 6000;
const WEIGHTS = SIDE * SIDE * 4;

test('a folder that appears is served without a restart, and one that goes is refused and leaves memory', async () => {
  const rig = await openLive(['1']);
  const other = `${rig.name}-new`;
  expect((await rig.submit(other)).status).toBe(404);
  rig.add('1', other);
  await expect.poll(async () => (await rig.submit(other)).status, POLL).toBe(200);
  expect(await rig.loaded()).toContain(`${other}@1:fp32`);
  const done = await rig.run(other);

  rmSync(join(rig.folder, other), { recursive: true });
  await expect.poll(async () => (await rig.submit(other)).status, POLL).toBe(404);
  await expect.poll(rig.loaded, POLL).toEqual([`${rig.name}@1:fp32`]);
  // What it made is still shown.
  const again = (await (await fetch(`${rig.url}/v1/jobs/${done.id}`)).json()) as JobView;
  expect(again.output).toEqual(done.output);
  expect((await rig.run(rig.name)).status).toBe('completed');
});

test('jobs that wait for a folder that goes are run by who has it loaded', async () => {
  const rig = await openLive(['1']);
  const ended = await rig.accept(8);
  rmSync(join(rig.folder, rig.name), { recursive: true });
  await expect.poll(async () => (await rig.submit(rig.name)).status, POLL).toBe(404);
  for (const job of await ended()) expect([job.status, job.items.done]).toEqual(['completed', 1000]);
  await expect.poll(rig.loaded, POLL).toEqual([]);
});

test('a folder is not taken before it is whole, and a broken one is told in words and hides no other', async () => {
  const rig = await openLive(['1']);
  const half = join(rig.folder, `${rig.name}-half`, '1');
  cpSync(join(ROOT, 'models/wordnet-topic/1'), half, { recursive: true });
  const graph = ['onnx/model.onnx', 'model.onnx'].map((file) => join(half, file)).find(exists)!;
  const bytes = readFileSync(graph);
  truncateSync(graph, Math.floor(bytes.length / 2));
  await expect
    .poll(() => rig.worker.output(), POLL)
    .toMatch(/"event":"model.skipped","folder":"live-\S+-half\/1","reason":"[^"]*model[^"]*"/);
  expect((await rig.submit(`${rig.name}-half`)).status).toBe(404);
  expect((await rig.run(rig.name)).status).toBe('completed');
  writeFileSync(graph, bytes);
  await expect.poll(async () => (await rig.submit(`${rig.name}-half`)).status, POLL).toBe(200);
});

function exists(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}

test('a name, a version, a variant and an alias are told apart; a job stays with the version that it was accepted for', async () => {
  const rig = await openLive(['1', '2']);
  expect(await rig.loaded()).toEqual([`${rig.name}@2:fp32`]);
  const versionOf = async (model: string) => (await rig.run(model)).version;
  expect(await versionOf(rig.name)).toBe('2');
  expect(await versionOf(`${rig.name}@1`)).toBe('1');
  expect(await versionOf(`${rig.name}@2:fp32`)).toBe('2');
  expect((await rig.submit(`${rig.name}@3`)).status).toBe(404);
  expect((await rig.submit(`${rig.name}:int8`)).status).toBe(404);

  const alias = `${rig.name}-prod`;
  writeFileSync(join(rig.folder, 'models.json'), JSON.stringify({ aliases: { [alias]: `${rig.name}@1` } }));
  await expect.poll(async () => (await rig.submit(alias)).status, POLL).toBe(200);
  expect(await versionOf(alias)).toBe('1');
  writeFileSync(
    join(rig.folder, 'models.json'),
    JSON.stringify({ aliases: { [alias]: { [`${rig.name}@1`]: 50, [`${rig.name}@2`]: 50 } } }),
  );
  await expect.poll(() => versionOf(alias), POLL).toBe('2');
  const versions = new Set(await Promise.all(Array.from({ length: 40 }, () => versionOf(alias))));
  expect([...versions].sort()).toEqual(['1', '2']);
});

test('a new version takes over under load: no job fails, none runs on another version than it was accepted for', async () => {
  const rig = await openLive(['1'], { SHOAL_MODEL_KEEP: '1s' });
  const done: JobView[] = [];
  let swapping = true;
  const caller = async () => {
    while (swapping) done.push(await rig.run(rig.name));
  };
  const callers = Array.from({ length: 8 }, caller);
  rig.add('2');
  await expect.poll(rig.loaded, POLL).toEqual([`${rig.name}@2:fp32`]);
  rmSync(join(rig.folder, rig.name, '1'), { recursive: true });
  const before = done.length;
  await expect.poll(() => done.length, POLL).toBeGreaterThan(before + 50);
  swapping = false;
  await Promise.all(callers);
  expect(done.filter(({ status }) => status !== 'completed')).toEqual([]);
  expect(new Set(done.map(({ version }) => version))).toEqual(new Set(['1', '2']));
  // Its id names the queue that it was in: that of the version that it tells.
  expect(done.filter(({ id, version }) => !id.startsWith(`${rig.name}.${version}.fp32.`))).toEqual([]);
});

test('shoal models unloads and loads while jobs run: none fails, memory is free, and the wish outlives the worker', async () => {
  const rig = await openLive(['1']);
  const line = new RegExp(`^${rig.name}@1:fp32 +loaded +1 worker +text-classification\\n$`);
  await expect.poll(() => rig.shoal('ls'), POLL).toMatch(line);
  const ended = await rig.accept(4);
  await rig.shoal('unload', rig.name);
  const refused = await rig.submit(rig.name);
  expect([refused.status, await refused.text()]).toEqual([503, expect.stringContaining('model_unloaded')]);
  for (const job of await ended()) expect([job.status, job.items.done]).toEqual(['completed', 1000]);
  await expect.poll(rig.loaded, POLL).toEqual([]);
  await expect.poll(() => rig.shoal('show', rig.name), POLL).toMatch(/unloaded +0 workers/);

  const other = await rig.startWorker();
  expect(other.ready.models).toEqual([]);
  await rig.shoal('load', rig.name);
  await expect.poll(rig.loaded, POLL).toEqual([`${rig.name}@1:fp32`]);
  expect((await rig.run(rig.name)).status).toBe('completed');

  await rig.shoal('rm', rig.name);
  await expect.poll(async () => (await rig.submit(rig.name)).status, POLL).toBe(404);
  await expect.poll(rig.loaded, POLL).toEqual([]);
});

test('models that have no room beside each other are loaded in turn, as jobs ask for them', async () => {
  const rig = await openLive(['1']);
  const names = [rig.name, `${rig.name}-b`, `${rig.name}-c`];
  for (const name of names.slice(1)) rig.add('1', name);
  await expect.poll(async () => (await rig.loaded()).length, POLL).toBe(3);
  await rig.worker.stop();
  // Room for two: weights are less than half of it, and all of them more.
  const bytes = statSync(join(rig.folder, rig.name, '1/onnx/model.onnx')).size;
  const bounded = await rig.startWorker({ SHOAL_MODEL_MEMORY: String(Math.floor(1.5 * bytes)) });
  expect(bounded.ready.models).toHaveLength(1);
  const jobs = await Promise.all(Array.from({ length: 6 }, (_, n) => rig.run(names[n % 3]!)));
  expect(jobs.map(({ status, model }) => [status, model])).toEqual(
    Array.from({ length: 6 }, (_, n) => ['completed', names[n % 3]!]),
  );
  const metrics = await (await fetch(bounded.metricsUrl)).text();
  expect(metrics.match(/^shoal_model_info\{/gm)).toHaveLength(1);
});

test('the memory of a model comes back when it is unloaded, and each time', async () => {
  const rig = await openLive(['1']);
  const name = `${rig.name}@2`;
  rig.addGraph('2', productGraph(SIDE, 1));
  const { resident } = rig;
  const isLoaded = async () => (await rig.loaded()).includes(`${name}:fp32`);
  await expect.poll(isLoaded, POLL).toBe(true);
  const sizes: number[] = [];
  for (let round = 0; round < 4; round++) {
    const input = { x: [new Array(SIDE).fill(0)] };
    expect((await rig.run(name, input)).status).toBe('completed');
    const before = resident();
    await rig.shoal('unload', name);
    await expect.poll(isLoaded, POLL).toBe(false);
    await expect.poll(() => before - resident(), POLL).toBeGreaterThan(0.9 * WEIGHTS);
    sizes.push(resident());
    await rig.shoal('load', name);
    await expect.poll(isLoaded, POLL).toBe(true);
  }
  expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThan(WEIGHTS / 2);
});
