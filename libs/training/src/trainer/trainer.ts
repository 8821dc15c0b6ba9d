/** Trains the weights of a training graph: one step after the other, in memory that ONNX Runtime reads and writes in place. */
import { createHash } from 'node:crypto';
import type { ShoalError } from '@shoal/contracts';
import { serialiseModel } from '@shoal/onnx';
import type { IoBinding, Runtime, Session, SessionOptions, Tensors } from '@shoal/onnxruntime';
import { refused } from '../errors.js';
import { floatsOf, type Weight, type Weights } from '../graph/weights.js';
import { ROW_WEIGHTS } from '../losses/losses.js';
import { adamw, addTo, type Moments, sumOfSquares } from './adamw.js';
import { rateAt, type Settings, settingsOf, type TrainerOptions } from './options.js';
import { ShuffledOrder } from './order.js';
import { loadState, type Origin, saveState } from './state.js';
import { gradientOf, type TrainingGraph } from './training-graph.js';

export interface Batch {
  /** Inputs of the model and targets of the losses. */
  readonly feeds: Tensors;
  /**
   * Rows that losses are averaged over (texts; or texts × tokens of an output for each token): their number, or a weight for each,
   * 0 where padding is. The loss is the weighted mean over all rows of a step, in however many batches.
   */
  readonly rows: number | Float32Array;
}

export interface StepReport {
  /** Steps that are done now. */
  readonly step: number;
  /** Before the step: the weighted mean over its rows. */
  readonly loss: number;
  /** Length of the whole gradient, before it is clipped. */
  readonly norm: number;
  readonly rate: number;
}

interface Trained extends Moments {
  readonly dims: readonly number[];
  /** Written by each run. */
  readonly gradient: Float32Array;
  /** Of all batches of a step; undefined where there is one. */
  readonly sum: Float32Array | undefined;
  /** As they were at the last step that was known to be good. */
  readonly good: Float32Array;
}

/** Steps between two copies of the weights that are kept in case the loss ends in no number. */
const COPY_STEPS = 20;

export class Trainer {
  readonly settings: Settings;
  readonly #origin: Origin;
  readonly #session: Session;
  readonly #binding: IoBinding;
  readonly #trained: ReadonlyMap<string, Trained>;
  readonly #order: ShuffledOrder;
  readonly #loss = scalar();
  readonly #norm2 = scalar();
  #steps = 0;
  #goodStep = 0;
  /** Where loss or gradient were no numbers: there is no going on from there. */
  #end: ShoalError | undefined;

  private constructor(session: Session, graph: TrainingGraph, origin: Origin) {
    this.settings = origin;
    this.#origin = origin;
    this.#session = session;
    this.#binding = session.bind();
    this.#order = new ShuffledOrder(origin.examples, origin.seed);
    const trained = new Map<string, Trained>();
    for (const [name, tensor] of graph.weights) {
      const { dims } = tensor;
      const weight = floatsOf(tensor);
      const empty = () => new Float32Array(weight.length);
      const one: Trained = {
        ...{ dims, weight, first: empty(), second: empty(), gradient: empty(), good: weight.slice() },
        sum: origin.accumulate > 1 ? empty() : undefined,
      };
      trained.set(name, one);
      this.#binding.bindInput(name, { type: 'float32', dims, data: weight });
      this.#binding.bindOutput(gradientOf(name), { type: 'float32', dims, data: one.gradient });
    }
    this.#trained = trained;
    this.#binding.bindOutput('loss', this.#loss);
    this.#binding.bindOutput('norm2', this.#norm2);
  }

  /**
   * Runs hold the calling thread: train in a thread or a process of its own. Memory: 5 floats for each weight (6 where batches
   * accumulate), beside what a forward and a backward pass over one batch need.
   *
   * @throws ShoalError `invalid_request` naming an option that makes no sense
   */
  static async open(
    runtime: Runtime,
    graph: TrainingGraph,
    options: TrainerOptions,
    session: SessionOptions = {},
  ): Promise<Trainer> {
    const settings = settingsOf(options);
    const bytes = serialiseModel(graph.model);
    const origin = { ...settings, graph: createHash('sha256').update(bytes).digest('hex') };
    return new Trainer(await runtime.createSession(bytes, session), graph, origin);
  }

  /** Steps done. */
  get steps(): number {
    return this.#steps;
  }

  /** As they are now: the memory that the next step changes. */
  get weights(): Weights {
    return new Map([...this.#trained].map(([name, { dims, weight }]) => [name, { dims, data: weight }]));
  }

  /** As they are now, to be kept: of the step that did best on texts which are not trained on. */
  snapshot(): Weights {
    return new Map([...this.#trained].map(([name, { dims, weight }]) => [name, { dims, data: weight.slice() }]));
  }

  /** Examples of the next step, by their numbers: a list for each of its batches. */
  next(): number[][] {
    const { accumulate, batchSize } = this.settings;
    const done = this.#steps * accumulate * batchSize;
    return Array.from({ length: accumulate }, (_, n) => this.#order.take(done + n * batchSize, batchSize));
  }

  /**
   * The loss and its gradient over all rows of the batches, as `step` uses them, without a step. The arrays are overwritten by the
   * next call.
   */
  async gradient(batches: readonly Batch[]): Promise<{ loss: number; norm: number; gradients: Weights }> {
    const { loss, norm } = await this.#gradient(batches);
    const gradients = new Map<string, Weight>();
    for (const [name, { dims, gradient, sum }] of this.#trained) gradients.set(name, { dims, data: sum ?? gradient });
    return { loss, norm, gradients };
  }

  /**
   * One step of the optimiser on the batches of `next()`, of which there are `accumulate`.
   *
   * @throws ShoalError `invalid_request` where loss or gradient are no numbers any more: the weights are then those of the last
   *   step that was copied while they were (every 20th); `inference_failed` where a batch does not fit the graph
   */
  async step(batches: readonly Batch[]): Promise<StepReport> {
    const { steps, clip, weightDecay, beta1, beta2, epsilon } = this.settings;
    if (this.#end !== undefined) throw this.#end;
    if (this.#steps >= steps) throw refused(`steps: all ${steps} are done`);
    const { loss, norm } = await this.#gradient(batches);
    if (!Number.isFinite(loss) || !Number.isFinite(norm)) throw this.#diverged(loss, norm);
    if (this.#steps % COPY_STEPS === 0) this.#copyGood();
    const rate = rateAt(this.#steps, this.settings);
    const scale = norm > clip ? clip / norm : 1;
    this.#steps += 1;
    for (const one of this.#trained.values()) {
      // Vectors are norms and biases.
      const decay = one.dims.length > 1 ? weightDecay : 0;
      adamw(one, one.sum ?? one.gradient, {
        ...{ step: this.#steps, rate, beta1, beta2, epsilon, weightDecay: decay, scale },
      });
    }
    return { step: this.#steps, loss, norm, rate };
  }

  /**
   * Writes weights, moments and how far it is; the file is there as a whole or not at all.
   *
   * @throws ShoalError `invalid_request` where training went astray
   */
  save(path: string): void {
    if (this.#end !== undefined) throw this.#end;
    saveState(path, this.#origin, { step: this.#steps, tensors: this.#tensors() });
  }

  /**
   * Goes on where the run that saved `path` was: all further steps are those that it would have made, bit by bit, on the same
   * machine with as many threads.
   *
   * @throws ShoalError `invalid_request` where it is no such file, or of another graph, other settings or weights
   */
  load(path: string): void {
    this.#steps = loadState(path, this.#origin, this.#tensors());
    this.#end = undefined;
    this.#copyGood();
  }

  async close(): Promise<void> {
    await this.#session.release();
  }

  /** All that changes from step to step, by name. */
  #tensors(): Map<string, Float32Array> {
    const tensors = new Map<string, Float32Array>();
    for (const [name, { weight, first, second }] of this.#trained) {
      tensors.set(`weight:${name}`, weight).set(`first:${name}`, first).set(`second:${name}`, second);
    }
    return tensors;
  }

  async #gradient(batches: readonly Batch[]): Promise<{ loss: number; norm: number }> {
    const { accumulate } = this.settings;
    if (batches.length !== accumulate) throw refused(`batches: ${batches.length} in place of ${accumulate}`);
    const total = batches.reduce((sum, { rows }) => sum + weightOf(rows), 0);
    if (!(total > 0 && Number.isFinite(total))) throw refused(`rows: their weights add up to ${total}`);
    for (const { sum } of this.#trained.values()) sum?.fill(0);
    let loss = 0;
    for (const batch of batches) {
      await this.#run(batch, total);
      loss += this.#loss.data[0]!;
      for (const { sum, gradient } of this.#trained.values()) if (sum !== undefined) addTo(sum, gradient);
    }
    const square =
      accumulate === 1
        ? this.#norm2.data[0]!
        : [...this.#trained.values()].reduce((all, { sum, gradient }) => all + sumOfSquares(sum ?? gradient), 0);
    return { loss, norm: Math.sqrt(square) };
  }

  async #run({ feeds, rows }: Batch, total: number): Promise<void> {
    const weights =
      typeof rows === 'number' ? new Float32Array(rows).fill(1 / total) : rows.map((weight) => weight / total);
    for (const [name, tensor] of Object.entries(feeds)) this.#binding.bindInput(name, tensor);
    this.#binding.bindInput(ROW_WEIGHTS, { type: 'float32', dims: [weights.length], data: weights });
    await this.#binding.run({ blocking: true });
  }

  #copyGood(): void {
    for (const { good, weight } of this.#trained.values()) good.set(weight);
    this.#goodStep = this.#steps;
  }

  #diverged(loss: number, norm: number): ShoalError {
    for (const { good, weight } of this.#trained.values()) weight.set(good);
    const { learningRate } = this.settings;
    this.#end = refused(
      `training went astray at step ${this.#steps + 1}: the loss is ${loss}, the gradient's length ${norm}; the weights are back at step ${this.#goodStep}. Take a learningRate below ${learningRate}, or more warmup`,
    );
    return this.#end;
  }
}

function scalar() {
  return { type: 'float32', dims: [], data: new Float32Array(1) } as const;
}

function weightOf(rows: Batch['rows']): number {
  return typeof rows === 'number' ? rows : rows.reduce((sum, weight) => sum + weight, 0);
}
