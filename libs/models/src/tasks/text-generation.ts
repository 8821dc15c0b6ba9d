/** text-generation: a prompt or conversation → one answer or several. */
import { ShoalError } from '@shoal/contracts';
import type { TaskFace } from './pipeline.js';

export const textGeneration: TaskFace = {
  encode: () => Promise.reject(new ShoalError('internal_error', 'not there')),
  present: () => null,
};
