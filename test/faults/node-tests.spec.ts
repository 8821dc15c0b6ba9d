/**
 * The ONNX project's tests of single operators through REST as `tensors`: each as it is and, where it can be, with a free first
 * dimension; as a job of one item and of an array whose items could be joined. What comes back has to be what ONNX Runtime
 * gives for the item alone. Left out where no Python has the package `onnx`.
 */
import type { Tensor } from '@shoal/onnxruntime';
import { expect, test } from 'vitest';
import { inParallel } from '../support/fleet.js';
import { type Direct, type GraphFleet, openDirect, openGraphFleet, type Shown, shown } from '../support/graph-fleet.js';
import { makeNodeTests, type NodeTest, pythonWithOnnx, reversed, tensorOf } from '../support/node-tests.js';
import { QUICK, scenario } from './scenario.js';

const KEY = 'tester';
/** Models of one fleet: each has connections of its own. */
const GROUP = 100;
/** Of a quick run: one test of so many. */
const SHARE = 32;

type Feeds = Readonly<Record<string, Tensor>>;

interface Loaded {
  readonly name: string;
  readonly case: NodeTest;
  readonly direct: Direct;
  readonly items: readonly Feeds[];
}

interface Counts {
  tried: number;
  readonly passed: string[];
  readonly wrong: string[];
  /** By reason. */
  readonly refused: Map<string, number>;
}

/** Operators that draw numbers, also from a seed, give something else each time: there is nothing to compare. */
async function isRandom(direct: Direct, items: readonly Feeds[]): Promise<boolean> {
  const runAll = async () => {
    const results: unknown[] = [];
    for (const feeds of items) results.push(await direct.run(feeds).then(shownAll, () => null));
    return JSON.stringify(results);
  };
  const first = await runAll();
  return first !== (await runAll());
}

async function load(node: NodeTest, counts: Counts): Promise<Loaded | null> {
  const refuse = (reason: string) => {
    counts.refused.set(reason, (counts.refused.get(reason) ?? 0) + 1);
    return null;
  };
  const { name, inputs, outputs } = node;
  if ([...Object.values(inputs), ...Object.values(outputs)].includes(null))
    return refuse('a sequence or an optional value');
  let direct: Direct;
  try {
    direct = await openDirect(node.graph);
  } catch (error) {
    return refuse(reasonOf(error));
  }
  const feeds = Object.fromEntries(direct.inputs.map((info) => [info.name, tensorOf(inputs[info.name]!, info)]));
  const other = Object.fromEntries(Object.entries(feeds).map(([input, tensor]) => [input, reversed(tensor)]));
  const items = [feeds, other, feeds];
  const works = await direct.run(feeds).then(
    () => true,
    () => false,
  );
  const refused = works
    ? (await isRandom(direct, items))
      ? 'random'
      : null
    : 'ONNX Runtime does not run it as it is declared';
  if (refused === null) return { name, case: node, direct, items };
  await direct.release();
  return refuse(refused);
}

/** Without names and numbers, so that like reasons count together. */
function reasonOf(error: unknown): string {
  const message = (error as Error).message;
  if (/NOT_IMPLEMENTED|not implemented|Could not find an implementation/i.test(message))
    return 'ONNX Runtime has no such kernel';
  if (/opset|not a registered/i.test(message)) return 'ONNX Runtime has no such operator';
  if (/initialization|ShapeInference/.test(message)) return 'ONNX Runtime does not load it';
  return message.slice(0, 60);
}

function shownAll(tensors: Readonly<Record<string, Tensor>>): Shown {
  return Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, shown(tensor)]));
}

/** Why `output` is not what the item gives alone; undefined where it is. Null: the item failed. */
async function differs({ direct }: Loaded, feeds: Feeds, output: Shown | null): Promise<string | undefined> {
  const expected = await direct.run(feeds).catch(() => null);
  if (expected === null || output === null)
    return (expected === null) === (output === null) ? undefined : 'one of them failed';
  for (const [name, tensor] of Object.entries(expected)) {
    const own = shown(tensor);
    const got = output[name];
    if (got === undefined || got.shape.join() !== own.shape.join())
      return `${name}: [${got?.shape}] for [${own.shape}]`;
    const strings = (value: Shown[string]) => JSON.stringify([value.data].flat(9));
    if (own.base64 === undefined ? strings(own) !== strings(got) : !near(tensor, got.base64!))
      return `${name}: other values`;
  }
  return undefined;
}

/** To 1e-5 where a pass may have been shared. */
function near(expected: Tensor, base64: string): boolean {
  const got = tensorOf({ shape: expected.dims, base64 }, expected).data;
  return Array.from(expected.data as ArrayLike<number | bigint>).every((value, i) => {
    const other = got[i]!;
    if (Object.is(value, other) || value === other) return true;
    return (
      expected.type.startsWith('float') &&
      Math.abs(Number(value) - Number(other)) <= 1e-5 * Math.max(1, Math.abs(Number(value)))
    );
  });
}

async function check(fleet: GraphFleet, loaded: Loaded, counts: Counts): Promise<void> {
  const { name, items } = loaded;
  const inputs = items.map(shownAll);
  let why: string | undefined;
  try {
    const [single, array] = await Promise.all(
      // By a call each: together some are larger than a body may be.
      [inputs[0], inputs].map(async (input) => {
        const [id] = await fleet.submit(name, [input], KEY);
        return await fleet.end(id!, KEY);
      }),
    );
    const outputs = [single!.output, ...((array!.output ?? [null, null, null]) as unknown[])] as (Shown | null)[];
    for (const [i, output] of outputs.entries()) why ??= await differs(loaded, items[Math.max(0, i - 1)]!, output);
  } catch (error) {
    why = (error as Error).message;
  }
  if (why === undefined) counts.passed.push(name);
  else counts.wrong.push(`${name}: ${why}`);
}

const python = pythonWithOnnx();

if (python === undefined) {
  test.skip('tests of single operators: no Python here has the package onnx', () => undefined);
} else {
  scenario('tests of single operators', async (row) => {
    const all = makeNodeTests(python);
    const nodes = QUICK ? all.filter((_, n) => n % SHARE === 0) : all;
    const counts: Counts = { tried: nodes.length, passed: [], wrong: [], refused: new Map() };
    row.load = `${nodes.length} graphs of the ONNX project, singly and in arrays`;
    for (let from = 0; from < nodes.length; from += GROUP) {
      const group: Loaded[] = [];
      for (const node of nodes.slice(from, from + GROUP)) {
        const loaded = await load(node, counts);
        if (loaded !== null) group.push(loaded);
      }
      const graphs = Object.fromEntries(group.map((loaded) => [loaded.name, loaded.case.graph]));
      const fleet = await openGraphFleet(graphs, [KEY]);
      await inParallel(8, group, (loaded) => check(fleet, loaded, counts));
      await fleet.close();
      for (const { direct } of group) await direct.release();
    }
    row.jobs = 2 * (counts.passed.length + counts.wrong.length);
    row.lost = counts.wrong.length;
    row.duplicated = 0;
    const refused = [...counts.refused].map(([reason, count]) => `${count} ${reason}`).join(', ');
    row.note = `${counts.passed.length} passed, ${counts.wrong.length} wrong; refused: ${refused}`;
    expect(counts.wrong).toEqual([]);
  });
}
