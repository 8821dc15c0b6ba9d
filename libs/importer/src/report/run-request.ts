/** A request's items by the path that jobs take: tokenised as the API does, then micro-batches as workers run them. */
import type { WireOutput } from '@shoal/contracts';
import type { EncodedInput, EncodeRequest, ModelFace, ModelRunner, Row } from '@shoal/models';

export interface RunRequest {
  readonly encoded: EncodedInput;
  /** One for each of `encoded.items`. */
  readonly outputs: readonly WireOutput[];
}

/** `batch`: rows of a micro-batch at most. @throws ShoalError as `ModelFace.encode`, and where a pass or a row fails */
export async function runRequest(
  face: ModelFace,
  runner: ModelRunner,
  request: EncodeRequest,
  batch: number,
): Promise<RunRequest> {
  const encoded = await face.encode(request);
  const { items, parameters } = encoded;
  const outputs = await runRows(
    runner,
    items.map((item) => ({ item, parameters })),
    batch,
  );
  return { encoded, outputs };
}

/** Neighbours by length run together, where they may. One output per row, in the order of `rows`. */
export async function runRows(runner: ModelRunner, rows: readonly Row[], batch: number): Promise<WireOutput[]> {
  const lengths = rows.map(({ item }) => (item.kind === 'tensors' ? 0 : item.ids.length));
  const order = rows.map((_, n) => n).sort((a, b) => lengths[a]! - lengths[b]!);
  const keyOf = (n: number) => runner.groupKey(rows[n]!.item);
  const outputs = new Array<WireOutput>(rows.length);
  for (let from = 0; from < order.length; ) {
    const key = keyOf(order[from]!);
    let to = from + 1;
    while (to < order.length && to - from < batch && keyOf(order[to]!) === key) to += 1;
    const together = order.slice(from, to);
    const made = await runner.run(together.map((n) => rows[n]!));
    for (const [at, n] of together.entries()) {
      const output = made[at]!;
      if (output instanceof Error) throw output;
      outputs[n] = output;
    }
    from = to;
  }
  return outputs;
}
