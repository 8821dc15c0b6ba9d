/** The document's schemas: requests from the contracts, answers from answers.ts and its siblings. */
import {
  BulkRequest,
  ChatCompletionRequest,
  CompletionRequest,
  EmbeddingsRequest,
  EndpointPatch,
  EndpointRequest,
  EventsUrlRequest,
  FeatureExtractionParameters,
  FileUpload,
  JobRequest,
  MAX_ITEMS,
  ReplayRequest,
  RerankInput,
  RerankParameters,
  RerankRequest,
  RotateRequest,
  TensorInput,
  TensorsInput,
  TensorsParameters,
  TextClassificationParameters,
  TextGenerationInput,
  TextGenerationParameters,
  TextInput,
  TextsRerankRequest,
  TokenClassificationParameters,
} from '@shoal/contracts';
import { z } from 'zod';
import * as answers from './answers.js';
import { ANSWER_EXAMPLES } from './examples.js';
import * as files from './file-answers.js';
import { FILE_EXAMPLES } from './file-answers.js';
import * as faces from './openai-answers.js';
import * as texts from './text-answers.js';
import { TEXT_EXAMPLES } from './text-examples.js';
import * as webhookAnswers from './webhook-answers.js';
import { WEBHOOK_EXAMPLES } from './webhook-examples.js';

const REQUESTS = {
  JobRequest,
  BulkRequest,
  EventsUrlRequest,
  ChatCompletionRequest,
  CompletionRequest,
  EmbeddingsRequest,
  RerankRequest,
  TextsRerankRequest,
  FileUpload,
  EndpointRequest,
  EndpointPatch,
  RotateRequest,
  ReplayRequest,
  TextInput,
  RerankInput,
  TensorInput,
  TensorsInput,
  TextClassificationParameters,
  FeatureExtractionParameters,
  RerankParameters,
  TokenClassificationParameters,
  TextGenerationInput,
  TextGenerationParameters,
  TensorsParameters,
} as const;

export const ANSWERS = {
  JobReceipt: answers.JobReceiptSchema,
  Job: answers.JobSchema,
  JobList: answers.JobListSchema,
  BulkAnswer: answers.BulkAnswerSchema,
  Problem: answers.ProblemSchema,
  EventsUrl: answers.EventsUrlSchema,
  Health: answers.HealthSchema,
  ChatCompletion: texts.ChatCompletionSchema,
  ChatCompletionChunk: texts.ChatChunkSchema,
  Completion: texts.CompletionSchema,
  CompletionChunk: texts.CompletionChunkSchema,
  Removed: texts.RemovedSchema,
  Embeddings: faces.EmbeddingsSchema,
  Rerank: faces.RerankSchema,
  TextsRerank: faces.TextsRerankSchema,
  TextsError: faces.TextsErrorSchema,
  OpenAiError: faces.OpenAiErrorSchema,
  ModelList: faces.ModelListSchema,
  ModelCard: faces.ModelCardSchema,
  File: files.FileSchema,
  FileList: files.FileListSchema,
  DeletedFile: files.DeletedFileSchema,
  WebhookEndpoint: webhookAnswers.EndpointSchema,
  NewWebhookEndpoint: webhookAnswers.NewEndpointSchema,
  WebhookEndpointList: webhookAnswers.EndpointListSchema,
  WebhookSecret: webhookAnswers.SecretSchema,
  WebhookAttempt: webhookAnswers.AttemptSchema,
  WebhookAttemptList: webhookAnswers.AttemptListSchema,
  WebhookReplay: webhookAnswers.ReplayAnswerSchema,
  WebhookMessage: webhookAnswers.TestAnswerSchema,
} as const;

export type RequestName = keyof typeof REQUESTS;
export type AnswerName = Exclude<keyof typeof ANSWERS, 'Problem' | 'OpenAiError' | 'TextsError'>;
type SchemaName = RequestName | keyof typeof ANSWERS;

/** The example of each answer. */
export const EXAMPLES: Readonly<Record<AnswerName, unknown>> = {
  ...ANSWER_EXAMPLES,
  ...TEXT_EXAMPLES,
  ...FILE_EXAMPLES,
  ...WEBHOOK_EXAMPLES,
};

export interface JsonSchema {
  properties?: Record<string, unknown>;
  [key: string]: unknown;
}

export function ref(name: SchemaName) {
  return { $ref: `#/components/schemas/${name}` };
}

export function componentSchemas(): Record<string, JsonSchema> {
  const schemas: Record<string, JsonSchema> = {};
  for (const [name, schema] of Object.entries(REQUESTS)) schemas[name] = toJsonSchema(schema, 'input');
  for (const [name, schema] of Object.entries(ANSWERS)) schemas[name] = toJsonSchema(schema, 'output');
  describeJobRequest(schemas.JobRequest);
  const jobs = schemas.BulkRequest?.properties?.jobs as JsonSchema;
  jobs.items = ref('JobRequest');
  return schemas;
}

function toJsonSchema(schema: z.ZodType, io: 'input' | 'output'): JsonSchema {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return json;
}

/** The model's task decides what these two hold, so the contract of a job leaves them open. */
function describeJobRequest(schema: JsonSchema | undefined): void {
  const { input, parameters } = (schema?.properties ?? {}) as Record<string, JsonSchema>;
  const inputs = (['TextInput', 'RerankInput', 'TextGenerationInput', 'TensorsInput'] as const).map(ref);
  const ofTasks = [
    'TextClassificationParameters',
    'FeatureExtractionParameters',
    'RerankParameters',
    'TokenClassificationParameters',
    'TextGenerationParameters',
    'TensorsParameters',
  ] as const;
  Object.assign(input!, { anyOf: [...inputs, { type: 'array', maxItems: MAX_ITEMS, items: { anyOf: inputs } }] });
  Object.assign(schema!.properties!, {
    parameters: { description: parameters?.description, anyOf: ofTasks.map(ref) },
  });
}
