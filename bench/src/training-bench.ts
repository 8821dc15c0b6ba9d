/** Seconds and memory of a step of training, forward, backward, clipping and AdamW, beside PyTorch on the CPU where it is installed. */
import { spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { LineProcess } from './line-process.js';
import type { Measure } from './measure.js';
import { type FigureRow, figureRow, type RatioRow, ratioRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { playRounds } from './rounds.js';
import { makeTrained, TRAINED, type Trained } from './training-shapes.js';

export interface TrainingOptions {
  readonly rounds: number;
  /** Steps of a turn: 4 at 1. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

const STEPS = 4;
const PYTHON = 'python3';
/** As fast as PyTorch, nearly. */
const TARGET = 0.8;

export async function trainingBench({ rounds, scale, say }: TrainingOptions): Promise<Section> {
  makeTrained();
  const threads = availableParallelism();
  const torch = torchVersion();
  const ratios: RatioRow[] = [];
  const figures: FigureRow[] = [];
  for (const kind of Object.keys(TRAINED) as Trained[]) {
    const { what } = TRAINED[kind];
    say(`${what}:`);
    const here = new LineProcess(process.execPath, [join(ROOT, 'bench/dist/training-process.js'), kind, `${threads}`]);
    const script = join(ROOT, 'bench/src/training_peer.py');
    const peer = torch === undefined ? undefined : new LineProcess(PYTHON, [script, kind, `${threads}`]);
    try {
      const steps = Math.max(1, Math.round(STEPS * scale));
      // The first steps of both take their memory from the system.
      await here.ask('2');
      await peer?.ask('2');
      const processes = new Map([['Shoal', here], ...(peer === undefined ? [] : [['PyTorch', peer] as const])]);
      const contestants = Object.fromEntries([...processes].map(([name, one]) => [name, () => turn(one, steps)]));
      const results = await playRounds(contestants, rounds, say);
      for (const [name, one] of processes) {
        const ms = results[name]!.map(({ rate }) => 1000 / rate);
        figures.push(figureRow('O', `a step of ${what}: ${name}`, ms, 'ms'));
        figures.push(
          figureRow('O', `largest resident set, ${what}: ${name}`, [Number(await one.ask('memory'))], 'MiB'),
        );
      }
      const { Shoal: own, PyTorch: other } = results;
      if (own && other) ratios.push(ratioRow('O', `steps a second of ${what}, beside PyTorch`, own, other, TARGET));
    } finally {
      await here.stop();
      await peer?.stop();
    }
  }
  const beside = torch === undefined ? 'PyTorch is not installed, so it is left out' : `PyTorch ${torch}`;
  return { ratios, figures, notes: [`training: ${threads} threads, 32-bit floats; ${beside}`] };
}

async function turn(process_: LineProcess, steps: number): Promise<Measure> {
  const [ms = Number.NaN, cpu = Number.NaN] = (await process_.ask(String(steps))).split(' ').map(Number);
  return { rate: (1000 * steps) / ms, cpuMs: cpu / steps };
}

/** Undefined where Python has no torch. */
function torchVersion(): string | undefined {
  const { status, stdout } = spawnSync(PYTHON, ['-c', 'import torch; print(torch.__version__)'], { encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
}
