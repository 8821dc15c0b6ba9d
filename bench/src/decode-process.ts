/** A decoder in a process of its own: `shoal` or `plain`, its ONNX file, `smol` or `tiny`, and its number of threads. */
import { DecoderPasses, KvCache } from '@shoal/generation';
import { readDecoderInfo } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { PlainDriver } from './plain-driver.js';
import { SMOL, TINY } from './random-llama.js';

export type DecodeOrder =
  | { readonly kind: 'prepare'; readonly batch: number; readonly context: number }
  | { readonly kind: 'decode'; readonly steps: number };

const [kind, model = '', size, threads = '1'] = process.argv.slice(2);
process.once('disconnect', () => process.exit(0));

/** Fills rows with a context; what it resolves to decodes a number of tokens in each. */
type Prepare = (batch: number, context: number) => Promise<(steps: number) => Promise<void>>;
const prepare = kind === 'shoal' ? await openShoal() : openPlain();
let decode: (steps: number) => Promise<void> = () => Promise.reject(new Error('nothing is prepared'));

process.on('message', (order: DecodeOrder) => {
  void obey(order).then(() => process.send?.('done'));
});
console.log('decode.ready');

async function obey(order: DecodeOrder): Promise<void> {
  if (order.kind === 'decode') await decode(order.steps);
  else decode = await prepare(order.batch, order.context);
}

function openPlain(): Prepare {
  const driver = new PlainDriver(model, size === 'smol' ? SMOL : TINY, Number(threads));
  return async (batch, context) => {
    const run = driver.prepare(batch, context);
    return async (steps) => run(steps);
  };
}

async function openShoal(): Promise<Prepare> {
  const info = readDecoderInfo(model);
  if (info === undefined) throw new Error(`${model} is no decoder`);
  const runtime = await openRuntime();
  // Idle threads spin in the plain process too: it leaves ONNX Runtime's settings alone.
  const session = await runtime.createSession(model, { intraOpThreads: Number(threads), spinning: true });
  let passes: DecoderPasses | undefined;
  return async (batch, context) => {
    await passes?.release();
    const cache = new KvCache(session, info, { rows: batch, capacity: info.maxContext });
    const decoder = new DecoderPasses(session, info, cache, { blocking: true });
    passes = decoder;
    const rows = Array.from({ length: batch }, (_, row) => row);
    const prompt = (row: number) => Array.from({ length: context }, (_, n) => 5 + ((row * context + n) % 100));
    await decoder.forward(rows.map((row) => ({ past: 0, ids: prompt(row), wanted: 1 })));
    return async (steps) => {
      for (let step = 0; step < steps; step++) {
        await decoder.forward(rows.map(() => ({ past: context + step, ids: [7], wanted: 1 })));
      }
    };
  };
}
