/** Original and candidate, each by the path that jobs take, over the same inputs chunk by chunk. */
import type { Joining, WireOutput } from '@shoal/contracts';
import { joiningOf, runRequest } from '@shoal/importer';
import {
  createModelFace,
  type EncodedInput,
  loadRunner,
  type Model,
  type ModelFace,
  type ModelRunner,
  sessionModel,
  tellsEscalated,
  watchEscalated,
} from '@shoal/models';
import type { Runtime } from '@shoal/onnxruntime';
import type { Context } from '../types.js';

/** Rows of a micro-batch at most: models that round a batch by one range are judged as they are served, several texts at once. */
const SERVED_BATCH = 32;
/** Inputs whose answers are in memory at once. */
const CHUNK = 64;

export interface Side {
  readonly model: Model;
  readonly face: ModelFace;
  readonly runner: ModelRunner;
  /** Of a cascade that tells it: rows that ran so far, and those of them that its teacher answered. */
  readonly passed?: { readonly rows: number; readonly escalated: number };
}

export interface Sides {
  readonly original: Side;
  readonly candidate: Side;
}

/** What a side made of a chunk. */
export interface Answers {
  readonly encoded: EncodedInput;
  /** One for each row. */
  readonly outputs: readonly WireOutput[];
  /** One for each input, as callers see it. */
  shown<T>(): readonly T[];
}

export interface Chunk<T> {
  readonly inputs: readonly T[];
  readonly original: Answers;
  readonly candidate: Answers;
}

/** @throws ShoalError where a model does not load; then neither stays loaded */
export async function openSides(original: Model, candidate: Model, { runtime }: Context): Promise<Sides> {
  const first = await openSide(runtime, original);
  try {
    return { original: first, candidate: await openSide(runtime, candidate) };
  } catch (error) {
    await first.runner.close();
    throw error;
  }
}

export async function closeSides({ original, candidate }: Sides): Promise<void> {
  await Promise.all([original.runner.close(), candidate.runner.close()]);
}

/** What was proved of a model, which takes seconds: the original stands beside one candidate after another. */
const proved = new WeakMap<Model, Joining>();

/** One thread for a pass, as workers have it. */
async function openSide(runtime: Runtime, model: Model): Promise<Side> {
  const face = await createModelFace(model);
  const session = await runtime.createSession(sessionModel(model.variants[model.variant]!));
  try {
    const joining = proved.get(model) ?? (await joiningOf(runtime, model, session));
    proved.set(model, joining);
    if (!tellsEscalated(model)) return { model, face, runner: loadRunner(model, session, joining) };
    const passed = { rows: 0, escalated: 0 };
    const watched = watchEscalated(session, (escalated, rows) => {
      passed.rows += rows;
      passed.escalated += escalated;
    });
    return { model, face, runner: loadRunner(model, watched, joining), passed };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** Texts that are too long are cut, by either model as it does. */
export async function answersOf({ face, runner }: Side, input: readonly unknown[], parameters = {}): Promise<Answers> {
  const request = { input, parameters: { ...parameters, truncate: true } };
  const { encoded, outputs } = await runRequest(face, runner, request, SERVED_BATCH);
  return {
    encoded,
    outputs,
    shown<T>() {
      const { output } = face.present(
        encoded,
        outputs.map((one) => ({ output: one })),
      );
      return [...(output as Iterable<T>)];
    },
  };
}

/** @throws the signal's reason, and as runRequest */
export async function* inLockstep<T>(
  { original, candidate }: Sides,
  chunks: readonly (readonly T[])[],
  { signal, onProgress }: Context,
  parameters = {},
): AsyncGenerator<Chunk<T>> {
  for (const [n, inputs] of chunks.entries()) {
    signal.throwIfAborted();
    yield {
      inputs,
      original: await answersOf(original, inputs, parameters),
      candidate: await answersOf(candidate, inputs, parameters),
    };
    onProgress((n + 1) / chunks.length);
  }
}

export function chunksOf<T>(items: readonly T[], size = CHUNK): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, n) => items.slice(n * size, (n + 1) * size));
}
