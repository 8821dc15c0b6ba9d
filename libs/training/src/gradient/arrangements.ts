/**
 * Encoders of @shoal/importer drop padding: hidden states are [tokens, width], and Gather brings them to [batch, sequence] and back.
 * Its indices are each row once, and for padding some row again. Padding has a gradient of exactly 0 (its share in attention is
 * exp(−1e9) = 0, and nobody reads what it asks for), so the way back is a Gather too, or a ScatterND that adds nothing.
 *
 * It holds where the loss does not read padding either: rows of padding need a weight of 0.
 */
import { type Graph, indexGraph, type Node, type Value } from '@shoal/onnx';

export type RowsOf =
  /** From rows of batch × sequence to those of tokens. */
  | { readonly kind: 'places' }
  /** From rows of tokens, `count` to a token, to the `n`-th of each for batch × sequence. */
  | { readonly kind: 'rows'; readonly count: number; readonly n: number };

export interface Arrangements {
  /** Where in batch × sequence each token is: int64 [tokens]. */
  readonly places: Value;
  of(indices: Value): RowsOf | undefined;
}

/** Undefined where the graph has no such padding to drop. */
export function arrangementsOf(graph: Graph): Arrangements | undefined {
  const { producer } = indexGraph(graph);
  const isMadeBy = (value: Value, ...ops: readonly string[]): boolean => {
    let name: Value | undefined = value;
    for (const op of ops) {
      const node: Node | undefined = name === undefined ? undefined : producer(name);
      if (node?.op !== op) return false;
      name = node.inputs[0];
    }
    return true;
  };
  const values = graph.nodes.flatMap((node) => node.outputs);
  const places = values.find((value) => isMadeBy(value, 'Reshape', 'NonZero'));
  const tokens = values.find((value) => isMadeBy(value, 'Reshape', 'Sub', 'CumSum'));
  if (places === undefined || tokens === undefined) return undefined;

  const literal = (name: Value | undefined): number | undefined => {
    const tensor = name === undefined ? undefined : graph.initializers.get(name);
    if (tensor?.type !== 'int64' || tensor.dims.length > 0) return undefined;
    return Number(new BigInt64Array(new Uint8Array(tensor.data.bytes()).buffer)[0]);
  };
  /** `count` of tokens × count. */
  const countOf = (name: Value | undefined): number | undefined => {
    if (name === tokens) return 1;
    const node = name === undefined ? undefined : producer(name);
    return node?.op === 'Mul' && node.inputs[0] === tokens ? literal(node.inputs[1]) : undefined;
  };
  return {
    places,
    of(indices) {
      if (indices === places) return { kind: 'places' };
      const first = countOf(indices);
      if (first !== undefined) return { kind: 'rows', count: first, n: 0 };
      const node = producer(indices);
      if (node?.op !== 'Add') return undefined;
      const [count, n] = [countOf(node.inputs[0]), literal(node.inputs[1])];
      return count === undefined || n === undefined || n < 0 || n >= count ? undefined : { kind: 'rows', count, n };
    },
  };
}
