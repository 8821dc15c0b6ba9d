/** What it takes to import decoders of 135 M, 1 B and 8 B parameters to int4: seconds, memory and the size of what comes of it. */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { importOnce } from './import-once.js';
import { EIGHT_BILLION, type LlamaShape, makeCheckpoint, ONE_BILLION, SMOL } from './random-llama.js';
import { type FigureRow, figureRow, type Section } from './report.js';
import { ROOT } from './root.js';

export interface ImportsOptions {
  readonly rounds: number;
  /** Below 1 the smallest shape alone. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

const FOLDER = join(ROOT, '.shoal/bench/imports');
const SHAPES: readonly (readonly [name: string, shape: LlamaShape])[] = [
  ['135m', SMOL],
  ['1b', ONE_BILLION],
  ['8b', EIGHT_BILLION],
];
/** As promised, whatever the shape. */
const MOST_MIB = 6 * 1024;

export async function importsBench({ rounds, scale, say }: ImportsOptions): Promise<Section> {
  mkdirSync(FOLDER, { recursive: true });
  const figures: FigureRow[] = [];
  for (const [name, shape] of scale < 1 ? SHAPES.slice(0, 1) : SHAPES) {
    const source = join(FOLDER, `${name}-checkpoint`);
    makeCheckpoint(source, shape);
    const [seconds, mebibytes]: [number[], number[]] = [[], []];
    const model = join(FOLDER, 'models', name);
    for (let round = 0; round < rounds; round++) {
      rmSync(model, { recursive: true, force: true });
      const started = performance.now();
      mebibytes.push(
        await importOnce(['import', source, '--name', name, '--to', join(FOLDER, 'models'), '--dtype', 'int4']),
      );
      seconds.push((performance.now() - started) / 1000);
      say(`  import of ${name}, ${round + 1} of ${rounds}: ${seconds.at(-1)!.toFixed(1)} s, ${mebibytes.at(-1)} MiB`);
    }
    const written = statSync(join(model, '1/onnx/model_int4.onnx.data')).size / 2 ** 20;
    figures.push(
      figureRow('I', `import of ${name} to int4`, seconds, 's'),
      figureRow('I', `import of ${name} to int4, largest resident set, at most ${MOST_MIB}`, mebibytes, 'MiB'),
      figureRow('I', `import of ${name} to int4, written`, [written], 'MiB'),
    );
    // The largest is 16 GB.
    rmSync(source, { recursive: true });
    rmSync(model, { recursive: true });
  }
  const notes = ['imports: shapes of SmolLM-135M, Llama 3.2 1B and Llama 3.1 8B in bfloat16, random weights'];
  return { ratios: [], figures, notes };
}
