/** wordnet-topic with variants that the optimizer makes and measures: in 8 bits, a static head, a cascade. */
import { createHash } from 'node:crypto';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { QualityJson } from '@shoal/contracts';
import { identityOf, type Model, machineOf, openModel, wordsOf } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import {
  type Context,
  compare,
  type Example,
  type Examples,
  judge,
  readQuality,
  type Subject,
  TABLE,
  writeQuality,
} from '@shoal/optimizer';
import { seededRandom } from '@shoal/training';
import { ROOT } from '../root.js';
import { synsets } from '../students/wordnet.js';

export const MODEL = 'wordnet-topic';
export const ORIGINAL = 'fp32';
/** Of each the first candidate. */
const METHODS = ['int8', 'static-head', 'cascade'];
/** What the gate allows; requests say for themselves what they do. */
const ALLOWED = 0.1;
const TEXTS = 30_000;
const CHOICE = 2000;
const EVAL = join(ROOT, 'test/fixtures', MODEL, 'eval.jsonl');

export interface Labelled {
  readonly text: string;
  readonly label: string;
}

export interface MadeVariants {
  readonly quality: QualityJson;
  /** Those that they were measured by, which neither the model nor its students have learnt from. */
  readonly texts: readonly Labelled[];
  readonly notes: readonly string[];
}

/** The model in `root`, as a folder of models. */
export async function makeVariants(
  root: string,
  { scale, say }: { readonly scale: number; readonly say: (line: string) => void },
): Promise<MadeVariants> {
  const folder = join(root, MODEL, '1');
  cpSync(join(ROOT, 'models', MODEL, '1'), folder, { recursive: true });
  const runtime = await openRuntime();
  const context: Context = {
    ...{ runtime, say, random: seededRandom(1), now: () => performance.now() },
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1000;
    },
    ...{ signal: new AbortController().signal, onProgress: () => {} },
  };
  const { texts, data } = readTexts(Math.round(TEXTS * scale));
  const original = await variantOf(root, ORIGINAL);
  const subject: Subject = { original, path: original.variants[ORIGINAL]!, data };
  const notes: string[] = [];
  for (const name of METHODS) {
    const method = TABLE.methods.find((one) => one.name === name)!;
    const candidates = await method.plan(subject);
    if (typeof candidates === 'string') throw new Error(`${name}: ${candidates}`);
    const [candidate] = candidates;
    const { variant } = candidate!;
    const path = join(folder, 'onnx', `model_${variant}.onnx`);
    const made = await method.make(candidate!, subject, path, context);
    const comparison = await compare(original, await variantOf(root, variant), data.verdict, {}, context);
    const { loss, speeds, escalated } = comparison;
    const verdict = judge(comparison, { loss: ALLOWED });
    const quality = {
      ...{ graph: await identityOf(path), beside: await identityOf(subject.path) },
      ...{ method: made.method, speeds: [...speeds] },
      loss: { ...loss, allowed: ALLOWED },
      ...(verdict.kind === 'passed'
        ? { verdict: 'passed' as const }
        : { verdict: 'forced' as const, reason: verdict.reason }),
      ...(escalated !== undefined && { escalated }),
      data: { file: 'eval.jsonl', sha256: data.sha256 },
      machine: wordsOf(await machineOf(runtime)),
      measured: new Date().toISOString(),
    };
    await writeQuality(folder, variant, quality, ORIGINAL);
    const asked = escalated === undefined ? '' : `, asks its teacher for ${(100 * escalated).toFixed(1)} %`;
    const told = `loses ${loss.mean.toFixed(4)}, at most ${loss.bound.toFixed(4)}${asked}; ${verdict.kind}`;
    const ratios = speeds.map(({ batch, ratio }) => `${ratio.toFixed(2)} for ${batch}`).join(', ');
    notes.push(`${variant}: ${made.method}: ${told}; times as fast in the engine: ${ratios}`);
    say(`  ${notes.at(-1)}`);
  }
  return { quality: (await readQuality(folder))!, texts, notes };
}

/** What a request should get, by what was measured, computed here once more. */
export class VariantTable {
  readonly #variants: QualityJson['variants'];

  constructor({ variants }: QualityJson) {
    this.#variants = variants;
  }

  get names(): readonly string[] {
    return [ORIGINAL, ...Object.keys(this.#variants)];
  }

  /** Infinite where requests do not get it by what they allow. */
  boundOf(variant: string): number {
    if (variant === ORIGINAL) return 0;
    const own = this.#variants[variant];
    return own?.verdict === 'passed' ? own.loss.bound : Number.POSITIVE_INFINITY;
  }

  /** For one text alone. */
  fastestWithin(budget: number): string {
    const speedOf = (variant: string) => this.#variants[variant]?.speeds.find(({ batch }) => batch === 1)?.ratio ?? 1;
    const fitting = this.names.filter((variant) => this.boundOf(variant) <= budget);
    return fitting.reduce((best, variant) => (speedOf(variant) > speedOf(best) ? variant : best));
  }

  /** None, all, and both sides of each bound. */
  get budgets(): readonly number[] {
    const bounds = this.names.map((variant) => this.boundOf(variant)).filter((bound) => bound > 0 && bound < 1);
    return [0, ...bounds.flatMap((bound) => [bound - 1e-9, bound]), 1];
  }
}

/** Definitions to learn from and to choose by, none of which is among those of the verdict. */
function readTexts(most: number): { readonly texts: readonly Labelled[]; readonly data: Subject['data'] } {
  const file = readFileSync(EVAL);
  const texts = file
    .toString('utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Labelled);
  const known = new Set(texts.map(({ text }) => text));
  const nouns = synsets().flatMap(({ definition: text, topic: label }) =>
    label === undefined || known.has(text) ? [] : [{ text, label }],
  );
  const step = Math.max(1, Math.floor(nouns.length / (CHOICE + most)));
  const some = nouns.filter((_, n) => n % step === 0);
  const every = Math.ceil(some.length / CHOICE);
  const part = (items: readonly Labelled[]): Examples => ({
    ...{ kind: 'text', labelled: true },
    items: items.map((item): Example => ({ kind: 'text', ...item })),
  });
  const data = {
    ...{ file: 'eval.jsonl', sha256: createHash('sha256').update(file).digest('hex') },
    calibration: part(some.filter((_, n) => n % every !== 0)),
    choice: part(some.filter((_, n) => n % every === 0)),
    verdict: part(texts),
  };
  return { texts, data };
}

async function variantOf(root: string, variant: string): Promise<Model> {
  const model = (await openModel(join(root, MODEL))).find((one) => one.variant === variant);
  if (model === undefined) throw new Error(`${MODEL} has no variant ${variant}`);
  return model;
}
