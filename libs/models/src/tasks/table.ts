/** Task → its pipeline. */
import type { Task } from '@shoal/contracts';
import { featureExtraction } from './feature-extraction.js';
import type { TaskPipeline } from './pipeline.js';
import { rerank } from './rerank.js';
import { tensors } from './tensors.js';
import { textClassification } from './text-classification.js';
import { tokenClassification } from './token-classification.js';

export const PIPELINES: Readonly<Record<Task, TaskPipeline>> = {
  'text-classification': textClassification,
  'feature-extraction': featureExtraction,
  rerank,
  'token-classification': tokenClassification,
  tensors,
};
