/**
 * From looks at a job to the events that its reader has not had: queued, started, texts as they grow, the outputs of an array
 * in the order in which they were published, and its end. Pure: the same job gives the same events with the same ids on every replica,
 * so a reader that was cut off goes on anywhere.
 */
import { isTerminal, type JobRecord, ShoalError } from '@shoal/contracts';
import { type Presenter, summaryOf, viewOf } from '@shoal/models';
import type { FollowPosition, JobPart, JobPiece, JobProgress } from '@shoal/queue';
import type { StreamEvent } from '../http/event-stream.js';

/** Of the events beside outputs and texts, whose ids are numbers: `<parts>`, or `<parts>.<pieces>` where there are texts. */
const ID = { queued: 'queued', started: 'started', end: 'end' } as const;

/** What a reader has had. */
export interface Position extends FollowPosition {
  /** Of the states: nothing (0), queued (1), started (2), or all there is (3). */
  readonly stage: number;
}

/** @throws ShoalError `invalid_request` where the header is no id that this API gives out. */
export function readPosition(lastEventId: string | undefined): Position {
  const at = (stage: number, parts = 0, pieces = 0): Position => ({ stage, parts, pieces });
  if (lastEventId === undefined || lastEventId === '') return at(0);
  if (lastEventId === ID.queued) return at(1);
  if (lastEventId === ID.started) return at(2);
  if (lastEventId === ID.end) return at(3);
  const [, parts, pieces] = /^(0|[1-9]\d{0,8})(?:\.([1-9]\d{0,8}))?$/.exec(lastEventId) ?? [];
  if (parts !== undefined && (parts !== '0' || pieces !== undefined)) return at(2, Number(parts), Number(pieces ?? 0));
  const fault = { path: 'Last-Event-ID', message: 'give the id of the last event you had, or leave the header out' };
  throw new ShoalError('invalid_request', `${fault.path}: ${fault.message}`, { faults: [fault] });
}

/** Whether the reader has had all there will ever be. */
export function isAtEnd({ stage }: Position): boolean {
  return stage === 3;
}

export class JobEvents {
  readonly #presenter: Presenter | undefined;
  readonly #from: Position;
  #stage: number;
  /** The last part and piece that were looked at. */
  #parts: number;
  #pieces: number;
  /** Rows of an element that has not all of its rows yet (rerank), by element. */
  readonly #incomplete = new Map<number, JobPart[]>();

  constructor(presenter: Presenter | undefined, position: Position) {
    this.#presenter = presenter;
    this.#from = position;
    this.#stage = position.stage;
    this.#parts = position.parts;
    this.#pieces = position.pieces;
  }

  next({ record, parts, pieces }: Pick<JobProgress, 'record' | 'parts' | 'pieces'>): StreamEvent[] {
    const events: StreamEvent[] = [];
    const status = (id: keyof typeof ID, stage: number, data: unknown, type = `job.${id}`) => {
      if (this.#stage >= stage) return;
      this.#stage = stage;
      events.push({ id: ID[id], type, data });
    };
    status('queued', 1, { id: record.id, status: 'queued', created_at: timeOf(record.createdAt) });
    if (record.startedAt !== null) {
      status('started', 2, { id: record.id, status: 'running', started_at: timeOf(record.startedAt) });
    }
    for (const piece of pieces) {
      this.#pieces = Math.max(this.#pieces, piece.seq);
      if (piece.seq > this.#from.pieces) events.push({ id: this.#id(), type: 'job.text', data: textOf(record, piece) });
    }
    for (const part of parts) {
      this.#parts = Math.max(this.#parts, part.seq);
      const output = this.#take(record, part);
      if (output && part.seq > this.#from.parts) events.push({ id: this.#id(), type: 'job.output', data: output });
    }
    if (isTerminal(record.state) && (!record.meta.array || this.#parts >= record.done)) {
      const data = record.meta.array ? summaryOf(record) : viewOf(record, this.#presenter);
      status('end', 3, data, `job.${record.state}`);
    } else if (parts.length > 0) {
      events.push({ type: 'job.progress', data: { total: record.total, done: record.done, failed: record.failed } });
    }
    return events;
  }

  #id(): string {
    return this.#pieces > 0 ? `${this.#parts}.${this.#pieces}` : String(this.#parts);
  }

  /** The output of the element that this part completes, if it does. */
  #take(record: JobRecord, part: JobPart) {
    const { groups } = record.meta;
    const [element, size] = groups ? elementOf(groups, part.index) : [part.index, 1];
    const rows = [...(this.#incomplete.get(element) ?? []), part];
    if (rows.length < size) {
      this.#incomplete.set(element, rows);
      return undefined;
    }
    this.#incomplete.delete(element);
    rows.sort((a, b) => a.index - b.index);
    const shape = { ...record.meta, array: true, ...(groups && { groups: [size] }) };
    const shown = this.#presenter?.present(
      shape,
      rows.map(({ result }) => result),
    );
    const [error] = shown?.errors ?? [];
    const output = (shown?.output as unknown[] | undefined)?.[0] ?? null;
    return error ? { index: element, error: { ...error, index: element } } : { index: element, output };
  }
}

/** Which text of the job has grown: that of an element, and which of the answers to it. */
function textOf({ meta: { groups } }: JobRecord, { index, piece: { from, ids, text } }: JobPiece) {
  const [element, , choice] = groups ? elementOf(groups, index) : [index, 1, 0];
  return { index: element, choice, from, tokens: ids.length, text };
}

/** The element that a row belongs to, how many rows it has, and which of them this is. */
function elementOf(groups: readonly number[], row: number): [element: number, size: number, place: number] {
  let begin = 0;
  for (const [element, size] of groups.entries()) {
    if (row < begin + size) return [element, size, row - begin];
    begin += size;
  }
  throw new Error('a job has more rows than its elements');
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
