/** What this lib gives to the API (encode, present) and to workers (run). */
import type {
  JobError,
  Joining,
  ModelCard,
  Pooling,
  ShoalJson,
  Task,
  TensorSpec,
  VariantQuality,
  WireItem,
  WireOutput,
} from '@shoal/contracts';
import type { TokenTexts } from './text/token-texts.js';

export type ScoreFunction = 'softmax' | 'sigmoid' | 'none';

/** Texts that are put before those of a request. */
export interface Prompts {
  /** By the name that a request chooses them with. */
  readonly texts: ReadonlyMap<string, string>;
  /** Of the one that is taken where a request names none; null: none is. */
  readonly standard: string | null;
  /** False: pooling leaves the tokens of the prompt out. */
  readonly pooled: boolean;
}

/** What text tasks need to know of a model; read from the folder, not from the graph. */
export interface TextDetails {
  /** Longest input in tokens, special tokens included. */
  readonly maxTokens: number;
  /** Rows of the embedding table; null where config.json does not say. */
  readonly vocabSize: number | null;
  readonly padId: number;
  /** Position of the first token, for graphs that ask for position ids (RoBERTa counts from its pad id + 1). */
  readonly firstPosition: number;
  /** Side by side, where there are several. */
  readonly pooling: readonly Pooling[];
  readonly normalize: boolean;
  /** What a language model that ranks is asked, with `{query}` and `{document}` in it; null: it takes pairs of texts. */
  readonly pairTemplate: string | null;
  /** What turns logits into scores unless a request says otherwise. */
  readonly scoreFunction: ScoreFunction;
  readonly prompts: Prompts;
  /** Texts become lower case before they are tokenised, whatever the tokenizer does. */
  readonly lowerCase: boolean;
  /** Where texts that are too long are cut. */
  readonly truncationSide: 'left' | 'right';
}

/** What an API and an engine need to know of a model that generates text. */
export interface GeneratorDetails {
  /** Tokens of prompt and answer together, at most. */
  readonly maxContext: number;
  /** Token ids are below it. */
  readonly vocabulary: number;
  /** Any of them ends a text. */
  readonly eosTokenIds: readonly number[];
  /** In Jinja; null for a model that was not made for conversations. */
  readonly chatTemplate: string | null;
  /** What templates call `bos_token`, `eos_token`, ... */
  readonly specialTokens: Readonly<Record<string, string>>;
  /** What its makers advise. */
  readonly sampling: AdvisedSampling;
}

/** In the words of requests. Always the likeliest token where the folder says nothing else. */
export interface AdvisedSampling {
  readonly temperature: number;
  readonly top_p: number;
  readonly top_k: number;
  readonly min_p: number;
  readonly repetition_penalty: number;
}

/** One version of a model folder in one of its variants, read and checked without loading the graph's weights. */
export interface Model {
  readonly name: string;
  readonly version: string;
  readonly variant: string;
  /**
   * variant → absolute path of its ONNX file. The first is the one a request gets. One object for all models of one reading of
   * the folder, see isSameReading.
   */
  readonly variants: Readonly<Record<string, string>>;
  readonly folder: string;
  readonly task: Task;
  readonly shoal: ShoalJson;
  /** Class names by index; empty where the task has none. */
  readonly labels: readonly string[];
  /** Longest input in tokens, special tokens included (with the answer, of a text that is generated); null for `tensors`. */
  readonly maxTokens: number | null;
  readonly dimensions: number | null;
  /** A shape of `['...']` is one of any rank; a dimension `?` has no name. */
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  /** False where the graph cannot take several items at once; where it can, rows are joined only once that is proved. */
  readonly batchable: boolean;
  /** Null for `tensors` and `text-generation`. */
  readonly text: TextDetails | null;
  /** Of `text-generation` only. */
  readonly generator: GeneratorDetails | null;
  /** The variant that others of its version are measured against: the first, unless `quality.json` names another. */
  readonly original: string;
  /** What this one was measured to lose beside it; null: it is the original, or was not measured. */
  readonly quality: VariantQuality | null;
  /** Unix seconds of the ONNX file's last change. */
  readonly created: number;
  /** `<name>.<version>.<variant>.0` */
  readonly queue: string;
}

/** A checked, tokenised input. */
export interface EncodedInput {
  readonly task: Task;
  /** Parameters with their defaults, as workers and `present` take them. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly items: readonly WireItem[];
  /** Tokens per item; a `tensors` item counts 64 per row. */
  readonly tokens: readonly number[];
  readonly array: boolean;
  /** Rows per input element where an element makes several. */
  readonly groups?: readonly number[];
  /** Of `text-generation`: the most tokens that each item's answer has. */
  readonly answers?: readonly number[];
  /** Upper estimate of the stored output in bytes. */
  readonly resultBytes: number;
}

export interface EncodeRequest {
  readonly input: unknown;
  readonly task?: Task;
  readonly parameters?: unknown;
}

/** What became of one item; null where it has no outcome yet. */
export type ItemOutcome = {
  readonly output?: WireOutput | undefined;
  readonly error?: JobError | undefined;
} | null;

export interface Presented {
  /** Plain values and, in place of long lists, LazyLists. */
  readonly output: unknown;
  readonly errors: readonly (JobError & { readonly index: number })[];
}

/** Shows outputs of one model; needs no tokenizer. */
export interface Presenter {
  /** The output as callers see it: one value, or an array with null where an item failed (its group, for rerank). */
  present(shape: Pick<EncodedInput, 'parameters' | 'array' | 'groups'>, results: readonly ItemOutcome[]): Presented;
}

/** The API's side of one model. */
export interface ModelFace extends Presenter {
  readonly model: Model;
  /** Of models that generate text. */
  readonly tokens?: TokenTexts;
  /**
   * Checks and tokenises an input: one item or an array of up to 1,000.
   * Throws ShoalError `invalid_request` (path of each fault, starting at `input` or `parameters`), `input_too_long`,
   * `result_too_large`.
   */
  encode(request: EncodeRequest): Promise<EncodedInput>;
  /**
   * `origin` is where callers reach this API, e.g. `http://localhost:8080`; `joining` what workers proved, as far as is known;
   * `keys`: callers need an API key. Where it is served is for the caller to add.
   */
  card(origin: string, joining?: Joining | null, keys?: boolean, name?: string): Omit<ModelCard, 'served'>;
}

/** One item of a micro-batch and what its caller asked for. */
export interface Row {
  readonly item: WireItem;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** The worker's side of one model: rows in, one output per row out. */
export interface ModelRunner {
  readonly model: Model;
  /** Which rows may share a forward pass; `alone`: batches are of one item, and `run` takes more apart. */
  readonly joining: Joining;
  /** What rows carry of a request that gave no parameters. */
  readonly defaults: Readonly<Record<string, unknown>>;
  /** What must be equal for two items to share a forward pass (for `tensors`: types and inner dimensions). */
  groupKey(item: WireItem): string;
  /** One forward pass. Throws where the pass failed as a whole; an Error in a row's place fails that row alone. */
  run(rows: readonly Row[]): Promise<(WireOutput | Error)[]>;
  close(): Promise<void>;
}
