/**
 * From looks at a job to the events that its reader has not had: queued, started, the outputs of an array in the order in
 * which they were published, and its end. Pure: the same job gives the same events with the same ids on every replica,
 * so a reader that was cut off goes on anywhere.
 */
import { isTerminal, type JobRecord, ShoalError } from '@shoal/contracts';
import { type Presenter, summaryOf, viewOf } from '@shoal/models';
import type { JobPart, JobProgress } from '@shoal/queue';
import type { StreamEvent } from '../http/event-stream.js';

/** Of the events beside outputs; an output's id is the number of the item that completed it. */
const ID = { queued: 'queued', started: 'started', end: 'end' } as const;

/** What a reader has had: nothing (−2), queued (−1), started (0), outputs up to a number, or all (infinity). */
export type Position = number;
const NOTHING = -2;

/** @throws ShoalError `invalid_request` where the header is no id that this API gives out. */
export function readPosition(lastEventId: string | undefined): Position {
  if (lastEventId === undefined || lastEventId === '') return NOTHING;
  if (lastEventId === ID.queued) return -1;
  if (lastEventId === ID.started) return 0;
  if (lastEventId === ID.end) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(lastEventId)) return Number(lastEventId);
  const fault = { path: 'Last-Event-ID', message: 'give the id of the last event you had, or leave the header out' };
  throw new ShoalError('invalid_request', `${fault.path}: ${fault.message}`, { faults: [fault] });
}

export class JobEvents {
  readonly #presenter: Presenter | undefined;
  #position: Position;
  /** The last part that was looked at. */
  #seen: number;
  /** Rows of an element that has not all of its rows yet (rerank), by element. */
  readonly #incomplete = new Map<number, JobPart[]>();

  constructor(presenter: Presenter | undefined, position: Position) {
    this.#presenter = presenter;
    this.#position = position;
    this.#seen = position;
  }

  next({ record, parts }: Pick<JobProgress, 'record' | 'parts'>): StreamEvent[] {
    const events: StreamEvent[] = [];
    const status = (id: keyof typeof ID, at: Position, data: unknown, type = `job.${id}`) => {
      if (this.#position >= at) return;
      this.#position = at;
      events.push({ id: ID[id], type, data });
    };
    status('queued', -1, { id: record.id, status: 'queued', created_at: timeOf(record.createdAt) });
    if (record.startedAt !== null) {
      status('started', 0, { id: record.id, status: 'running', started_at: timeOf(record.startedAt) });
    }
    for (const part of parts) {
      this.#seen = Math.max(this.#seen, part.seq);
      const output = this.#take(record, part);
      if (!output || part.seq <= this.#position) continue;
      this.#position = part.seq;
      events.push({ id: String(part.seq), type: 'job.output', data: output });
    }
    if (isTerminal(record.state) && (!record.meta.array || this.#seen >= record.done)) {
      const data = record.meta.array ? summaryOf(record) : viewOf(record, this.#presenter);
      status('end', Number.POSITIVE_INFINITY, data, `job.${record.state}`);
    } else if (parts.length > 0) {
      events.push({ type: 'job.progress', data: { total: record.total, done: record.done, failed: record.failed } });
    }
    return events;
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

/** The element that a row belongs to, and how many rows it has. */
function elementOf(groups: readonly number[], row: number): [element: number, size: number] {
  let end = 0;
  const element = groups.findIndex((size) => {
    end += size;
    return row < end;
  });
  return [element, groups[element]!];
}

function timeOf(ms: number): string {
  return new Date(ms).toISOString();
}
