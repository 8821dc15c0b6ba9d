/** The document's schemas: requests from the contracts, answers from answers.ts. */
import {
  BulkRequest,
  EmbeddingsRequest,
  EndpointPatch,
  EndpointRequest,
  EventsUrlRequest,
  FeatureExtractionParameters,
  JobRequest,
  MAX_ITEMS,
  ReplayRequest,
  RerankInput,
  RerankParameters,
  RotateRequest,
  TensorsInput,
  TensorsParameters,
  TextClassificationParameters,
  TextInput,
  TokenClassificationParameters,
} from '@shoal/contracts';
import { z } from 'zod';
import * as answers from './answers.js';
import * as webhookAnswers from './webhook-answers.js';

const REQUESTS = {
  JobRequest,
  BulkRequest,
  EventsUrlRequest,
  EmbeddingsRequest,
  EndpointRequest,
  EndpointPatch,
  RotateRequest,
  ReplayRequest,
  TextInput,
  RerankInput,
  TensorsInput,
  TextClassificationParameters,
  FeatureExtractionParameters,
  RerankParameters,
  TokenClassificationParameters,
  TensorsParameters,
} as const;

const ANSWERS = {
  JobReceipt: answers.JobReceiptSchema,
  Job: answers.JobSchema,
  JobList: answers.JobListSchema,
  EventsUrl: answers.EventsUrlSchema,
  BulkAnswer: answers.BulkAnswerSchema,
  Problem: answers.ProblemSchema,
  Embeddings: answers.EmbeddingsSchema,
  OpenAiError: answers.OpenAiErrorSchema,
  ModelList: answers.ModelListSchema,
  ModelCard: answers.ModelCardSchema,
  WebhookEndpoint: webhookAnswers.EndpointSchema,
  NewWebhookEndpoint: webhookAnswers.NewEndpointSchema,
  WebhookEndpointList: webhookAnswers.EndpointListSchema,
  WebhookSecret: webhookAnswers.SecretSchema,
  WebhookAttempt: webhookAnswers.AttemptSchema,
  WebhookAttemptList: webhookAnswers.AttemptListSchema,
  WebhookReplay: webhookAnswers.ReplayAnswerSchema,
  WebhookMessage: webhookAnswers.TestAnswerSchema,
} as const;

export type SchemaName = keyof typeof REQUESTS | keyof typeof ANSWERS;

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
  const inputs = (['TextInput', 'RerankInput', 'TensorsInput'] as const).map(ref);
  Object.assign(schema?.properties ?? {}, {
    input: {
      description: `What the model's task takes: one item, or an array of up to ${MAX_ITEMS}.`,
      anyOf: [...inputs, { type: 'array', maxItems: MAX_ITEMS, items: { anyOf: inputs } }],
    },
    parameters: {
      description: "Parameters of the model's task.",
      anyOf: (
        [
          'TextClassificationParameters',
          'FeatureExtractionParameters',
          'RerankParameters',
          'TokenClassificationParameters',
          'TensorsParameters',
        ] as const
      ).map(ref),
    },
  });
}
