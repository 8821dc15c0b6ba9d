/** A model that generates text, in this process: what a prompt is in tokens, and its answer as it grows. */
import { availableParallelism } from 'node:os';
import { type GenerationSettings, type PromptItem, ShoalError, type TextGenerationInput } from '@shoal/contracts';
import { type Asked, askedOf, type Finish, GenerationEngine, memoryForModels } from '@shoal/generation';
import {
  createModelFace,
  type GeneratorDetails,
  type GeneratorModel,
  loadStreamDecoders,
  type ModelFace,
  openGenerator,
  type StreamDecoder,
} from '@shoal/models';
import { UserError } from '@shoal/tools/user-error';
import { GrowingAnswer } from './run-model-answer.js';
import { parametersOf, type RunSettings } from './run-model-settings.js';

export interface OpenOptions {
  /** The newest where undefined. */
  readonly version?: string | undefined;
  /** The default one where undefined. */
  readonly variant: string | undefined;
  /** Tokens of prompt and answer together; the model's own limit where undefined. */
  readonly context: number | undefined;
}

export interface Prompt {
  readonly item: PromptItem;
  readonly settings: GenerationSettings;
}

export interface Answered {
  readonly text: string;
  readonly tokens: number;
  /** Of the prompt, those that were in the cache. */
  readonly cached: number;
  /** `full`: there was no room in the context. */
  readonly end: 'stop' | 'length' | 'full' | 'interrupted';
  /** From its beginning to the first and to the latest token, in ms. */
  readonly firstMs: number;
  readonly latestMs: number;
}

/** Where an answer goes. */
export interface Reader {
  readonly write: (text: string) => void;
  /** Aborted: the answer ends where it is. */
  readonly signal: AbortSignal;
}

export class TextModel {
  readonly #face: ModelFace;
  readonly #engine: GenerationEngine;
  readonly #decoder: StreamDecoder;
  readonly #generator: GeneratorDetails;
  #nextId = 1;

  /** `folder` may have several versions. Throws a UserError or a ShoalError that says what is wrong with the model. */
  static async open(folder: string, { version, variant, context }: OpenOptions): Promise<TextModel> {
    const found = variantOf(await openGenerator(folder, { version, variant }), folder, variant);
    const { maxContext } = found.generator;
    const generator = { ...found.generator, maxContext: Math.min(context ?? maxContext, maxContext) };
    const model = { ...found, generator };
    const [face, decoders] = [await createModelFace(model), await loadStreamDecoders(model)];
    const engine = await GenerationEngine.open({
      ...{ modelPath: model.variants[model.variant]!, context: generator.maxContext, rows: 1 },
      ...{ threads: availableParallelism(), memoryLimit: memoryForModels() },
    }).catch((error: unknown) => {
      // Of what opening an engine needs, it is memory for the longest text that a machine lacks.
      if (!(error instanceof ShoalError) || error.code !== 'device_failed') throw error;
      throw new UserError(`${error.message}. --context <n> asks for a shorter one.`);
    });
    return new TextModel(face, engine, decoders(true), generator);
  }

  private constructor(face: ModelFace, engine: GenerationEngine, decoder: StreamDecoder, generator: GeneratorDetails) {
    this.#face = face;
    this.#engine = engine;
    this.#decoder = decoder;
    this.#generator = generator;
  }

  /** Its own and its variant's. */
  get name(): string {
    const { name, variant } = this.#face.model;
    return `${name} (${variant})`;
  }

  /** Whether it was made for conversations. */
  get chats(): boolean {
    return this.#generator.chatTemplate !== null;
  }

  /** Tokens of prompt and answer together. */
  get context(): number {
    return this.#engine.context;
  }

  /** What answers are made with: everything that was chosen, else what the model's makers advise. */
  parameters(settings: RunSettings) {
    return parametersOf(settings, this.#generator.sampling);
  }

  /** Throws ShoalError `input_too_long` where there is no room for an answer, and as `ModelFace.encode`. */
  async encode(input: TextGenerationInput, settings: RunSettings): Promise<Prompt> {
    const { max_tokens = this.context, ...parameters } = this.parameters(settings);
    // The longest answer is a bound here, and nothing that the prompt has to leave room for.
    const encoded = await this.#face.encode({ input, parameters: { ...parameters, truncate: false } });
    const given = encoded.parameters as unknown as GenerationSettings;
    return { item: encoded.items[0] as PromptItem, settings: { ...given, max_tokens } };
  }

  /** One at a time. Throws the ShoalError with which the engine failed. */
  async answer({ item, settings }: Prompt, { write, signal }: Reader): Promise<Answered> {
    const { eosTokenIds } = this.#generator;
    const asked = askedOf(item, settings, { context: this.context, eosTokenIds });
    const answer = new GrowingAnswer(this.#decoder, settings, write);
    const finish = await this.#generate(asked, answer, signal);
    if (!signal.aborted) await answer.end();
    const full = asked.maxTokens < settings.max_tokens;
    return {
      ...{ text: answer.text, tokens: answer.tokens, firstMs: answer.firstMs, latestMs: answer.latestMs },
      cached: answer.cached,
      end: signal.aborted ? 'interrupted' : finish?.reason === 'length' ? (full ? 'full' : 'length') : 'stop',
    };
  }

  /** How it ended; undefined where a stop string or the signal did. */
  async #generate(asked: Asked, answer: GrowingAnswer, signal: AbortSignal): Promise<Finish | undefined> {
    if (signal.aborted) return undefined;
    const id = this.#nextId++;
    const request = {
      ...asked,
      id,
      emitted: new Uint32Array(0),
      order: id,
      rank: 0,
      alone: false,
      owner: '',
      cacheScope: '',
    };
    const left = new AbortController();
    try {
      return await new Promise((resolve, reject) => {
        let reading = Promise.resolve();
        const leave = () => {
          this.#engine.stop(id);
          reading.then(() => resolve(undefined), reject);
        };
        signal.addEventListener('abort', leave, { signal: left.signal });
        const read = async (ids: readonly number[]) => {
          if (signal.aborted) return;
          await answer.read(ids);
          if (answer.stopped) leave();
        };
        this.#engine.start(request, {
          saved: ({ cachedTokens }) => {
            answer.cached = cachedTokens;
          },
          prompt: () => {},
          tokens: (tokens) => {
            answer.came();
            reading = reading.then(() => read(tokens.map((token) => token.id)));
            reading.catch(reject);
          },
          ended: (finish) => reading.then(() => resolve(finish), reject),
          failed: reject,
        });
      });
    } finally {
      left.abort();
    }
  }

  async close(): Promise<void> {
    await this.#engine.close();
  }
}

function variantOf(models: readonly GeneratorModel[], folder: string, variant: string | undefined): GeneratorModel {
  const model = variant === undefined ? models[0] : models.find((one) => one.variant === variant);
  if (model !== undefined) return model;
  throw new UserError(`${folder} has no variant ${variant}, only ${models.map((one) => one.variant).join(', ')}.`);
}

/** What was refused of a prompt, in the words of whoever typed it. Other errors stay what they are. */
export function refusalOf(error: unknown): unknown {
  if (!(error instanceof ShoalError)) return error;
  const [fault] = error.faults;
  if (fault === undefined) return error;
  const { path, message } = fault;
  // What a template says of messages says whose fault it is.
  if (path.endsWith('.messages')) return new UserError(message);
  const [, parameter] = /^parameters\.(\w+)/.exec(path) ?? [];
  return new UserError(
    parameter === undefined ? `the prompt ${message}` : `${parameter.replaceAll('_', '-')} ${message}`,
  );
}
