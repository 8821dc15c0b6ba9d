/**
 * Decoders: what it takes to import a checkpoint of 135 million parameters, and how fast the imported graph decodes with
 * 4-bit weights beside the graph that ONNX Runtime's own tools make, driven as directly as it can be.
 */
import { existsSync, mkdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { openCheckpoint } from '@shoal/importer';
import { saveModel } from '@shoal/onnx';
import type { DecodeOrder } from './decode-process.js';
import { importOnce } from './import-once.js';
import { type Measure, measure } from './measure.js';
import { plainDecoder } from './plain-decoder.js';
import { type Running, startProcess } from './processes.js';
import { makeCheckpoint, SMOL, TINY } from './random-llama.js';
import { type FigureRow, type RatioRow, rateRow, ratioRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { playRounds, spread } from './rounds.js';

export interface DecodeOptions {
  readonly rounds: number;
  /** Below 1 a tiny model, which tells only whether the benchmark works. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

const FOLDER = join(ROOT, '.shoal/bench/decode');
const VARIANTS = ['int4', 'int4-b128'];
const BATCHES = [1, 8, 32];
/** Tokens in the cache when decoding begins, and tokens decoded in each row. */
const CONTEXT = 128;
const STEPS = 24;
const THREADS = Math.min(2, availableParallelism());
/** Of `npm run bench`, as promised: seconds and MiB. */
const IMPORT_SECONDS = 60;
const IMPORT_MIB = 2500;

type Decoder = Running & { readonly ask: (order: DecodeOrder) => Promise<void> };

export async function decodeBench({ rounds, scale, say }: DecodeOptions): Promise<Section[]> {
  const size = scale < 1 ? 'tiny' : 'smol';
  const shape = size === 'tiny' ? TINY : SMOL;
  const source = join(FOLDER, `${size}-checkpoint`);
  mkdirSync(FOLDER, { recursive: true });
  makeCheckpoint(source, shape);
  const imports = await importRounds(source, size, rounds, say);
  const plain = join(FOLDER, `${size}-plain.onnx`);
  if (!existsSync(plain)) saveModel(plainDecoder(openCheckpoint(source), shape), plain);
  const decoders = {
    int4: await startDecoder('shoal', join(imports.folder, 'onnx/model_int4.onnx'), size),
    'int4-b128': await startDecoder('shoal', join(imports.folder, 'onnx/model_int4-b128.onnx'), size),
    plain: await startDecoder('plain', plain, size),
  };
  try {
    const ratios: RatioRow[] = [];
    const figures: FigureRow[] = [];
    for (const batch of BATCHES) {
      say(`decoding ${batch} texts at once:`);
      const results = await playRounds(
        {
          int4: () => decode(decoders.int4, batch),
          'int4-b128': () => decode(decoders['int4-b128'], batch),
          plain: () => decode(decoders.plain, batch),
        },
        rounds,
        say,
      );
      for (const [variant, block] of [
        ['int4', 32],
        ['int4-b128', 128],
      ] as const) {
        const what = `decode, blocks of ${block}, ${batch} texts, beside ONNX Runtime alone with blocks of 32`;
        ratios.push(ratioRow('I', what, results[variant], results.plain, 1));
        figures.push(rateRow('I', `decode, blocks of ${block}, ${batch} texts`, results[variant], 'tokens/s'));
      }
      figures.push(rateRow('I', `decode, ONNX Runtime alone, blocks of 32, ${batch} texts`, results.plain, 'tokens/s'));
    }
    return [{ ratios, figures: [...imports.figures, ...figures], notes: [note(size)] }];
  } finally {
    await Promise.all(Object.values(decoders).map((decoder) => decoder.stop()));
  }
}

function note(size: 'smol' | 'tiny'): string {
  const model = size === 'smol' ? 'shapes of SmolLM-135M' : 'a tiny model: only to see that it works';
  return `decode: ${model}, random weights, ${STEPS} tokens after ${CONTEXT}, ${THREADS} threads, accuracy level 4`;
}

/** One import for each round, each into a folder that is not there. */
async function importRounds(
  source: string,
  size: string,
  rounds: number,
  say: DecodeOptions['say'],
): Promise<{ folder: string; figures: FigureRow[] }> {
  const to = join(FOLDER, 'models');
  const [seconds, mebibytes]: [number[], number[]] = [[], []];
  for (let round = 0; round < rounds; round++) {
    rmSync(join(to, size), { recursive: true, force: true });
    const started = performance.now();
    mebibytes.push(await importOnce(['import', source, '--name', size, '--to', to, '--dtype', VARIANTS.join(',')]));
    seconds.push((performance.now() - started) / 1000);
    say(`  import ${round + 1} of ${rounds}: ${seconds.at(-1)!.toFixed(1)} s, ${mebibytes.at(-1)} MiB`);
  }
  const dtypes = VARIANTS.join(' and ');
  const row = (what: string, values: readonly number[], unit: string): FigureRow => ({
    requirement: 'I',
    what: `import of 135 M parameters to ${dtypes}, ${what}`,
    value: spread(values),
    unit,
  });
  return {
    folder: join(to, size, '1'),
    figures: [
      row(`at most ${IMPORT_SECONDS}`, seconds, 's'),
      row(`largest resident set, at most ${IMPORT_MIB}`, mebibytes, 'MiB'),
    ],
  };
}

async function startDecoder(kind: 'shoal' | 'plain', model: string, size: string): Promise<Decoder> {
  const args = [kind, model, size, String(THREADS)];
  const { child, running } = await startProcess({
    script: 'bench/dist/decode-process.js',
    args,
    ready: 'decode.ready',
  });
  return {
    ...running,
    ask: (order) =>
      new Promise((resolve, reject) => {
        const onExit = () => reject(new Error(`the ${kind} decoder has failed`));
        child.once('exit', onExit);
        child.once('message', () => {
          child.off('exit', onExit);
          resolve();
        });
        child.send(order);
      }),
  };
}

async function decode(decoder: Decoder, batch: number): Promise<Measure> {
  await decoder.ask({ kind: 'prepare', batch, context: CONTEXT });
  // The first steps meet cold caches and code that V8 has not compiled yet.
  await decoder.ask({ kind: 'decode', steps: 2 });
  return await measure(batch * STEPS, [decoder.pid], () => decoder.ask({ kind: 'decode', steps: STEPS }));
}
