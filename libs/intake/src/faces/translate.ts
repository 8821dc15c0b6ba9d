/** Refusals of a job, told to callers of a face that has other names for what they sent. */
import { type Fault, ShoalError, type Task } from '@shoal/contracts';
import type { Catalog } from '../models/catalog.js';

/** Parameters stand at the top of these requests, and the task is what the path says, so the model is what is wrong. */
export function translated(
  refusal: ShoalError,
  task: Task,
  catalog: Catalog,
  rename: (text: string) => string = (text) => text,
): ShoalError {
  const { faults, code, message, retryAfter } = refusal;
  if (faults.length === 0) return refusal;
  if (faults[0]?.path === 'task') return ofAnotherTask(faults[0], task, catalog.namesOf(task));
  const name = (text: string) => rename(text.replaceAll(/\bparameters\./g, ''));
  return new ShoalError(code, name(message), {
    faults: faults.map((fault) => ({ path: name(fault.path), message: fault.message })),
    ...(retryAfter !== undefined && { retryAfter }),
    cause: refusal,
  });
}

function ofAnotherTask({ message }: Fault, task: Task, names: readonly string[]): ShoalError {
  const others = names.length > 0 ? `; models for it: ${names.join(', ')}` : '; no model for it is served';
  const fault = { path: 'model', message: `${message}, and this path is for ${task}${others}` };
  return new ShoalError('invalid_request', `${fault.path}: ${fault.message}`, { faults: [fault] });
}
