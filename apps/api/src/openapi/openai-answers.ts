/** Answers of the faces that other services' clients call, as schemas; see answers.ts. */
import { Joining, type ListedModel, type ModelCard, type ServedQuality, Task } from '@shoal/contracts';
import type { EmbeddingsResponse, RerankResponse, TextsRerankResponse } from '@shoal/intake';
import { z } from 'zod';
import type { TextsError } from '../openai/faces.js';
import type { OpenAiError } from '../openai/openai-error.js';
import { AccuracyLossSchema, Code, Count, ListSchema } from './answers.js';

const Model = z.string().describe('The model that was asked for.');
const Usage = z
  .strictObject({
    prompt_tokens: Count.describe('Tokens of all inputs.'),
    total_tokens: Count.describe('The same: nothing is generated.'),
  })
  .describe('What the call took.');

export const EmbeddingsSchema = z.strictObject({
  object: ListSchema,
  data: z
    .array(
      z.strictObject({
        object: z.literal('embedding').describe('What this is.'),
        index: Count.describe('Which input, from 0.'),
        embedding: z
          .union([z.array(z.number()), z.string()])
          .describe('The vector: numbers, or little-endian float32 in base64.'),
      }),
    )
    .describe('One embedding per input, in order.'),
  model: Model,
  usage: Usage,
}) satisfies z.ZodType<EmbeddingsResponse>;

const RankIndex = Count.describe('Which document, from 0.');

export const RerankSchema = z
  .strictObject({
    id: z.string().describe('The id of the request.'),
    object: ListSchema,
    model: Model,
    results: z
      .array(
        z.strictObject({
          index: RankIndex,
          relevance_score: z.number().describe('How relevant the document is, from 0 to 1.'),
          document: z
            .strictObject({ text: z.string().describe('Its text.') })
            .exactOptional()
            .describe('The document, where `return_documents` asks for it.'),
        }),
      )
      .describe('The documents, best first.'),
    usage: Usage,
  })
  .describe('Of `documents`.') satisfies z.ZodType<RerankResponse>;

export const TextsRerankSchema = z
  .array(
    z.strictObject({
      index: RankIndex,
      score: z.number().describe('From 0 to 1, or the logit where `raw_scores` asks for it.'),
      text: z.string().exactOptional().describe('The text, where `return_text` asks for it.'),
    }),
  )
  .describe('Of `texts`: best first.') satisfies z.ZodType<TextsRerankResponse>;

const Message = z.string().describe('What is wrong, and what to do.');

export const TextsErrorSchema = z
  .strictObject({
    error: Message,
    error_type: z.enum(['Validation', 'Overloaded', 'Backend', 'Unhealthy']).describe('Whose fault it is.'),
  })
  .describe("text-embeddings-inference's shape.") satisfies z.ZodType<TextsError>;

export const OpenAiErrorSchema = z.strictObject({
  error: z
    .strictObject({
      message: Message,
      type: z.string().describe('The class of the error.'),
      param: z.string().nullable().describe('The field that is at fault; null where none is.'),
      code: Code,
    })
    .describe("OpenAI's shape."),
}) satisfies z.ZodType<OpenAiError>;

const StandIns = z.array(
  z.strictObject({
    model: z.string().describe('What it stands for: a model, or a version or variant of one.'),
    weight: z.number().describe('Its share of the jobs, relative to those of the others.'),
  }),
);
const listedModel = {
  id: z.string().describe('The name to ask for.'),
  object: z.literal('model').describe('What this is.'),
  created: z.int().describe('When its file was last changed, in Unix seconds.'),
  owned_by: z.string().describe('Always shoal.'),
  task: Task.describe('What it does.'),
  max_model_len: Count.exactOptional().describe(
    'Of models that generate text: most tokens of prompt and answer together.',
  ),
  stands_for: StandIns.exactOptional().describe('Of a name that models.json gives: what its jobs run on.'),
};
export const ListedModelSchema = z.strictObject(listedModel) satisfies z.ZodType<ListedModel>;
export const ModelListSchema = z.strictObject({
  object: ListSchema,
  data: z.array(ListedModelSchema).describe('The models, in the order of their names.'),
});

const Specs = z.array(
  z.object({
    name: z.string().describe('As in the graph.'),
    type: z.string().describe('The element type.'),
    shape: z.array(z.union([z.number(), z.string()])).describe('The axes; one with a name has any length.'),
  }),
);
const QualitySchema = z.strictObject({
  verdict: z
    .enum(['passed', 'forced'])
    .describe('`forced`: kept although it lost too much or was no faster; no request gets it by what it allows.'),
  method: z.string().describe('How it was made.'),
  accuracy_loss: AccuracyLossSchema.describe('How much worse than the original it was measured to be.'),
  speeds: z
    .array(
      z.strictObject({
        batch: z.int().describe('Texts in one pass.'),
        tokens: z.int().describe('Tokens of each.'),
        ratio: z.number().describe("Its speed ÷ the original's."),
        low: z.number().describe('The lower end of the 95 % interval of that.'),
        high: z.number().describe('The upper end.'),
      }),
    )
    .describe('How much faster than the original it was measured to be.'),
  escalated: z
    .number()
    .exactOptional()
    .describe(
      'Of a cascade, which answers what it is sure of and has the original for the rest: the share of the texts it was measured on that the original answered.',
    ),
}) satisfies z.ZodType<ServedQuality>;

const limit = Count.nullable();
export const ModelCardSchema = z.strictObject({
  ...listedModel,
  version: z.string().describe('The version that new jobs of this name run on; of a name that is shared, one of them.'),
  variants: z.array(z.string()).describe('Its variants, the one that jobs get first.'),
  description: z.string().exactOptional().describe('In the words of who put it there.'),
  license: z.string().exactOptional().describe('What it may be used for.'),
  limits: z
    .object({
      max_tokens: limit.describe('Longest input in tokens; null where inputs are not texts.'),
      max_items: Count.describe('Most items of one job.'),
      max_batch_size: limit.describe('Most items of one micro-batch; null where the worker measures it.'),
      max_batch_tokens: limit.describe('Most tokens of one micro-batch; null where the worker measures it.'),
    })
    .describe('What it takes.'),
  served: z
    .array(
      z.strictObject({
        id: z.string().describe('What asks for exactly this version and variant.'),
        state: z
          .enum(['loaded', 'on_demand', 'failed', 'unloaded'])
          .describe(
            '`on_demand`: loaded when a job asks for it; `failed`: did not load, and is tried again; `unloaded`: takes no jobs.',
          ),
        workers: Count.describe('Workers that have it loaded.'),
        reason: z.string().exactOptional().describe('Why it did not load, where it failed.'),
        original: z
          .literal(true)
          .exactOptional()
          .describe('Of a version whose variants were measured: the one that they were measured against.'),
        quality: QualitySchema.exactOptional().describe('What was measured of it, where that was done.'),
      }),
    )
    .describe('Every version and variant, newest version first.'),
  joining: z
    .strictObject({
      rows: Joining.shape.rows.describe('Texts of any lengths, only rows of the same shape, or none.'),
      reason: Joining.shape.reason.describe('Why no more than that; null where nothing is in the way.'),
    })
    .nullable()
    .describe('Which rows of different callers share a forward pass, as workers proved it; null as long as none has.'),
  labels: z.array(z.string()).exactOptional().describe('The labels of a classifier.'),
  dimensions: Count.exactOptional().describe('Length of its vectors.'),
  inputs: Specs.exactOptional().describe('Of the task tensors: what the graph takes.'),
  outputs: Specs.exactOptional().describe('Of the task tensors: what the graph gives.'),
  example: z
    .object({
      request: z.unknown().describe('The body of `POST /v1/jobs`.'),
      curl: z.string().describe('The same as a line for a shell.'),
      openai_curl: z.string().exactOptional().describe("The same to OpenAI's path for it, where it has one."),
    })
    .describe('A request that runs.'),
}) satisfies z.ZodType<ModelCard>;
