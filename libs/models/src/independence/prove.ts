/**
 * Whether rows of different callers may share a forward pass of this graph: made-up rows are run alone and in company, and
 * have to give the same. Nothing is joined that has not passed.
 */
import type { Joining, TensorsItem, TextItem, WireItem } from '@shoal/contracts';
import { ESCALATED, tellsEscalated } from '../escalated.js';
import { embeddingOutputs, logitsOutput } from '../repository/graph.js';
import type { SessionPort } from '../session.js';
import { textDetailsOf } from '../tasks/pipeline.js';
import { joinItems } from '../tensors/join.js';
import { collate } from '../text/collate.js';
import type { Model } from '../types.js';
import { madeUpTensors, madeUpTexts, namesOf, SIZES, type SizeOf } from './made-up-items.js';
import { Coupled, GivenUp, Pool, type Trial } from './pool.js';

export interface ProofOptions {
  /** Milliseconds that only go by. */
  readonly now: () => number;
  /** False for devices that compute in fewer bits than the CPU. */
  readonly exact: boolean;
}

export interface Proof {
  readonly joining: Joining;
  /** False where it had to be given up, so that another time may tell more. */
  readonly final: boolean;
  /** Forward passes that it took. */
  readonly passes: number;
}

/** Rows that contrast at all. */
const LEAST_ROWS = 3;
/** Rows of the batches that have to pass: few, and more than a graph would have as a special case. */
const NEEDED_SIZES = [3, 8] as const;
/** Of those that follow while there is time, up to what a graph might treat in blocks. */
const MORE_SIZES = [2, 5, 33] as const;

/** In tokens. Attention in windows shows in long texts only. */
const EQUAL_LENGTHS = [6, 6, 6, 6, 6, 6, 6, 6] as const;
const MIXED_LENGTHS = [5, 9, 3, 12, 4, 7, 2, 8] as const;
const LONG_LENGTHS = [12, 160, 40, 150] as const;

/** In ms: nothing is begun after it beyond what has to pass; and when that is given up. */
const BUDGET_MS = 1500;
const GIVE_UP_MS = 120_000;

/**
 * Kernels add in another order where there are more rows or longer ones. Measured on encoders of 2 to 6 layers in fp32, int4 and
 * int8, a row alone and among twelve: at most 2e-7 of its largest value; int8 with one range for all rows, which couples
 * them: 9e-3 and more. 16-bit floats (TF32 too) round to 1e-3.
 */
const TOLERANCE = 1e-5;
const TOLERANCE_OF_HALVES = 2e-2;

export async function prove(model: Model, session: SessionPort, { now, exact }: ProofOptions): Promise<Proof> {
  let passes = 0;
  const started = now();
  const counted: SessionPort = {
    run: async (feeds) => {
      if (now() - started > GIVE_UP_MS) throw new GivenUp();
      passes += 1;
      return await session.run(feeds);
    },
    release: () => session.release(),
  };
  const tolerance = exact && !model.outputs.some(({ type }) => /16$/.test(type)) ? TOLERANCE : TOLERANCE_OF_HALVES;
  const inTime = () => now() - started < BUDGET_MS;
  const proof = model.text === null ? proveTensors : proveTexts;
  try {
    return { joining: await proof(model, trialOf(model, counted, tolerance), inTime), final: true, passes };
  } catch (error) {
    if (error instanceof Coupled) return { joining: { rows: 'alone', reason: error.message }, final: true, passes };
    if (!(error instanceof GivenUp)) throw error;
    const reason = `proving that rows are independent took more than ${GIVE_UP_MS / 1000} s`;
    return { joining: { rows: 'alone', reason }, final: false, passes };
  }
}

function trialOf(model: Model, session: SessionPort, tolerance: number): Trial {
  if (model.text === null) {
    const outputs = model.outputs.map(({ name }) => name);
    return { session, outputs, tolerance, join: (items) => joinItems(items as readonly TensorsItem[]) };
  }
  const details = textDetailsOf(model);
  const { tokens, pooled } = embeddingOutputs(model);
  const used = model.task === 'feature-extraction' ? [tokens, pooled] : [logitsOutput(model)];
  const outputs = [...used.flatMap((output) => output?.name ?? []), ...(tellsEscalated(model) ? [ESCALATED] : [])];
  const join = (items: readonly WireItem[]) => collate(model.inputs, items as readonly TextItem[], details);
  return { session, outputs, tolerance, join };
}

type InTime = () => boolean;

const SAYS_NOTHING = 'made-up rows cannot tell whether rows are independent: they fail, or all give the same';

async function proveTensors(model: Model, trial: Trial, inTime: InTime): Promise<Joining> {
  const { inputs } = model;
  const usable: { readonly pool: Pool; readonly sizeOf: SizeOf }[] = [];
  for (const sizeOf of namesOf(inputs).length === 0 ? SIZES.slice(0, 1) : SIZES) {
    if (usable.length === 2 || (usable.length === 1 && !inTime())) break;
    const pool = await Pool.open(trial, madeUpTensors(inputs, sizeOf, 'tame'));
    if (contrasts(pool)) usable.push({ pool, sizeOf });
  }
  const [first, second] = usable;
  if (first === undefined) return { rows: 'alone', reason: SAYS_NOTHING };
  for (const size of NEEDED_SIZES) await first.pool.check(size);
  const wild = await Pool.open(trial, madeUpTensors(inputs, first.sizeOf, 'wild'));
  if (wild.size >= LEAST_ROWS) await wild.check(2);
  if (second !== undefined) await second.pool.check(3);
  for (const size of MORE_SIZES) {
    for (const pool of [first.pool, wild, ...(second === undefined ? [] : [second.pool])]) {
      if (inTime() && pool.size >= LEAST_ROWS) await pool.check(size);
    }
  }
  return { rows: 'same-shape', reason: null };
}

/** What of a cascade's teacher is not run is not proved. */
const SPARES_TEACHER = 'made-up texts cannot tell whether rows are independent: they hardly ever reach the teacher';

async function proveTexts(model: Model, trial: Trial, inTime: InTime): Promise<Joining> {
  const reaches = (pool: Pool) => !tellsEscalated(model) || pool.countOf(ESCALATED) >= LEAST_ROWS;
  const equal = await Pool.open(trial, madeUpTexts(model, EQUAL_LENGTHS));
  if (!contrasts(equal)) return { rows: 'alone', reason: SAYS_NOTHING };
  if (!reaches(equal)) return { rows: 'alone', reason: SPARES_TEACHER };
  for (const size of NEEDED_SIZES) await equal.check(size);
  for (const size of MORE_SIZES) if (inTime()) await equal.check(size);
  if (!model.inputs.some(({ name }) => name === 'attention_mask')) {
    return { rows: 'same-shape', reason: 'without an attention mask the graph would read padding as text' };
  }
  try {
    const mixed = await Pool.open(trial, madeUpTexts(model, MIXED_LENGTHS));
    if (!contrasts(mixed)) return { rows: 'same-shape', reason: SAYS_NOTHING };
    if (!reaches(mixed)) return { rows: 'same-shape', reason: SPARES_TEACHER };
    for (const size of NEEDED_SIZES) await mixed.check(size);
    if (inTime()) {
      const long = await Pool.open(trial, madeUpTexts(model, LONG_LENGTHS));
      if (long.size >= LEAST_ROWS) await long.check(2);
    }
    for (const size of MORE_SIZES) if (inTime()) await mixed.check(size);
    return { rows: 'any-length', reason: null };
  } catch (error) {
    if (error instanceof Coupled) return { rows: 'same-shape', reason: `padding matters: ${error.message}` };
    throw error;
  }
}

function contrasts(pool: Pool): boolean {
  return pool.size >= LEAST_ROWS && pool.varies;
}
