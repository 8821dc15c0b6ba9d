/**
 * Streams of kept answers: whether one is asked for, and from where. How far the reader of a stream of answers has come: `<pieces>.<parts>`, the numbers of the last piece of a text and of the
 * last whole answer that it had, and an `r` behind them where it also had the rest of the next answer, but not its end.
 */
import { parse, ShoalError } from '@shoal/contracts';
import type { FollowPosition } from '@shoal/queue';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';

export interface TextPosition extends FollowPosition {
  readonly rest: boolean;
}

export function formatPosition(pieces: number, parts: number, rest = false): string {
  return `${pieces}.${parts}${rest ? 'r' : ''}`;
}

/** Null where the reader had nothing. @throws ShoalError `invalid_request` where the header is no id that a stream gives out. */
export function readTextPosition(lastEventId: string | undefined): TextPosition | null {
  if (lastEventId === undefined || lastEventId === '') return null;
  const [, pieces, parts, rest] = /^(\d{1,9})\.(\d{1,6})(r?)$/.exec(lastEventId) ?? [];
  if (pieces !== undefined) return { pieces: Number(pieces), parts: Number(parts), rest: rest === 'r' };
  const fault = { path: 'Last-Event-ID', message: 'give the id of the last event you had, or leave the header out' };
  throw new ShoalError('invalid_request', `${fault.path}: ${fault.message}`, { faults: [fault] });
}

const Flag = z.enum(['true', 'false']).transform((text) => text === 'true');
const StreamQuery = z.strictObject({ stream: Flag.optional(), include_usage: Flag.default(false) });

/** `?stream=true`, or what the reader accepts; `?include_usage=true`: the last event tells what the call took. */
export function readStreamQuery({ query, headers }: FastifyRequest): {
  readonly stream: boolean;
  readonly usage: boolean;
} {
  const { stream, include_usage } = parse(StreamQuery, { ...(query as object) });
  return { stream: stream ?? headers.accept?.includes('text/event-stream') === true, usage: include_usage };
}
