/** What webhooks keep in Redis, as callers of this lib see it. */
import type { AttemptError, DisabledReason, WebhookEvent } from '@shoal/contracts';

/** Which kinds of events of a job go to the outbox. */
export interface EventFilter {
  readonly started: boolean;
  readonly output: boolean;
  readonly ended: boolean;
}

/** A secret that signs, sealed. `until` in Unix ms; null for the one in use. */
export interface SealedSecret {
  readonly sealed: string;
  readonly until: number | null;
}

export interface Endpoint {
  readonly id: string;
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  readonly description: string;
  readonly disabled: DisabledReason | null;
  readonly createdAt: number;
  /** The newest first. */
  readonly secrets: readonly SealedSecret[];
}

export type NewEndpoint = Pick<Endpoint, 'url' | 'events' | 'description' | 'disabled'> & { readonly sealed: string };
export type EndpointChanges = Partial<Pick<Endpoint, 'url' | 'events' | 'description' | 'disabled'>>;

/** Where messages of a job's own webhook go, in the place of an endpoint's id. */
export const JOBS = 'jobs';

export type MessageState = 'pending' | 'delivered' | 'failed' | 'superseded';

export interface NewMessage {
  readonly id: string;
  readonly tenant: string;
  /** An endpoint's id, or `JOBS`. */
  readonly destination: string;
  /** Id of the delivery that carries it: others leave it alone. */
  readonly carrier: string;
  /** `job.completed` ... */
  readonly type: string;
  /** Null for a test. */
  readonly job: string | null;
  /** Of the job's events, from 1. */
  readonly sequence: number;
  /** When it happened, in Unix ms. */
  readonly at: number;
  /** Where `destination` is `JOBS`: the job may be gone before the message is delivered. */
  readonly webhook?: { readonly url: string; readonly secret?: string };
}

export interface Message extends NewMessage {
  readonly state: MessageState;
  /** All that were made. */
  readonly attempts: number;
  /** Attempts since it was last (re)played: where it stands in the schedule. */
  readonly step: number;
}

/** What became of one attempt. */
export interface AttemptResult {
  readonly at: number;
  readonly durationMs: number;
  readonly status: number | null;
  readonly error: AttemptError | null;
  /** What is behind `error`, in words. */
  readonly reason: string | null;
  readonly response: string;
  readonly outcome: 'delivered' | 'retry' | 'failed';
  /** The receiver answered 410. */
  readonly gone: boolean;
  /** Unix ms; null where none follows. */
  readonly nextAt: number | null;
}

export interface LoggedAttempt extends Omit<AttemptResult, 'outcome' | 'gone'> {
  readonly id: string;
  readonly message: string;
  readonly event: string;
  readonly job: string | null;
  readonly attempt: number;
  readonly delivered: boolean;
}

export interface AttemptPage {
  readonly attempts: readonly LoggedAttempt[];
  readonly next: string | null;
}

/** An event of a job as a queue's script left it. */
export interface OutboxEntry {
  readonly id: string;
  readonly queue: string;
  readonly tenant: string;
  readonly job: string;
  readonly type: WebhookEvent;
  readonly sequence: number;
  readonly at: number;
}

/** What the API asks the process that delivers to do. */
export type WebhookTask = { readonly tenant: string; readonly endpoint: string } & (
  | { readonly kind: 'test'; readonly message: string; readonly at: number }
  | { readonly kind: 'replay'; readonly message: string }
  | { readonly kind: 'recover'; readonly since: number }
);

export interface QueuedTask {
  readonly id: string;
  readonly task: WebhookTask;
}
