/**
 * Requirements A, C and D: the encoder over REST, beside ONNX Runtime alone and beside BullMQ with transformers.js; its
 * latency under load; its padding.
 */
import { type Model, openRepository } from '@shoal/models';
import { openRuntime } from '@shoal/onnxruntime';
import { seededRandom } from '@shoal/training';
import { openLoop } from './latency.js';
import { measure } from './measure.js';
import { ENCODER, MODELS_DIR } from './models.js';
import { OrtAlone, type OrtSetting, prepare, SETTINGS, tokenise } from './ort-alone.js';
import { type BatchLimits, paddedShareBetween, paddedShareInOrder, readCounts } from './padding.js';
import { type Shoal, startShoal } from './processes.js';
import { type FigureRow, rateRow, ratioRow, type Section } from './report.js';
import { playRounds, spread } from './rounds.js';
import { ShoalRest } from './shoal-rest.js';
import { median, percentile } from './statistics.js';
import { makeTexts, sample, type Text } from './texts.js';
import { startTransformers, type TransformersPeer } from './transformers-peer.js';

/** Requests open at once, one job each. */
const OPEN = 128;
/** Requests before the first round. */
const WARM_UP = 4000;
/** Both compute in float32; they pad and sum in different orders. */
const LARGEST_DIFFERENCE = 1e-5;

export interface EncoderOptions {
  readonly rounds: number;
  /** 1 for a full run; less for fewer items and shorter loads. */
  readonly scale: number;
  readonly say: (line: string) => void;
  readonly workerEnv: Readonly<Record<string, string>>;
  readonly profileDir?: string;
}

interface Mix {
  readonly name: string;
  readonly shortest: number;
  readonly longest: number;
  /** Texts of one round; the peer, which is slower, gets a sample of the same mix. */
  readonly texts: number;
  readonly peerTexts: number;
  readonly peerTarget: number;
  /** Beside ONNX Runtime alone; short texts are shown without a target, since what a job costs beside its pass decides there. */
  readonly ortTargets?: { readonly bulk: number; readonly singles: number };
}

const MIXES: readonly Mix[] = [
  {
    name: '8 to 128 tokens',
    shortest: 8,
    longest: 128,
    texts: 1000,
    peerTexts: 300,
    peerTarget: 1.1,
    ortTargets: { bulk: 0.9, singles: 0.8 },
  },
  { name: '8 to 16 tokens', shortest: 8, longest: 16, texts: 4000, peerTexts: 1200, peerTarget: 1.7 },
];

interface Stage {
  readonly model: Model;
  readonly ort: OrtAlone;
  readonly shoal: Shoal;
  readonly rest: ShoalRest;
  readonly peer: TransformersPeer;
}

export async function encoderBench(options: EncoderOptions): Promise<Section[]> {
  const model = (await openRepository(MODELS_DIR)).models.find(({ name }) => name === ENCODER)!;
  const { workerEnv, profileDir } = options;
  const shoal = await startShoal({
    modelsDir: MODELS_DIR,
    models: [ENCODER],
    workerEnv,
    ...(profileDir !== undefined && { profileDir }),
  });
  const closers: (() => Promise<void> | void)[] = [() => shoal.stop()];
  try {
    const ort = await OrtAlone.open(await openRuntime(), model);
    closers.push(() => ort.close());
    const peer = await startTransformers(MODELS_DIR, `${ENCODER}/1`);
    closers.push(() => peer.stop());
    const rest = new ShoalRest(shoal.origin, ENCODER, 4 * OPEN);
    closers.push(() => rest.close());
    const stage = { model, ort, shoal, rest, peer };
    const sections: Section[] = [];
    for (const mix of MIXES) sections.push(await throughput(mix, stage, options));
    sections.push(await latency(stage, options));
    return sections;
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function throughput(mix: Mix, stage: Stage, { rounds, scale, say }: EncoderOptions): Promise<Section> {
  const { model, ort, shoal, rest, peer } = stage;
  say(`${mix.name}:`);
  const texts = await makeTexts(Math.round(mix.texts * scale), mix.shortest, mix.longest, 1);
  const few = sample(texts, Math.round(mix.peerTexts * scale));
  const strings = texts.map(({ text }) => text);
  await checkAgreement(stage, few);
  const ids = await tokenise(model, texts);
  const setting = await tuneOrt(ort, ids, say);
  const batches = prepare(ids, setting);
  // Until V8 has compiled what each request runs, a job costs the API two to three times as much (0.9 ms, then 0.3).
  await rest.bulk(strings);
  for (let warm = 0; warm < WARM_UP; warm += strings.length) await rest.singles(strings.slice(0, WARM_UP), OPEN);
  await peer.run(few.map(({ text }) => text));
  const shoalPids = Object.values(shoal.pids);
  const limits = readLimits(shoal);
  const padded: { bulk: number[]; singles: number[] } = { bulk: [], singles: [] };
  const counted = async (into: number[], run: () => Promise<void>) => {
    const before = await readCounts(shoal.workerMetrics);
    const result = await measure(texts.length, shoalPids, run);
    into.push(paddedShareBetween(before, await readCounts(shoal.workerMetrics)));
    return result;
  };
  const results = await playRounds(
    {
      ort: () => measure(ids.length, [], () => ort.run(batches, setting)),
      bulk: () => counted(padded.bulk, () => rest.bulk(strings)),
      singles: () => counted(padded.singles, () => rest.singles(strings, OPEN)),
      transformers: () => measure(few.length, [peer.pid, peer.redisPid], () => peer.run(few.map(({ text }) => text))),
    },
    rounds,
    say,
  );
  const { name, peerTarget, ortTargets } = mix;
  const percent = (what: string, shares: readonly number[]): FigureRow => {
    return {
      requirement: 'D',
      what: `padding, ${name}: ${what}`,
      value: spread(shares.map((s) => 100 * s)),
      unit: '%',
    };
  };
  const inOrder = paddedShareInOrder(
    texts.map(({ length }) => length),
    limits,
  );
  return {
    ratios: [
      ratioRow('A', `bulk ÷ ONNX Runtime alone, ${name}`, results.bulk, results.ort, ortTargets?.bulk),
      ratioRow(
        'A',
        `one call per job ÷ ONNX Runtime alone, ${name}`,
        results.singles,
        results.ort,
        ortTargets?.singles,
      ),
      ratioRow(
        'A',
        `one call per job ÷ BullMQ + transformers.js, ${name}`,
        results.singles,
        results.transformers,
        peerTarget,
      ),
      ratioRow('A', `bulk ÷ BullMQ + transformers.js, ${name}`, results.bulk, results.transformers, peerTarget),
    ],
    figures: [
      rateRow('A', `ONNX Runtime alone, ${name}`, results.ort),
      rateRow('A', `REST, bulk, ${name}`, results.bulk),
      rateRow('A', `REST, one call per job, ${name}`, results.singles),
      rateRow('A', `BullMQ + transformers.js, ${name}`, results.transformers),
      percent('in order of arrival, same batch limits', [inOrder]),
      percent('bulk, as run', padded.bulk),
      percent('one call per job, as run', padded.singles),
    ],
    notes: [
      `ONNX Runtime alone, ${name}: best of ${SETTINGS.length} settings was ${describe(setting)}.`,
      `The worker’s micro-batches: at most ${limits.maxBatchTokens} tokens (measured by itself at start).`,
    ],
  };
}

/** Same weights, same text, same vector: else the contestants do not do the same work. */
async function checkAgreement({ rest, peer }: Stage, texts: readonly Text[]): Promise<void> {
  const strings = texts.slice(0, 8).map(({ text }) => text);
  const ours = (await rest.result(strings)).output as number[][];
  const theirs = await peer.run(strings);
  const differences = ours.flatMap((vector, row) => vector.map((value, i) => Math.abs(value - theirs[row]![i]!)));
  const largest = Math.max(...differences);
  // Written so that NaN fails too.
  if (!(largest <= LARGEST_DIFFERENCE)) throw new Error(`Shoal and transformers.js differ by ${largest}`);
}

async function tuneOrt(ort: OrtAlone, ids: readonly Uint32Array[], say: (line: string) => void): Promise<OrtSetting> {
  const tuned = await ort.tune(ids.filter((_, i) => i % 4 === 0));
  say(
    `  ONNX Runtime alone: ${tuned.map(({ setting, rate }) => `${describe(setting)} ${rate.toFixed(0)}/s`).join('; ')}`,
  );
  return tuned[0]!.setting;
}

function describe({ threads, passes, budget }: OrtSetting): string {
  return `${threads} threads × ${passes} passes, ${budget} tokens`;
}

/** The worker logs them when it has loaded the model. */
function readLimits({ workerLog }: Shoal): BatchLimits {
  const line = workerLog.find((text) => text.includes('"model.loaded"') && text.includes(`"${ENCODER}"`));
  return JSON.parse(line ?? '{}') as BatchLimits;
}

const LOADS = [0.3, 0.7];
const LOAD_SECONDS = 10;

async function latency({ rest }: Stage, { rounds, scale, say }: EncoderOptions): Promise<Section> {
  const texts = await makeTexts(500, 8, 128, 3);
  const random = seededRandom(4);
  const all = LOADS.map((): number[] => []);
  const byRound = LOADS.map((): { p50: number; p99: number }[] => []);
  for (let round = 0; round < rounds; round++) {
    // Measured each round: a load is a share of what the machine can do at that time.
    const strings = texts.map(({ text }) => text).slice(0, Math.round(300 * scale));
    const { rate } = await measure(strings.length, [], () => rest.singles(strings, OPEN));
    for (const [n, load] of LOADS.entries()) {
      const latencies = await openLoop(load * rate, LOAD_SECONDS * scale, random, async (i) => {
        await rest.result(texts[i % texts.length]!.text);
      });
      all[n]!.push(...latencies);
      byRound[n]!.push({ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) });
    }
    const shown = LOADS.map((load, n) => `${100 * load} % load p50 ${byRound[n]!.at(-1)!.p50.toFixed(0)} ms`);
    say(`  round ${round + 1} of ${rounds}: ${rate.toFixed(0)}/s at most; ${shown.join(', ')}`);
  }
  return {
    ratios: [],
    figures: LOADS.flatMap((load, n) => {
      const row = (name: 'p50' | 'p99'): FigureRow => ({
        requirement: 'C',
        what: `latency ${name} at ${100 * load} % load, 8 to 128 tokens`,
        value: spread(byRound[n]!.map((figures) => figures[name])),
        unit: 'ms',
      });
      return [row('p50'), row('p99')];
    }),
    notes: LOADS.map((load, n) => {
      const p = (share: number) => `${percentile(all[n]!, share).toFixed(0)} ms`;
      return `Latency at ${100 * load} % load over all ${all[n]!.length} jobs: p50 ${p(0.5)}, p99 ${p(0.99)}, median round ${median(byRound[n]!.map(({ p50 }) => p50)).toFixed(0)} ms.`;
    }),
  };
}
