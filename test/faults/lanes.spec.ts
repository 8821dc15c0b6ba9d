/** A worker that may run eight passes at once does, and reaches Redis by its name meanwhile. */
import { readdirSync, readFileSync } from 'node:fs';
import { dataOf, GraphBuilder, serialiseModel } from '@shoal/onnx';
import { expect } from 'vitest';
import { openGraphFleet } from '../support/graph-fleet.js';
import { type RedisGateway, startRedisGateway } from '../support/redis-gateway.js';
import { scenario, sized } from './scenario.js';

const LANES = 8;
const KEY = 'ada';
const SIZE = 1024;
/** Products of two matrices in one pass: some 2 billion operations each. */
const PRODUCTS = sized(60, 30);
/** Of processor time in a hundredth of a second that a thread must have had to count as one that runs a pass. */
const BUSY_TICKS = 5;

/** A pass of seconds whose rows influence each other, so that each item is a micro-batch. */
function slowGraph(): Uint8Array {
  const g = new GraphBuilder({ name: 'slow', opset: 17, irVersion: 8 });
  const x = g.input('x', 'float32', ['rows', 1]);
  const weights = g.constant('W', 'float32', [SIZE, SIZE], dataOf(new Float32Array(SIZE * SIZE).fill(1 / SIZE)));
  let product = g.op('Mul', [weights, g.op('ReduceSum', [x], { keepdims: 0 })]);
  for (let n = 0; n < PRODUCTS; n++) product = g.op('MatMul', [product, weights]);
  const y = g.op('Add', [x, g.op('ReduceMean', [product], { keepdims: 0 })]);
  g.output('y', y, 'float32', ['rows', 1]);
  return serialiseModel(g.build());
}

/** Processor time of each thread of a process, in hundredths of a second. */
function threadsOf(pid: number): Map<string, number> {
  const threads = readdirSync(`/proc/${pid}/task`);
  const used = (thread: string) => {
    const fields = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
      .replace(/^.*\) /, '')
      .split(' ');
    return Number(fields[11]) + Number(fields[12]);
  };
  return new Map(threads.map((thread) => [thread, used(thread)]));
}

scenario(`${LANES} passes at once in one worker, its connections cut meanwhile`, async (row) => {
  row.load = `${LANES} jobs that nothing may share a pass with`;
  let gateway: RedisGateway | undefined;
  const fleet = await openGraphFleet({ slow: slowGraph() }, [KEY], {
    env: { SHOAL_CONCURRENT_RUNS: String(LANES) },
    // By name: looking it up takes a thread of the pool that the passes run in.
    through: async (redisUrl) => {
      gateway = await startRedisGateway(redisUrl);
      return gateway.url.replace('127.0.0.1', 'localhost');
    },
  });
  const connections = gateway!.open();
  const before = threadsOf(fleet.worker.pid);
  const inputs = Array.from({ length: LANES }, (_, n) => ({ x: { shape: [1, 1], data: [n + 1] } }));
  const ids = await fleet.submit('slow', inputs, KEY);
  const running = () => {
    const threads = [...threadsOf(fleet.worker.pid)];
    return threads.filter(([thread, ticks]) => ticks - (before.get(thread) ?? 0) >= BUSY_TICKS).length;
  };
  const states = () => Promise.all(ids.map(async (id) => (await fleet.look(id, KEY)).status));
  await expect.poll(running, { interval: 10 }).toBeGreaterThanOrEqual(LANES);
  const atOnce = running();
  expect(await states()).toEqual(new Array(LANES).fill('running'));

  const started = performance.now();
  expect(gateway!.cut()).toBe(connections);
  await expect.poll(() => gateway!.open(), { interval: 5 }).toBe(connections);
  row.recovery = (performance.now() - started) / 1000;
  // Had the name waited for a thread of the pool, a pass would have ended first.
  expect(await states()).toEqual(new Array(LANES).fill('running'));

  const jobs = await Promise.all(ids.map((id) => fleet.end(id, KEY)));
  row.jobs = jobs.length;
  row.lost = jobs.filter(({ status }) => status !== 'completed').length;
  expect(jobs.map(({ batches }) => batches.map(({ size }) => size))).toEqual(new Array(LANES).fill([1]));
  expect(row.lost).toBe(0);
  row.note = `${atOnce} threads in passes; ${connections} connections by name back after ${row.recovery.toFixed(2)} s, before any pass ended`;
});
