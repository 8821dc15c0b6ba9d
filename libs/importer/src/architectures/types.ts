/** What the table of architectures knows of each: how to read its config.json and how to build its graph. */
import type { Task } from '@shoal/contracts';
import type { Model } from '@shoal/onnx';
import type { Checkpoint } from '../checkpoint.js';
import type { Precision } from '../precision/types.js';
import type { SentenceModules } from '../sentence/modules.js';

export interface Judge {
  readonly yes: number;
  readonly no: number | null;
}

/** A checkpoint to build a graph from. */
export interface BuildRequest {
  /** config.json, as it stands: each architecture checks what it reads. */
  readonly config: unknown;
  /** generation_config.json, where there is one: its list of tokens that end a text is the better one. */
  readonly generationConfig?: unknown;
  readonly checkpoint: Checkpoint;
  readonly precision: Precision;
  /** What comes behind the token vectors, of sentence-transformers. */
  readonly sentence?: SentenceModules | undefined;
  /** Ids of the tokens that say yes and no, of a language model that judges texts; null: yes alone is looked at. */
  readonly judge?: Judge | undefined;
  /** Of a language model: all of a text in one pass, without a cache, and the logits of every token. What is trained. */
  readonly whole?: boolean | undefined;
}

export interface Architecture {
  readonly task: Task;
  /** Of a class that generates text: its trunk's, as which embeddings are made. */
  readonly trunk?: string;
  /** The same, as a judge of texts that answers yes or no (`BuildRequest.judge`). */
  readonly buildJudge?: (request: BuildRequest) => Model;
  /** What people who import it should know, in words. */
  readonly note?: string;
  /** @throws ShoalError `model_invalid` naming the field of config.json, or the tensor, that cannot be imported */
  build(request: BuildRequest): Model;
}
