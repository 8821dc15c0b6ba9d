/** How fast original and candidate are at the shapes that they will be served with. */
import type { SpeedRatio } from '@shoal/contracts';
import { generateGreedily } from '@shoal/generation';
import { runRows } from '@shoal/importer';
import type { Row } from '@shoal/models';
import { measureSpeed, type SpeedContext, type SpeedRun } from '../gate/speed.js';
import type { Context, Example, Examples } from '../types.js';
import type { Decoder, Decoders } from './decoders.js';
import { answersOf, chunksOf, type Side, type Sides } from './sides.js';

/**
 * Texts of a pass: one that comes alone, a small micro-batch, a full one; and how many passes of other texts are timed together. How
 * long a cascade takes depends on its texts: of one alone, chance would tell.
 */
const ENCODER_SHAPES = [
  { batch: 1, passes: 16 },
  { batch: 8, passes: 4 },
  { batch: 32, passes: 2 },
] as const;
/** Texts that are generated side by side. */
const DECODER_ROWS = [1, 8] as const;
/** Tokens that are generated behind a prompt, and of the prompt at most. */
const [GENERATED, MOST_PROMPT] = [32, 256];
/** Texts among which those of middle length are looked for. */
const SAMPLE = 256;

/** All intervals together hold with 95 %: else one of three would be above 1 by chance more often than it says. */
const confidenceFor = (shapes: number) => 1 - 0.05 / shapes;

/**
 * Texts that are about as long as the middle one of the examples; the pass alone, on ids and in one thread, as a worker has it: its
 * CPU time is what it takes.
 */
export async function encoderSpeeds(
  sides: Sides,
  examples: Examples,
  context: Context,
): Promise<readonly SpeedRatio[]> {
  const timing = context.cpu === undefined ? context : { ...context, clock: context.cpu };
  const inputs = inputsOf(examples, sides.original.model.task);
  const lengths = await lengthsOf(sides.original, inputs);
  const order = inputs.map((_, n) => n).sort((a, b) => lengths[a]! - lengths[b]!);
  const speeds: SpeedRatio[] = [];
  for (const { batch, passes } of ENCODER_SHAPES) {
    const chosen = aroundTheMiddle(order, batch * passes);
    const groups = Array.from({ length: passes }, (_, n) => chosen.slice(n * batch, (n + 1) * batch));
    const runOf = (side: Side) =>
      passesOf(
        side,
        groups.map((group) => group.map((n) => inputs[n]!)),
      );
    const run = { original: await runOf(sides.original), candidate: await runOf(sides.candidate) };
    const shape = { batch, tokens: lengths[chosen[Math.floor(chosen.length / 2)]!]! };
    speeds.push({ ...shape, ...(await ratioOf(run, timing, ENCODER_SHAPES.length)) });
  }
  return speeds;
}

/** The prompt, then token by token behind it; `tokens` are those of both. */
export async function decoderSpeeds(
  { original, candidate, texts }: Decoders,
  context: Context,
): Promise<readonly SpeedRatio[]> {
  const lengths = texts.map(({ length }) => length).sort((a, b) => a - b);
  const middle = lengths[Math.floor(lengths.length / 2)]!;
  const longest = Math.min(original.info.maxContext, candidate.info.maxContext);
  const prompt = Math.max(1, Math.min(Math.ceil(middle / 2), MOST_PROMPT, longest - GENERATED));
  const all = texts.flat();
  const speeds: SpeedRatio[] = [];
  for (const rows of DECODER_ROWS) {
    const prompts = Array.from({ length: rows }, (_, row) => promptAt(all, row * prompt, prompt));
    const run = { original: generation(original, prompts), candidate: generation(candidate, prompts) };
    const shape = { batch: rows, tokens: prompt + GENERATED };
    speeds.push({ ...shape, ...(await ratioOf(run, context, DECODER_ROWS.length)) });
  }
  return speeds;
}

async function ratioOf(
  run: SpeedRun,
  context: SpeedContext,
  shapes: number,
): Promise<Omit<SpeedRatio, 'batch' | 'tokens'>> {
  const { ratio, low, high } = await measureSpeed(run, context, confidenceFor(shapes));
  return { ratio, low, high };
}

/** One row each. */
function inputsOf({ items }: Examples, task: string): readonly unknown[] {
  const textOf = (item: Example) => ('text' in item ? item.text : item.query);
  const inputOf = (item: Example) => {
    if (task !== 'rerank') return textOf(item);
    const document = item.kind === 'ranking' ? item.documents[0]!.text : item.kind === 'pair' ? item.document : '';
    return { query: textOf(item), documents: [document] };
  };
  const step = Math.ceil(items.length / SAMPLE);
  return items.filter((_, n) => n % step === 0).map(inputOf);
}

async function lengthsOf({ face }: Side, input: readonly unknown[]): Promise<readonly number[]> {
  const tokens: number[] = [];
  for (const chunk of chunksOf(input)) {
    tokens.push(...(await face.encode({ input: chunk, parameters: { truncate: true } })).tokens);
  }
  return tokens;
}

/** Neighbours of the middle one; those that there are again and again where there are too few. */
function aroundTheMiddle(order: readonly number[], count: number): readonly number[] {
  const from = Math.max(0, Math.floor((order.length - count) / 2));
  return Array.from({ length: count }, (_, n) => order[(from + n) % order.length]!);
}

/** One pass after the other. */
async function passesOf(side: Side, inputs: readonly (readonly unknown[])[]): Promise<() => Promise<unknown>> {
  const passes: Row[][] = [];
  for (const input of inputs) {
    const { encoded } = await answersOf(side, input);
    passes.push(encoded.items.map((item) => ({ item, parameters: encoded.parameters })));
  }
  return async () => {
    for (const rows of passes) await runRows(side.runner, rows, rows.length);
  };
}

function promptAt(ids: readonly number[], from: number, length: number): readonly number[] {
  return Array.from({ length }, (_, n) => ids[(from + n) % ids.length]!);
}

function generation({ session, info }: Decoder, prompts: readonly (readonly number[])[]): () => Promise<unknown> {
  return async () => {
    let steps = 0;
    for await (const step of generateGreedily(session, info, prompts, { maxTokens: GENERATED, stopIds: [] })) {
      steps += step.length;
    }
    return steps;
  };
}
