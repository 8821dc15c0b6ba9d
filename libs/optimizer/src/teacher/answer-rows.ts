/** Outputs of one page as rows of floats: what is kept on the disk, and what travels between processes. */
import { ShoalError, type TextItem, type WireOutput } from '@shoal/contracts';

/**
 * `scores`: one per class, in the order of classes; `vectors`: one per token; `entities`: label, score, start and end of each, whole
 * numbers that floats hold exactly, since texts have 1,048,576 characters at most.
 */
export const ROW_KINDS = ['scores', 'score', 'vector', 'vectors', 'entities'] as const;
export type RowKind = (typeof ROW_KINDS)[number];

export interface AnswerRows {
  readonly kind: RowKind;
  /** Floats of a row. */
  readonly width: number;
  /** [questions]: rows of each; 1 but of `vectors` and `entities`. */
  readonly counts: Uint32Array;
  /** [sum of counts, width] */
  readonly values: Float32Array;
}

/**
 * Outputs of one page, which are all of one kind and width.
 *
 * @throws ShoalError `internal_error` where they are not, or are of a kind that no student learns from
 */
export function rowsOfOutputs(outputs: readonly WireOutput[]): AnswerRows {
  const parts = outputs.map(partOf);
  const [first = { kind: 'vector', width: 0, values: new Float32Array() } as const] = parts;
  const { kind, width } = first;
  const values = new Float32Array(parts.reduce((sum, part) => sum + part.values.length, 0));
  let at = 0;
  const counts = Uint32Array.from(parts, (part) => {
    if (part.kind !== kind || part.width !== width) {
      throw new ShoalError(
        'internal_error',
        `the teacher answered with ${part.kind} of ${part.width} beside ${kind} of ${width}`,
      );
    }
    values.set(part.values, at);
    at += part.values.length;
    return width === 0 ? 0 : part.values.length / width;
  });
  return { kind, width, counts, values };
}

interface Part {
  readonly kind: RowKind;
  readonly width: number;
  readonly values: Float32Array;
}

function partOf(output: WireOutput): Part {
  switch (output.kind) {
    case 'scores': {
      const { indices, scores } = output;
      const values = new Float32Array(scores.length);
      for (const [n, index] of indices.entries()) values[index] = scores[n]!;
      return { kind: 'scores', width: scores.length, values };
    }
    case 'score':
      return { kind: 'score', width: 1, values: Float32Array.of(output.score) };
    case 'vector': {
      const { values, dims } = output;
      const [width] = dims.slice(-1);
      return { kind: dims.length === 1 ? 'vector' : 'vectors', width: width ?? 0, values };
    }
    case 'entities': {
      const fields = output.entities.flatMap(({ label, score, start, end }) => [label, score, start, end]);
      return { kind: 'entities', width: 4, values: Float32Array.from(fields) };
    }
    default:
      throw new ShoalError('internal_error', `the teacher answered with ${output.kind}, which no student learns from`);
  }
}

/** One output for each question, whose tokens and text are `items`. They share the memory of the rows. */
export function outputsOfRows({ kind, width, counts, values }: AnswerRows, items: readonly TextItem[]): WireOutput[] {
  const classes = kind === 'scores' ? Uint32Array.from({ length: width }, (_, index) => index) : new Uint32Array();
  let from = 0;
  return Array.from(counts, (count, n): WireOutput => {
    const own = values.subarray(from, from + count * width);
    from += count * width;
    if (kind === 'scores') return { kind, indices: classes, scores: own };
    if (kind === 'score') return { kind, score: own[0]! };
    if (kind === 'entities') return entitiesIn(own, items[n]!);
    return { kind: 'vector', values: own, dims: kind === 'vector' ? [width] : [count, width] };
  });
}

function entitiesIn(values: Float32Array, { text = '' }: TextItem): WireOutput {
  const entities = Array.from({ length: values.length / 4 }, (_, n) => {
    const [label, score, start, end] = values.subarray(4 * n, 4 * n + 4);
    return { label: label!, score: score!, start: start!, end: end!, word: text.slice(start, end) };
  });
  return { kind: 'entities', entities };
}
