/** Students with fewer layers, trained: what they get right, how fast they are, and what labels alone would have taught them. */
import { join } from 'node:path';
import { type Candidate, compare, type Data, makeStudent, student } from '@shoal/optimizer';
import { type FigureRow, figureRow, type Section } from '../report.js';
import { STUDENTS_DIR, variantOf } from './served.js';
import type { Stage } from './stage.js';

const NAME = 'wordnet-topic';
/** Shares of the original's answers in what is learnt: with labels, and labels alone. */
const SHARES = [0.5, 0];
/** Of a normal distribution, two-sided. */
const Z95 = 1.96;

/** Layers and steps are chosen on the choice part, and judged by the verdict part, which nothing was chosen by. */
export async function trainedSection(stage: Stage, data: Data): Promise<Section> {
  const { runtime, options, random } = stage;
  const { say, scale } = options;
  const original = await variantOf(NAME, 'fp32');
  const subject = { original, path: original.variants.fp32!, data };
  const context = {
    ...{ runtime, random, now: () => performance.now(), say: (line: string) => say(`  ${NAME}: ${line}`) },
    ...{ signal: new AbortController().signal, onProgress: () => undefined },
  };
  const planned = await student.plan(subject);
  if (typeof planned === 'string') throw new Error(planned);
  const figures: FigureRow[] = [];
  const notes: string[] = [];
  for (const candidate of planned) {
    for (const share of SHARES) {
      const what = `${NAME}: ${candidate.variant}, ${share === 0 ? 'labels alone' : 'answers and labels'}`;
      const path = join(STUDENTS_DIR, `${NAME}-${candidate.variant}-${share}.onnx`);
      const started = performance.now();
      const healed = await makeStudent(ordered(candidate, share, scale), subject, path, context);
      const whole = (performance.now() - started) / 1000;
      const other = { ...original, variant: 'student', variants: { ...original.variants, student: path } };
      // What was taught changes nothing about how fast it is.
      const found = await compare(original, other, data.verdict, { speeds: share > 0 }, context);
      const { accuracy } = found.figures;
      const of = (value: number) => intervalOf(value, found.loss.texts);
      if (figures.length === 0) {
        figures.push(figureRow('S', `${NAME}: accuracy of fp32 (95 %)`, of(accuracy!.original!), '%'));
      }
      figures.push(
        figureRow('S', `${what}: accuracy (95 %)`, of(accuracy!.candidate), '%'),
        figureRow('S', `${what}: lost beside fp32`, [100 * found.loss.mean], 'points'),
        figureRow('S', `${what}: lost at most (95 %)`, [100 * found.loss.bound], 'points'),
        figureRow('S', `${what}: training`, [healed.seconds], 's'),
        figureRow('S', `${what}: made in`, [whole], 's'),
        ...found.speeds.map(({ batch, tokens, ratio, low, high }) =>
          figureRow('S', `${what}: speed, ${batch} × ${tokens} tokens, fp32 = 1`, [low, ratio, high], '×'),
        ),
      );
      const course = healed.evaluations.map(({ step, loss }) => `${step}: ${(100 * loss).toFixed(2)}`).join(', ');
      notes.push(`${what}: ${healed.made.method}; points lost on the choice part by step: ${course}`);
      say(`  ${notes.at(-1)}`);
    }
  }
  return { ratios: [], figures, notes };
}

function ordered(candidate: Candidate, teacher: number, scale: number): Candidate {
  const { settings } = candidate;
  return { ...candidate, settings: { ...settings, teacher, steps: Math.ceil(Number(settings.steps) * scale) } };
}

/** Wilson's, in per cent, around the share itself. */
function intervalOf(share: number, texts: number): readonly number[] {
  const spread = Z95 ** 2 / texts;
  const middle = (share + spread / 2) / (1 + spread);
  const half = (Z95 * Math.sqrt((share * (1 - share)) / texts + spread / (4 * texts))) / (1 + spread);
  return [middle - half, share, middle + half].map((value) => 100 * value);
}
