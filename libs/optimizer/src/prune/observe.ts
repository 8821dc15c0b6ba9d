/** What goes on in a graph while it reads texts: the served one with further outputs, whose sums are all that leaves it. */
import { tmpdir } from 'node:os';
import type { Served } from '@shoal/importer';
import { decoderInfoOf, type Model } from '@shoal/models';
import { type Model as Graph, GraphBuilder, type OnnxType, saveModel, type Value } from '@shoal/onnx';
import { withGraph } from '../graph-session.js';
import type { Context } from '../types.js';
import type { Moments } from './ridge.js';
import { type Encoded, type Outputs, runAll } from './texts.js';

/** Numbers of sums that are in memory at once, in 64 bits: 256 MiB. */
const MOST_SUMS = 2 ** 25;

/** Vectors of tokens, in any number of dimensions, whose last is `width`. */
export interface Vectors {
  readonly width: number;
  readonly make: (g: GraphBuilder) => Value;
}

/** Sums over the tokens of x, and of y where it is given. */
export interface MomentOrder {
  readonly x: Vectors;
  readonly y?: Vectors;
}

/** What is looked at, and with what. */
export interface Observed {
  readonly served: Served;
  readonly model: Model;
  readonly encoded: Encoded;
  readonly context: Context;
}

/** The value as it stands in the graph. */
export function standing(width: number, value: Value): Vectors {
  return { width, make: () => value };
}

/**
 * Products are summed up in 32 bits within a pass of some hundred tokens, and in 64 bits over passes.
 *
 * @throws ShoalError where the graph does not run; the signal's reason
 */
export async function momentsOf(observed: Observed, orders: readonly MomentOrder[]): Promise<readonly Moments[]> {
  const all: Moments[] = [];
  for (let from = 0; from < orders.length; ) {
    let to = from;
    for (let sums = 0; to < orders.length; to++) {
      sums += sizeOf(orders[to]!);
      if (sums > MOST_SUMS && to > from) break;
    }
    all.push(...(await sumUp(observed, orders.slice(from, to))));
    from = to;
  }
  return all;
}

function sizeOf({ x, y }: MomentOrder): number {
  return x.width * (x.width + (y?.width ?? 0));
}

async function sumUp(observed: Observed, orders: readonly MomentOrder[]): Promise<readonly Moments[]> {
  const sums = orders.map(({ x, y }) => ({
    tokens: 0,
    xx: new Float64Array(x.width ** 2),
    x: new Float64Array(x.width),
    xy: new Float64Array(x.width * (y?.width ?? 0)),
    y: new Float64Array(y?.width ?? 0),
  }));
  const outputs: Output[] = [];
  await observe(
    observed,
    (g) => {
      for (const [n, { x, y }] of orders.entries()) {
        const rows = (vectors: Vectors) => g.op('Reshape', [vectors.make(g), g.ints([-1, vectors.width])]);
        const across = (value: Value) => g.op('ReduceSum', [value, g.ints([0])], { keepdims: 0 });
        const add = (part: string, value: Value, type: OnnxType = 'float32') =>
          outputs.push({ name: `observed.${n}.${part}`, value, type });
        const own = rows(x);
        const turned = g.op('Transpose', [own], { perm: [1, 0] });
        add('tokens', g.op('Shape', [own], { start: 0, end: 1 }), 'int64');
        add('xx', g.op('MatMul', [turned, own]));
        add('x', across(own));
        if (y === undefined) continue;
        const other = rows(y);
        add('xy', g.op('MatMul', [turned, other]));
        add('y', across(other));
      }
      return outputs;
    },
    (found) => {
      for (const [n, sum] of sums.entries()) {
        sum.tokens += Number((found[`observed.${n}.tokens`]!.data as BigInt64Array)[0]);
        for (const part of ['xx', 'x', 'xy', 'y'] as const) {
          const values = found[`observed.${n}.${part}`]?.data as Float32Array | undefined;
          const total = sum[part];
          for (let at = 0; at < total.length; at++) total[at]! += values![at]!;
        }
      }
    },
  );
  return sums;
}

/** A further output of the graph. */
export interface Output {
  readonly name: string;
  readonly value: Value;
  readonly type: OnnxType;
}

/**
 * Runs all texts through the graph with the outputs that `add` adds; those of each pass are `onPass`'s.
 *
 * @throws ShoalError where the graph does not run; the signal's reason
 */
export async function observe(
  { served, model, encoded, context: { runtime, signal } }: Observed,
  add: (g: GraphBuilder) => readonly Output[],
  onPass: (outputs: Outputs) => void,
): Promise<void> {
  const graph = copyOf(served.graph);
  const g = new GraphBuilder(graph);
  const outputs = g.within('observed', () => add(g));
  for (const { name, value, type } of outputs) {
    graph.graph.outputs.push({ name, type, shape: null, extra: [] });
    graph.graph.nodes.push({
      ...{ name: `${name}/Identity`, op: 'Identity', domain: '', inputs: [value], outputs: [name] },
      ...{ attributes: new Map(), extra: [] },
    });
  }
  const names = outputs.map(({ name }) => name);
  const options = { outputs: names, onPass, info: decoderInfoOf(served.graph), signal };
  const write = (path: string) => saveModel(graph, path);
  await withGraph(runtime, tmpdir(), write, (session) => runAll(model, session, encoded, options));
}

/** One that can be added to. */
function copyOf(model: Graph): Graph {
  const { graph } = model;
  return {
    ...model,
    graph: {
      ...graph,
      nodes: [...graph.nodes],
      outputs: [...graph.outputs],
      initializers: new Map(graph.initializers),
    },
  };
}
