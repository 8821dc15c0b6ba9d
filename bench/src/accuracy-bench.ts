/**
 * Requirement V: what 10,000 requests are given that allow a loss of accuracy, or none, where they go down under load only. In waves:
 * the original's queue is flooded, requests come, the flood is taken back, and requests come again.
 */
import { cp, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { QualityJson, VariantQuality } from '@shoal/contracts';
import { seededRandom } from '@shoal/training';
import { type Shoal, startShoal } from './processes.js';
import { figureRow, type Section } from './report.js';
import { RestClient, runBounded } from './rest-client.js';
import { ROOT } from './root.js';

const MODEL = 'wordnet-topic';
const ORIGINAL = 'fp32';
/** Bound of the loss, and speed beside the original. The graphs are the original's: what counts is which of them is taken. */
const VARIANTS = { int8: [0.005, 1.5], layers2: [0.02, 2.5], layers1: [0.05, 5] } as const;
const BUDGETS = [0, 0.001, 0.005, 0.0199, 0.02, 0.05, 1];
const REQUESTS = 10_000;
const WAVES = 10;
/** Of a wave's requests, those that come while the queue is flooded. */
const FLOODED = 0.8;
const FLOOD_JOBS = 12;
const FLOOD_TEXTS = 1000;
const OPEN = 16;
const PAUSE_MS = 50;

export interface AccuracyOptions {
  /** 1 for a full run; less for fewer requests. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

interface Given {
  readonly budget: number;
  readonly variant: string;
}

export async function accuracyBench({ scale, say }: AccuracyOptions): Promise<Section> {
  const work = await mkdtemp(join(tmpdir(), 'shoal-accuracy-'));
  try {
    await makeVersion(join(work, MODEL, '1'));
    const apiEnv = { SHOAL_ACCURACY_UNDER_LOAD: 'true', SHOAL_DELAY_OBJECTIVE: '1s' };
    const shoal = await startShoal({ modelsDir: work, models: [MODEL], apiEnv });
    try {
      return summary(await playWaves(shoal, Math.round((REQUESTS * scale) / WAVES), say));
    } finally {
      await shoal.stop();
    }
  } finally {
    await rm(work, { recursive: true });
  }
}

/** The bundled model, its graph once more for each variant, and what is said to have been measured. */
async function makeVersion(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await cp(join(ROOT, 'models', MODEL, '1'), folder, { recursive: true });
  const graph = join(folder, 'onnx/model.onnx');
  const { size: bytes } = await stat(graph);
  const variants: Record<string, VariantQuality> = {};
  for (const [variant, [bound, ratio]] of Object.entries(VARIANTS)) {
    await cp(graph, join(folder, `onnx/model_${variant}.onnx`));
    variants[variant] = {
      ...{ bytes, verdict: 'passed', method: 'the original', machine: 'none', measured: new Date(0).toISOString() },
      loss: { metric: 'accuracy', mean: 0, bound, allowed: 1, texts: 1000 },
      speeds: [{ batch: 1, tokens: 16, ratio, low: ratio, high: ratio }],
      data: { file: 'none', sha256: '0'.repeat(64) },
    };
  }
  const quality: QualityJson = { original: ORIGINAL, variants };
  await writeFile(join(folder, 'quality.json'), JSON.stringify(quality));
}

async function playWaves({ origin }: Shoal, requests: number, say: (line: string) => void) {
  const client = new RestClient(origin, OPEN);
  const random = seededRandom(11);
  const flooded: Given[] = [];
  const calm: Given[] = [];
  const texts = Array.from({ length: FLOOD_TEXTS }, (_, n) => `a large fish that lives in the sea near ${n} others`);
  const ask = async (into: Given[], count: number) =>
    await runBounded(count, OPEN, async () => {
      const budget = BUDGETS[Math.floor(random() * BUDGETS.length)]!;
      into.push({ budget, variant: variantOf(await submit(client, 'a small knob', budget)) });
    });
  const until = async (isDown: boolean) => {
    while ((variantOf(await submit(client, 'a small knob', 1)) !== ORIGINAL) !== isDown) await pause(PAUSE_MS);
  };
  try {
    for (let wave = 0; wave < WAVES; wave++) {
      const flood: string[] = [];
      await runBounded(FLOOD_JOBS, 4, async () => void flood.push(await submit(client, texts, 0)));
      await until(true);
      await ask(flooded, Math.round(requests * FLOODED));
      await runBounded(flood.length, 4, async (n) => void (await client.send('POST', `/v1/jobs/${flood[n]!}/cancel`)));
      await until(false);
      await ask(calm, Math.round(requests * (1 - FLOODED)));
      say(`  wave ${wave + 1} of ${WAVES}: ${flooded.length + calm.length} requests`);
    }
  } finally {
    client.close();
  }
  return { flooded, calm };
}

/** The id of the job. */
async function submit(client: RestClient, input: string | readonly string[], budget: number): Promise<string> {
  const body = JSON.stringify({ model: MODEL, input, max_accuracy_loss: budget });
  const { status, body: answer } = await client.send('POST', '/v1/jobs', body);
  if (status !== 202) throw new Error(`a job was answered ${status}: ${answer.toString()}`);
  return (JSON.parse(answer.toString()) as { id: string }).id;
}

function variantOf(id: string): string {
  return /\.1\.(\w+)\.0\.\w+$/.exec(id)?.[1] ?? id;
}

function boundOf(variant: string): number {
  return variant === ORIGINAL ? 0 : VARIANTS[variant as keyof typeof VARIANTS][0];
}

/** The fastest that may be given. */
function bestOf(budget: number): string {
  const fitting = Object.entries(VARIANTS).filter(([, [bound]]) => bound <= budget);
  return fitting.sort(([, [, a]], [, [, b]]) => b - a)[0]?.[0] ?? ORIGINAL;
}

function summary({ flooded, calm }: { readonly flooded: readonly Given[]; readonly calm: readonly Given[] }): Section {
  const all = [...flooded, ...calm];
  const count = (given: readonly Given[], is: (one: Given) => boolean) => given.filter(is).length;
  const share = (given: readonly Given[], is: (one: Given) => boolean) => count(given, is) / given.length;
  const worse = count(all, ({ budget, variant }) => boundOf(variant) > budget);
  const moved = count(all, ({ budget, variant }) => budget === 0 && variant !== ORIGINAL);
  return {
    ratios: [],
    figures: [
      figureRow('V', 'requests that were given a worse variant than they allow', [worse], ''),
      figureRow('V', 'requests that allow nothing and were given another than the original', [moved], ''),
      figureRow(
        'V',
        'share that was given the fastest that fits, flooded',
        [share(flooded, ({ budget, variant }) => variant === bestOf(budget))],
        '',
      ),
      figureRow(
        'V',
        'share that was given the original, calm',
        [share(calm, ({ variant }) => variant === ORIGINAL)],
        '',
      ),
    ],
    notes: [`Of ${all.length} requests ${flooded.length} came while the original's queue was flooded.`],
  };
}
