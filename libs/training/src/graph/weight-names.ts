/** Which constants of a graph are weights, as far as a graph tells. */
import type { Model } from '@shoal/onnx';
import { prepare } from './prepare.js';

/** Angles of rotary positions and slopes of ALiBi, by the names that graphs of @shoal/importer have for them. */
const TABLES = /\.(cos|sin|slopes|scales|exponents|(long_)?frequencies)$/;

/**
 * Names of all float constants of more than one number, as `trainable` of `trainingGraph` takes them: weights, but for tables by
 * their names in graphs of @shoal/importer. Of other graphs the caller should know what else is none.
 */
export function weightNames(model: Model): string[] {
  return [...prepare(model).graph.initializers]
    .filter(([name, { type, dims }]) => type === 'float32' && dims.some((dim) => dim > 1) && !TABLES.test(name))
    .map(([name]) => name);
}
