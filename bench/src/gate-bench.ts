/**
 * How often the gate takes a model for faster than itself: a bundled classifier beside itself, loaded anew each time, while another
 * program takes a core. At most 5 % may be wrong; the usual five rounds make 200 runs, or as many as there is time for.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { boundOf, type Comparison, compare, cpuTime, type Examples, judge, LEAST_GAIN } from '@shoal/optimizer';
import { seededRandom } from '@shoal/training';
import { damageRows } from './gate-damage.js';
import { figureRow, type Section } from './report.js';
import { ROOT } from './root.js';
import { makeTexts } from './texts.js';

const MODEL = 'wordnet-topic';
const RUNS_A_ROUND = 40;
/** As many as the largest shape has twice. */
const TEXTS = 64;
/** Whatever the machine: what was measured until then is told, and how many may be wrong by that. */
const MOST_MS = 12 * 60_000;

export interface GateOptions {
  readonly rounds: number;
  /** 1 for a full run; less for fewer runs. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function gateBench({ rounds, scale, say }: GateOptions): Promise<Section> {
  const model = (await openRepository(join(ROOT, 'models'))).models.find(({ name }) => name === MODEL)!;
  const items = (await makeTexts(TEXTS, 8, 48, 9)).map(({ text }) => ({ kind: 'text' as const, text }));
  const examples: Examples = { kind: 'text', items, labelled: false };
  const runtime = await openRuntime();
  const context = {
    ...{ runtime, now: () => performance.now(), cpu: cpuTime, random: Math.random },
    ...{ signal: new AbortController().signal, say, onProgress: () => {} },
  };
  const runs = Math.round(RUNS_A_ROUND * rounds * scale);
  const found: Comparison[] = [];
  const seconds: number[] = [];
  const busy = spawn(process.execPath, ['-e', 'for (;;);'], { stdio: 'ignore' });
  try {
    const started = performance.now();
    while (found.length < runs && performance.now() - started < MOST_MS) {
      const before = performance.now();
      found.push(await compare(model, model, examples, {}, context));
      seconds.push((performance.now() - before) / 1000);
      if (found.length % RUNS_A_ROUND === 0) say(`gate: ${found.length} of ${runs} runs, ${faster(found)} wrong`);
    }
  } finally {
    const ended = once(busy, 'exit');
    busy.kill('SIGKILL');
    await ended;
  }
  const damaged = await damageRows(runtime, say);
  const wrong = Float64Array.from(found, (comparison) => faster([comparison]));
  const speeds = found.flatMap((comparison) => comparison.speeds);
  const above = found.filter((comparison) => comparison.speeds.some(({ low }) => low > 1)).length;
  return {
    ratios: [],
    figures: [
      figureRow('G', `a model beside itself passes as faster, of ${found.length} runs`, [faster(found)], 'runs'),
      figureRow('G', 'and of all runs, at most (95 %)', [100 * boundOf(wrong, seededRandom(1)).bound], '%'),
      figureRow(
        'G',
        'its speed beside itself',
        speeds.map(({ ratio }) => ratio),
        '×',
      ),
      figureRow(
        'G',
        'width of the interval',
        speeds.map(({ low, high }) => high / low),
        '×',
      ),
      figureRow('G', 'one comparison of three shapes', seconds, 's'),
      ...damaged,
    ],
    notes: [
      `gate: with 1 in place of ${LEAST_GAIN} as what the interval's lower end has to be above, ${above} of ${found.length} runs would have been wrong.`,
    ],
  };
}

/** Whatever it loses: that is nothing here. */
function faster(found: readonly Comparison[]): number {
  return found.filter((comparison) => judge(comparison, { loss: 1 }).kind === 'passed').length;
}
