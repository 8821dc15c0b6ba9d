/** From the objects of a user's file to examples of one form. */
import { describeIssue, nearestNames, type Task } from '@shoal/contracts';
import { tagOf } from '@shoal/models';
import { z } from 'zod';
import type { Example } from '../types.js';
import { badData } from './bad-data.js';
import { type DataRecord, isCsv } from './records.js';

/** More documents of one query than this would not fit into one request together with it. */
const MOST_DOCUMENTS = 500;

export const FORMS =
  'every line {"text"}, {"text", "label"}, {"query", "document"}, {"query", "document", "grade"}, ' +
  '{"query", "documents": [{"text", "grade"}]} or {"text", "entities": [{"start", "end", "label"}]}';

const CSV_FORMS = 'text, or text,label, or query,document, or query,document,grade';
/** Of a column, as people name one: without a header it may be a text, which is not shown. */
const TITLE = /^[\p{L}\p{N}_.-]{1,32}$/u;

/** What the labels of a file are held against. */
export interface LabelledModel {
  readonly task: Task;
  readonly labels: readonly string[];
}

export interface ReadExample {
  readonly example: Example;
  /** Of its first line. */
  readonly line: number;
}

const Text = z.string().refine((value) => value.trim() !== '', 'must not be empty');
const Label = z.string().trim().min(1, 'must not be empty');
/** In CSV it is a text. */
const Grade = z
  .union(
    [
      z.number(),
      z
        .string()
        .regex(/^\s*\d+(\.\d+)?\s*$/)
        .transform(Number),
    ],
    { error: 'must be a number from 0' },
  )
  .refine((value) => value >= 0, 'must be a number from 0');
const Place = z
  .object({ start: z.int().min(0), end: z.int().min(1), label: Label })
  .refine(({ start, end }) => start < end, 'must end behind its start');

const SCHEMAS = {
  text: z.object({ text: Text, label: z.string().trim().nullish() }),
  pair: z.object({ query: Text, document: Text }),
  graded: z.object({ query: Text, document: Text, grade: Grade }),
  ranking: z.object({
    query: Text,
    documents: z
      .array(z.object({ text: Text, grade: Grade }))
      .min(2)
      .max(MOST_DOCUMENTS),
  }),
  entities: z
    .object({ text: Text, entities: z.array(Place) })
    .refine((line) => line.entities.every(({ end }) => end <= line.text.length), 'has an entity behind its end'),
} as const;
type Form = keyof typeof SCHEMAS;

export interface ReadExamples {
  readonly read: readonly ReadExample[];
  /** Names of the first line's fields that the form does not have. */
  readonly unused: readonly string[];
}

/**
 * Every line of one form; rows of a query and one graded document are grouped by query.
 *
 * @throws ShoalError `invalid_request` naming file and line
 */
export function examplesOf(
  name: string,
  records: readonly DataRecord[],
  model: LabelledModel | undefined,
): ReadExamples {
  const [first] = records;
  if (first === undefined) throw badData(`${name} is empty: give ${FORMS}`);
  const form = formOf(first.value);
  if (form === undefined) throw unknownForm(name, first);
  for (const { line, value } of records) {
    if (formOf(value) === form) continue;
    throw badData(`${name}: line ${line} is of another form than line ${first.line}: give ${FORMS}`);
  }
  const read = form === 'graded' ? grouped(name, records) : records.map((record) => exampleOf(name, form, record));
  for (const { example, line } of read) if (example.kind === 'ranking') checkGrades(name, line, example.documents);
  checkLabels(name, read, model);
  return { read, unused: Object.keys(first.value).filter((field) => !Object.hasOwn(SCHEMAS[form].shape, field)) };
}

function unknownForm(name: string, { line, value }: DataRecord): Error {
  if (!isCsv(name)) return badData(`${name}: line ${line} has none of the forms that are known: ${FORMS}`);
  const titles = Object.keys(value);
  const has = titles.every((title) => TITLE.test(title))
    ? `the header has ${someOf(titles)}`
    : 'the first line is no header';
  return badData(`${name}: ${has}; it takes ${CSV_FORMS}`);
}

function formOf(value: Readonly<Record<string, unknown>>): Form | undefined {
  const has = (field: string) => Object.hasOwn(value, field);
  if (has('query')) {
    if (has('documents')) return 'ranking';
    return has('document') ? (has('grade') ? 'graded' : 'pair') : undefined;
  }
  if (!has('text')) return undefined;
  return has('entities') ? 'entities' : 'text';
}

function exampleOf(name: string, form: Exclude<Form, 'graded'>, record: DataRecord): ReadExample {
  const { line } = record;
  if (form === 'text') {
    const { text, label } = check(name, SCHEMAS.text, record);
    return { line, example: label ? { kind: 'text', text, label } : { kind: 'text', text } };
  }
  if (form === 'pair') return { line, example: { kind: 'pair', ...check(name, SCHEMAS.pair, record) } };
  if (form === 'ranking') return { line, example: { kind: 'ranking', ...check(name, SCHEMAS.ranking, record) } };
  return { line, example: { kind: 'entities', ...check(name, SCHEMAS.entities, record) } };
}

function grouped(name: string, records: readonly DataRecord[]): readonly ReadExample[] {
  const queries = new Map<string, { readonly line: number; readonly documents: { text: string; grade: number }[] }>();
  for (const record of records) {
    const { query, document, grade } = check(name, SCHEMAS.graded, record);
    const group = queries.get(query) ?? { line: record.line, documents: [] };
    queries.set(query, group);
    group.documents.push({ text: document, grade });
    if (group.documents.length <= MOST_DOCUMENTS) continue;
    throw badData(`${name}: line ${record.line} is of a query that has more than ${MOST_DOCUMENTS} documents`);
  }
  return [...queries].map(([query, { line, documents }]) => ({
    line,
    example: { kind: 'ranking', query, documents },
  }));
}

/** Fields that the form does not have are left out. */
function check<T extends z.ZodType>(name: string, schema: T, { line, value }: DataRecord): z.output<T> {
  const result = schema.safeParse(value, { error: describeIssue });
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badData(`${name}: line ${line}: ${[issue?.path.join('.'), issue?.message].filter(Boolean).join(' ')}`);
}

function checkGrades(name: string, line: number, documents: readonly { readonly grade: number }[]): void {
  const grades = new Set(documents.map(({ grade }) => grade));
  if (grades.size > 1) return;
  throw badData(
    `${name}: the query of line ${line} has ${documents.length === 1 ? 'one document' : 'documents of one grade'}: no order of them is better than another`,
  );
}

function checkLabels(name: string, read: readonly ReadExample[], model: LabelledModel | undefined): void {
  const [first] = read;
  const reference = first?.example;
  const labels = new Set<string>();
  for (const { example, line } of read) {
    if (example.kind === 'entities') {
      for (const { label } of example.entities) checkLabel(name, line, label, tagsOf(model));
    }
    if (example.kind !== 'text' || reference?.kind !== 'text') continue;
    if ((example.label === undefined) !== (reference.label === undefined)) {
      const has = example.label === undefined ? 'has no label' : 'has a label';
      throw badData(`${name}: line ${line} ${has}, unlike line ${first!.line}: give every line one, or none`);
    }
    if (example.label === undefined) continue;
    labels.add(example.label);
    checkLabel(name, line, example.label, model?.task === 'text-classification' ? model.labels : []);
  }
  if (labels.size !== 1 || read.length === 1) return;
  throw badData(`${name}: every line has the same label: nothing can be told apart by it`);
}

function tagsOf(model: LabelledModel | undefined): readonly string[] {
  return model?.task === 'token-classification' ? [...new Set(model.labels.map(tagOf))] : [];
}

/** `known`: empty where nobody knows. */
function checkLabel(name: string, line: number, label: string, known: readonly string[]): void {
  if (known.length === 0 || known.includes(label)) return;
  const near = nearestNames(label, known);
  const meant = near.length > 0 ? `did you mean ${near.join(' or ')}?` : `it has ${someOf(known)}`;
  throw badData(`${name}: line ${line}: the model has no label ${JSON.stringify(label)}; ${meant}`);
}

function someOf(names: readonly string[]): string {
  return names.length <= 8 ? names.join(', ') : `${names.slice(0, 8).join(', ')} and ${names.length - 8} more`;
}
