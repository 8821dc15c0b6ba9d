/** Answers of a model as a line each: for people, or as JSON. */
import type { Task } from '@shoal/contracts';
import type { Answer } from './predict-jobs.js';
import { jsonOf, printable } from './printable.js';

/** Labels and values of one answer that are shown. */
const [LABELS, VALUES] = [3, 4];

export function jsonLineOf({ input: { line }, output, fault }: Answer): string {
  if (fault === undefined) return jsonOf({ line, output });
  return jsonOf({ line, error: { code: fault.code, detail: fault.detail } });
}

/** `query`: whether the input is a document. What would move the cursor is left out. */
export function lineOf({ input, output }: Answer, task: Task, query: boolean): string {
  const shown = query
    ? `${sortable(scoreIn(output))}  ${String(input.value)}`
    : (SHOWN[task] ?? JSON.stringify)(output);
  return printable(shown).replaceAll('\n', '\\n');
}

export function textIn(output: unknown): string {
  const { text } = fieldsOf(output);
  return typeof text === 'string' ? text : JSON.stringify(output);
}

const SHOWN: Partial<Record<Task, (output: unknown) => string>> = {
  'text-classification': (output) => {
    const all = listOf(output).map(fieldsOf);
    const best = all.slice(0, LABELS).map(({ label, score }) => `${String(label)} ${figure(score)}`);
    return best.join('  ') + (all.length > LABELS ? '  ...' : '');
  },
  'feature-extraction': (output) => {
    const all = listOf(output);
    if (Array.isArray(all[0])) return `${all.length} vectors of ${all[0].length} values`;
    return `[${all.slice(0, VALUES).map(figure).join(', ')}${all.length > VALUES ? ', ...' : ''}]  ${all.length} values`;
  },
  rerank: (output) => {
    return listOf(output)
      .map(fieldsOf)
      .map(({ index, score }) => `document ${String(index)} ${figure(score)}`)
      .join('  ');
  },
  'token-classification': (output) => {
    const all = listOf(output).map(fieldsOf);
    if (all.length === 0) return 'no entities';
    return all.map(({ label, word, score }) => `${String(label)} ${String(word)} ${figure(score)}`).join('  ');
  },
  'text-generation': (output) => (Array.isArray(output) ? output.map(textIn).join(' | ') : textIn(output)),
};

function scoreIn(output: unknown): unknown {
  return fieldsOf(listOf(output)[0]).score;
}

/** As `sort -n` takes it. */
function sortable(score: unknown): string {
  return typeof score === 'number' ? score.toFixed(6) : String(score);
}

function figure(value: unknown): string {
  return typeof value === 'number' ? String(Number(value.toPrecision(4))) : String(value);
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
