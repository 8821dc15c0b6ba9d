/** Messages: what is to be delivered, how far each one is, and the log of attempts that an endpoint's owner can read. */
import type { AttemptError } from '@shoal/contracts';
import type { RedisClient } from '../redis.js';
import { script } from '../scripts.js';
import { tenantTag } from './keys.js';
import {
  type AttemptPage,
  type AttemptResult,
  JOBS,
  type LoggedAttempt,
  type Message,
  type MessageState,
  type NewMessage,
} from './types.js';

/** A message is kept this long after its last attempt. */
const KEEP_MS = 7 * 24 * 3600_000;
/** What one endpoint's log of attempts may hold: an answer is up to 20,000 bytes, most are a few. */
const LOG_ENTRIES = 1000;
const LOG_BYTES = 2 * 1024 * 1024;
/** Entries of the log that are looked through at once. */
const PAGE = 200;

type AddReply = [created: 0 | 1, pending: number, superseded: number, dropped: string[]];
type ReplayReply = [created: 0 | 1, pending: number, dropped: string[]];

const addScript = script<AddReply>('webhooks/add.lua');
const recordScript = script<[state: MessageState | '', disabled: string]>('webhooks/record.lua');
const replayScript = script<ReplayReply>('webhooks/replay.lua');

/** What a message that is to be delivered did to its tenant's others. */
export interface Scheduled {
  /** False where nothing was to be done. */
  readonly created: boolean;
  /** Messages of the tenant that are not settled. */
  readonly pending: number;
  /** Carriers of messages that are not to be delivered any more. */
  readonly dropped: readonly string[];
}

export interface Added extends Scheduled {
  readonly superseded: number;
}

export interface Recorded {
  /** Null where the message is not there any more. */
  readonly state: MessageState | null;
  /** True where this attempt disabled its endpoint. */
  readonly disabled: boolean;
}

export class Messages {
  readonly #redis: RedisClient;

  constructor(redis: RedisClient) {
    this.#redis = redis;
  }

  /** Does nothing where the message is there. `ends`: it is its job's last one, and supersedes the others. */
  async add(message: NewMessage, ends: boolean): Promise<Added> {
    const { id, tenant, destination, carrier, type, job, sequence, at, webhook } = message;
    const [created, pending, superseded, dropped] = await addScript(this.#redis, tenantTag(tenant), [
      id,
      destination,
      carrier,
      KEEP_MS,
      ends ? '1' : '0',
      job ?? '',
      at,
      'type',
      type,
      'sequence',
      sequence,
      ...(webhook ? ['url', webhook.url] : []),
      ...(webhook?.secret ? ['secret', webhook.secret] : []),
    ]);
    return { created: created === 1, pending, superseded, dropped };
  }

  async find(tenant: string, id: string): Promise<Message | null> {
    const fields = await this.#redis.hgetall(`${tenantTag(tenant)}:message:${id}`);
    return fields.state === undefined ? null : parseMessage(tenant, id, fields);
  }

  /** An endpoint that has only failed for `disableAfterMs` is disabled by this. */
  async record(
    message: Pick<Message, 'id' | 'tenant' | 'carrier'>,
    result: AttemptResult,
    disableAfterMs: number,
  ): Promise<Recorded> {
    const { id, tenant, carrier } = message;
    const { at, durationMs, status, error, reason, response, outcome, gone, nextAt } = result;
    const keepMs = KEEP_MS + Math.max(0, (nextAt ?? at) - at);
    const head = [id, carrier, outcome, keepMs, at, disableAfterMs, gone ? '1' : '0', LOG_ENTRIES, LOG_BYTES];
    const log = ['at', at, 'took', Math.round(durationMs), 'delivered', outcome === 'delivered' ? 1 : 0];
    log.push(
      'status',
      status ?? '',
      'error',
      error ?? '',
      'reason',
      reason ?? '',
      'response',
      response,
      'next',
      nextAt ?? '',
    );
    const [state, disabled] = await recordScript(this.#redis, tenantTag(tenant), [...head, ...log]);
    return { state: state || null, disabled: disabled !== '' };
  }

  /** Gives a message up without an attempt. `now` in Unix ms. */
  async giveUp({ id, tenant, carrier }: Pick<Message, 'id' | 'tenant' | 'carrier'>, now: number): Promise<void> {
    const args = [id, carrier, 'failed', KEEP_MS, now, 0, '0', 0, 0];
    await recordScript(this.#redis, tenantTag(tenant), args);
  }

  /** Not created where the endpoint has no such message. */
  async replay(tenant: string, endpoint: string, id: string, carrier: string): Promise<Scheduled> {
    const args = [id, endpoint, carrier, KEEP_MS];
    const [created, pending, dropped] = await replayScript(this.#redis, tenantTag(tenant), args);
    return { created: created === 1, pending, dropped };
  }

  /** Messages that were given up, of events since `since` in Unix ms, the oldest first. */
  failedSince(tenant: string, endpoint: string, since: number): Promise<string[]> {
    return this.#redis.zrangebyscore(`${tenantTag(tenant)}:failed:${endpoint}`, since, '+inf');
  }

  /** The newest first; `cursor` from the `next` of the page before. */
  async attempts(
    tenant: string,
    endpoint: string,
    { limit, cursor, message }: { readonly limit: number; readonly cursor?: string; readonly message?: string },
  ): Promise<AttemptPage> {
    const key = `${tenantTag(tenant)}:attempts:${endpoint}`;
    const attempts: LoggedAttempt[] = [];
    let before = cursor === undefined ? '+' : `(${cursor}`;
    for (;;) {
      const entries = await this.#redis.xrevrange(key, before, '-', 'COUNT', PAGE);
      for (const [id, fields] of entries) {
        if (attempts.length === limit) return { attempts, next: attempts.at(-1)!.id };
        before = `(${id}`;
        const attempt = parseAttempt(id, fields);
        if (message === undefined || attempt.message === message) attempts.push(attempt);
      }
      if (entries.length < PAGE) return { attempts, next: null };
    }
  }
}

function parseMessage(tenant: string, id: string, fields: Record<string, string>): Message {
  const { url, secret, job } = fields;
  return {
    id,
    tenant,
    destination: fields.destination ?? JOBS,
    carrier: fields.carrier ?? '',
    type: fields.type ?? '',
    job: job || null,
    sequence: Number(fields.sequence),
    at: Number(fields.at),
    state: fields.state as MessageState,
    attempts: Number(fields.attempts),
    step: Number(fields.step),
    ...(url !== undefined && { webhook: { url, ...(secret !== undefined && { secret }) } }),
  };
}

function parseAttempt(id: string, list: readonly string[]): LoggedAttempt {
  const fields: Record<string, string> = {};
  for (let n = 0; n < list.length; n += 2) fields[list[n]!] = list[n + 1]!;
  const number = (text: string | undefined) => (text ? Number(text) : null);
  return {
    id,
    message: fields.message ?? '',
    event: fields.event ?? '',
    job: fields.job || null,
    attempt: Number(fields.attempt),
    at: Number(fields.at),
    durationMs: Number(fields.took),
    delivered: fields.delivered === '1',
    status: number(fields.status),
    error: (fields.error || null) as AttemptError | null,
    reason: fields.reason || null,
    response: fields.response ?? '',
    nextAt: number(fields.next),
  };
}
