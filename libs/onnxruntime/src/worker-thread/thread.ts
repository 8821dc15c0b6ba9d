/** The thread that holds one session of onnxruntime-node, whose `run` blocks whatever thread it is called on. */
import { parentPort } from 'node:worker_threads';
import type { ElementType } from '@shoal/contracts';
import * as ort from 'onnxruntime-node';
import type { Tensor, TensorInfo } from '../types.js';
import type { Reply, Request, Signature } from './protocol.js';

// Where there is a Float16Array (Node.js 24) onnxruntime-node puts float16 into one, and then cannot read it. Without it, it
// takes the bits in a Uint16Array. It looks when the first tensor is made.
Reflect.deleteProperty(globalThis, 'Float16Array');

let session: ort.InferenceSession | undefined;

parentPort!.on('message', async (request: Request) => {
  try {
    const result = await answer(request);
    reply({ id: request.id, result });
    if (request.op === 'release') parentPort!.close();
  } catch (error) {
    reply({ id: request.id, error: error instanceof Error ? error.message : String(error) });
  }
});

async function answer(request: Request): Promise<Signature | Record<string, Tensor> | undefined> {
  switch (request.op) {
    case 'load':
      session = await load(request.model, request.options);
      return { inputs: session.inputMetadata.map(requiredInfo), outputs: session.outputMetadata.flatMap(tensorInfo) };
    case 'run':
      return run(session!, request.feeds, request.outputs);
    case 'release':
      await session?.release();
      return undefined;
  }
}

function load(model: string | Uint8Array, options: ort.InferenceSession.SessionOptions): Promise<ort.InferenceSession> {
  return typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options);
}

function requiredInfo(metadata: ort.InferenceSession.ValueMetadata): TensorInfo {
  const [info] = tensorInfo(metadata);
  if (info === undefined) throw new Error(`Input "${metadata.name}" is no tensor of a known element type`);
  return info;
}

function tensorInfo(metadata: ort.InferenceSession.ValueMetadata): TensorInfo[] {
  if (!metadata.isTensor) return [];
  return [{ name: metadata.name, type: metadata.type as ElementType, shape: metadata.shape }];
}

async function run(
  running: ort.InferenceSession,
  feeds: Readonly<Record<string, Tensor>>,
  outputs: readonly string[],
): Promise<Record<string, Tensor>> {
  const values: Record<string, ort.Tensor> = {};
  for (const [name, { type, data, dims }] of Object.entries(feeds)) {
    values[name] = new ort.Tensor(type as ort.Tensor.Type, data as ort.Tensor.DataType, dims);
  }
  const results: Record<string, Tensor> = {};
  for (const [name, { type, dims, data }] of Object.entries(await running.run(values, outputs))) {
    results[name] = { type: type as ElementType, dims, data: data as Tensor['data'] };
  }
  return results;
}

/** Outputs are the thread's own: they move to the other side instead of being copied. */
function reply(message: Reply): void {
  const tensors =
    'result' in message && message.result && !('inputs' in message.result) ? Object.values(message.result) : [];
  const buffers = (tensors as Tensor[]).flatMap(({ data }) =>
    Array.isArray(data) ? [] : [data.buffer as ArrayBuffer],
  );
  parentPort!.postMessage(message, [...new Set(buffers)]);
}
