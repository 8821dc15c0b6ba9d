/** Outputs of a job as callers see them, back as the model's runner has them. */
import { ShoalError, type WireOutput } from '@shoal/contracts';
import type { Model } from '@shoal/models';

/**
 * One for each input of a job of text-classification with all classes, of feature-extraction, or of rerank with one document each.
 *
 * @throws ShoalError `invalid_request` where they are not those of such a model
 */
export function outputsIn(output: unknown, model: Model): WireOutput[] {
  const read = readerOf(model);
  return listOf(output).map(read);
}

function readerOf(model: Model): (shown: unknown) => WireOutput {
  if (model.task === 'feature-extraction') return vectorIn;
  if (model.task === 'rerank') return (shown) => ({ kind: 'score', score: numberOf(fieldsOf(listOf(shown)[0]).score) });
  const places = new Map(model.labels.map((label, index) => [label, index]));
  return (shown) => scoresIn(shown, places, model);
}

function scoresIn(shown: unknown, places: ReadonlyMap<string, number>, { name, labels }: Model): WireOutput {
  const all = listOf(shown).map(fieldsOf);
  const indices = Uint32Array.from(all, ({ label }) => {
    const place = places.get(String(label));
    if (place === undefined) throw other(`its ${name} has a class ${String(label)}, which the one here does not have`);
    return place;
  });
  if (new Set(indices).size !== labels.length) {
    throw other(`its ${name} tells ${new Set(indices).size} classes apart, and the one here has ${labels.length}`);
  }
  return { kind: 'scores', indices, scores: Float32Array.from(all, ({ score }) => numberOf(score)) };
}

function vectorIn(shown: unknown): WireOutput {
  const list = listOf(shown);
  if (!Array.isArray(list[0])) return { kind: 'vector', values: floatsOf(list), dims: [list.length] };
  const vectors = list.map((one) => floatsOf(listOf(one)));
  const width = vectors[0]!.length;
  const values = new Float32Array(vectors.length * width);
  for (const [n, vector] of vectors.entries()) {
    if (vector.length !== width) throw other('its vectors of tokens are not of one length');
    values.set(vector, n * width);
  }
  return { kind: 'vector', values, dims: [vectors.length, width] };
}

function floatsOf(list: readonly unknown[]): Float32Array {
  return Float32Array.from(list, numberOf);
}

function listOf(shown: unknown): readonly unknown[] {
  if (Array.isArray(shown)) return shown;
  throw other('it answers otherwise than models of this task do');
}

function fieldsOf(shown: unknown): Readonly<Record<string, unknown>> {
  return typeof shown === 'object' && shown !== null ? (shown as Record<string, unknown>) : {};
}

/** As the shortest decimals of a float, which are read back as that float. */
function numberOf(shown: unknown): number {
  if (typeof shown === 'number') return Math.fround(shown);
  throw other('it answers otherwise than models of this task do');
}

function other(message: string): ShoalError {
  return new ShoalError('invalid_request', `the teacher is another model: ${message}`);
}
