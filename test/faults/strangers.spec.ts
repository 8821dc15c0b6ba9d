/** Rows of two tenants at once, on graphs whose rows influence each other and on graphs whose rows do not. */
import type { Tensor } from '@shoal/onnxruntime';
import { expect } from 'vitest';
import { inParallel } from '../support/fleet.js';
import { type Direct, openDirect, openGraphFleet, type Shown, shown } from '../support/graph-fleet.js';
import { COUPLED, INDEPENDENT, rowGraph } from '../support/row-graphs.js';
import { scenario, sized } from './scenario.js';

const TENANTS = ['ada', 'bob'] as const;
const JOBS = sized(10_000, 1000);
/** Jobs of one call. */
const BULK = 50;

/** Random, and one whose kernel keeps its running means from pass to pass: what they give alone is no measure. */
const UNSTEADY = ['noise', 'batch normalisation in training'];
const COUPLED_GRAPHS = Object.entries(COUPLED).filter(([name]) => !UNSTEADY.includes(name));
const GRAPHS = new Map(
  [...COUPLED_GRAPHS, ...Object.entries(INDEPENDENT)].map(([name, graph], n) => [name, { graph, model: `graph-${n}` }]),
);

interface Sent {
  readonly name: string;
  readonly tenant: string;
  readonly id: string;
  readonly feeds: Readonly<Record<string, Tensor>>;
}

/** One row: small whole numbers, some of them zero, of either tenant's own magnitude. */
function madeUp(name: string, tenant: string, n: number): Tensor {
  const { input = ['rows', 4], type = 'float32' } = GRAPHS.get(name)!.graph;
  const dims = input.map((size) => (typeof size === 'number' ? size : size === input[0] ? 1 : 3));
  const count = dims.reduce((product, size) => product * size, 1);
  const values = Array.from({ length: count }, (_, i) => ((7 * n + 3 * i) % 5) * (tenant === 'ada' ? 1 : 10));
  if (type === 'bool') return { type, dims, data: Uint8Array.from(values, (value) => value % 2) };
  if (type === 'int64') return { type, dims, data: BigInt64Array.from(values, (value) => BigInt(value % 10)) };
  return { type, dims, data: Float32Array.from(values) };
}

async function send(
  fleet: Awaited<ReturnType<typeof openGraphFleet>>,
  name: string,
  tenant: string,
  count: number,
): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let from = 0; from < count; from += BULK) {
    const rows = Array.from({ length: Math.min(BULK, count - from) }, (_, i) => ({
      x: madeUp(name, tenant, from + i),
    }));
    const ids = await fleet.submit(
      GRAPHS.get(name)!.model,
      rows.map(({ x }) => ({ x: shown(x) })),
      tenant,
    );
    sent.push(...ids.map((id, i) => ({ name, tenant, id, feeds: rows[i]! })));
  }
  return sent;
}

/** Whether an output is what the item gives alone: to the last bit, or to 1e-5 where it shared a pass. */
function isSame(output: Shown[string], expected: Tensor, joined: boolean): boolean {
  const own = shown(expected);
  if (output.base64 === own.base64 && output.shape.join() === own.shape.join()) return true;
  if (!joined || expected.type !== 'float32') return false;
  const got = new Float32Array(new Uint8Array(Buffer.from(output.base64!, 'base64')).buffer);
  const values = expected.data as Float32Array;
  return (
    got.length === values.length &&
    got.every((value, i) => Math.abs(value - values[i]!) <= 1e-5 * Math.max(1, Math.abs(values[i]!)))
  );
}

scenario('two tenants on graphs that couple rows', async (row) => {
  row.load = `${GRAPHS.size} graphs, both tenants at once`;
  const graphs = Object.fromEntries([...GRAPHS.values()].map(({ graph, model }) => [model, rowGraph(graph)]));
  const fleet = await openGraphFleet(graphs, TENANTS);
  const each = Math.ceil(JOBS / GRAPHS.size / TENANTS.length);
  const sent = (
    await inParallel(8, [...GRAPHS.keys()], (name) =>
      Promise.all(TENANTS.map((tenant) => send(fleet, name, tenant, each))),
    )
  ).flat(2);
  row.jobs = sent.length;
  const directs = new Map<string, Direct>();
  for (const [name, { model }] of GRAPHS) directs.set(name, await openDirect(graphs[model]!));
  const wrong: string[] = [];
  const largest = new Map<string, number>();
  await inParallel(16, sent, async ({ name, tenant, id, feeds }) => {
    const job = await fleet.end(id, tenant);
    const size = job.batches[0]?.size ?? 0;
    largest.set(name, Math.max(largest.get(name) ?? 0, size));
    const expected = (await directs.get(name)!.run(feeds)).y!;
    if (job.output === null || !isSame((job.output as Shown).y!, expected, size > 1)) wrong.push(name);
  });
  for (const direct of directs.values()) await direct.release();
  row.lost = wrong.length;
  row.duplicated = 0;
  const joined = Object.keys(INDEPENDENT).map((name) => largest.get(name)!);
  row.note = `${wrong.length} differ from the item alone; independent graphs: up to ${Math.max(...joined)} rows a pass`;
  expect(wrong).toEqual([]);
  expect(COUPLED_GRAPHS.filter(([name]) => largest.get(name)! > 1)).toEqual([]);
  expect(joined.filter((size) => size === 1)).toEqual([]);
  for (const [name, { model }] of GRAPHS) {
    const rows = Object.hasOwn(COUPLED, name) ? 'alone' : 'same-shape';
    expect(await fleet.joining(model, TENANTS[0])).toMatchObject({ rows });
  }
});
