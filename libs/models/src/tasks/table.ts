/** Task → what it consists of. Not of the type that it satisfies: so go-to-definition leads to the tasks themselves. */
import type { Task } from '@shoal/contracts';
import { featureExtraction } from './feature-extraction.js';
import type { TaskFace, TaskRun } from './pipeline.js';
import { rerank } from './rerank.js';
import { tensors } from './tensors.js';
import { textClassification } from './text-classification.js';
import { textGeneration } from './text-generation.js';
import { tokenClassification } from './token-classification.js';

export const PIPELINES = {
  'text-classification': textClassification,
  'feature-extraction': featureExtraction,
  rerank,
  'token-classification': tokenClassification,
  'text-generation': textGeneration,
  tensors,
} as const satisfies Record<Task, TaskFace & Partial<TaskRun>>;
