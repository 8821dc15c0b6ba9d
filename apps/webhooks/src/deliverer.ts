/** One attempt to deliver a message: who it goes to, what it holds, how it went, and when the next one is. */
import { JOBS, liveSecrets, type Message, type SealedSecret, type WebhookBackend } from '@shoal/queue';
import type { SpanOptions, Tracer, WebhookMetrics } from '@shoal/telemetry';
import { type Answer, nextPause, outcomeOf, type SecretBox, type Sender, send } from '@shoal/webhooks';
import type { Carried } from './dispatcher.js';
import { type PayloadSource, payloadOf } from './payload.js';

/**
 * Share of the time-out by which attempts differ: those that begin together, to receivers that are silent, would end together
 * and the next ones begin together, and whatever comes in between would wait for all of them.
 */
const SPREAD = 0.1;

export interface DelivererParts {
  readonly backend: Pick<WebhookBackend, 'endpoints' | 'messages' | 'tenantSecrets'>;
  readonly payloads: PayloadSource;
  readonly box: SecretBox;
  readonly sender: Sender;
  /** Pauses before each attempt, in ms. */
  readonly schedule: readonly number[];
  /** An endpoint that only failed for this long is disabled. */
  readonly disableAfterMs: number;
  /** In [0, 1). */
  readonly random: () => number;
  /** Ms of a clock that only goes forward, for durations. */
  readonly stopwatch: () => number;
  /** Told of secrets that are not there or cannot be opened. */
  readonly onSecretTrouble: (error: Error) => void;
  readonly metrics: WebhookMetrics;
  /** Undefined: attempts are not traced. */
  readonly tracer?: Tracer | undefined;
}

/** A message that is to be sent, and where to. */
export interface Addressed {
  readonly message: Message;
  readonly url: string;
  /** Plain, the newest first. */
  readonly secrets: readonly string[];
}

export interface Attempted {
  /** Unix ms; null where there is nothing more to do. */
  readonly nextAt: number | null;
  readonly timedOut: boolean;
}

export class Deliverer {
  readonly #parts: DelivererParts;

  constructor(parts: DelivererParts) {
    this.#parts = parts;
  }

  /** Null where nothing is to be sent: it is done, somebody else carries it, or its endpoint wants nothing any more. */
  async address({
    tenant,
    message: id,
    carrier,
  }: Pick<Carried, 'tenant' | 'message' | 'carrier'>): Promise<Addressed | null> {
    const { backend, sender } = this.#parts;
    const message = await backend.messages.find(tenant, id);
    if (message === null || message.state !== 'pending' || message.carrier !== carrier) return null;
    const now = sender.clock();
    if (message.destination === JOBS) {
      const { url = '', secret } = message.webhook ?? {};
      const own = secret === undefined ? liveSecrets(await backend.tenantSecrets(tenant), now) : [{ sealed: secret }];
      return { message, url, secrets: this.#open(own, tenant) };
    }
    const endpoint = await backend.endpoints.find(tenant, message.destination);
    if (endpoint === null || endpoint.disabled !== null) {
      await backend.messages.giveUp(message, now);
      this.#parts.metrics.messages.inc({ state: 'failed' });
      return null;
    }
    return { message, url: endpoint.url, secrets: this.#open(liveSecrets(endpoint.secrets, now), tenant) };
  }

  /** Empty where nothing can sign: such a message is not sent, and its attempt tells why. */
  #open(sealed: readonly Pick<SealedSecret, 'sealed'>[], tenant: string): string[] {
    const { box, onSecretTrouble } = this.#parts;
    try {
      if (sealed.length === 0) throw new Error(`there is no webhook secret of tenant ${tenant}`);
      return sealed.map((secret) => box.open(secret.sealed, tenant));
    } catch (error) {
      onSecretTrouble(error as Error);
      return [];
    }
  }

  async attempt({ message, url, secrets }: Addressed): Promise<Attempted> {
    const { payloads, sender, stopwatch, random, metrics, tracer } = this.#parts;
    const { body, trace } = await payloadOf(message, payloads);
    // A part of the job's trace, or of none: a process that begins traces of its own would not keep to the API's sampling.
    const span = trace === undefined ? undefined : tracer?.start(`deliver ${message.type}`, spanOf(message, trace));
    const at = sender.clock();
    const started = stopwatch();
    metrics.inFlight.inc();
    const timeoutMs = sender.timeoutMs * (1 - SPREAD * random());
    const answer = await send({ url, id: message.id, body, secrets }, { ...sender, timeoutMs });
    metrics.inFlight.dec();
    const durationMs = stopwatch() - started;
    metrics.attemptDuration.observe(durationMs / 1000);
    span?.end({
      attributes: { 'http.response.status_code': answer.status ?? undefined },
      ...(outcomeOf(answer) !== 'delivered' && { error: answer.error ?? 'refused' }),
    });
    const nextAt = await this.#record(message, answer, at, durationMs);
    return { nextAt, timedOut: answer.error === 'timeout' };
  }

  async #record(message: Message, answer: Answer, at: number, durationMs: number): Promise<number | null> {
    const { backend, schedule, disableAfterMs, random, sender, metrics } = this.#parts;
    const outcome = outcomeOf(answer);
    const failure = { throttled: outcome === 'throttled', retryAfterMs: answer.retryAfterMs };
    const final = outcome === 'delivered' || outcome === 'gone';
    const pause = final ? null : nextPause(schedule, message.step + 1, failure, random);
    const nextAt = pause === null ? null : sender.clock() + pause;
    const recorded = await backend.messages.record(
      message,
      {
        at,
        durationMs,
        status: answer.status,
        error: answer.error,
        reason: answer.reason,
        response: answer.body,
        outcome: outcome === 'delivered' ? 'delivered' : nextAt === null ? 'failed' : 'retry',
        gone: outcome === 'gone',
        nextAt,
      },
      disableAfterMs,
    );
    metrics.attempts.inc({ outcome: outcome === 'delivered' ? 'delivered' : (answer.error ?? 'refused') });
    if (recorded.disabled) {
      metrics.endpointsDisabled.inc();
      await backend.endpoints.noteDisabled(message.tenant, message.destination);
    }
    if (recorded.state === 'pending') return nextAt;
    if (recorded.state !== null) metrics.messages.inc({ state: recorded.state });
    return null;
  }
}

/** No URL: it may hold a secret. */
function spanOf({ id, job, attempts }: Message, parent: string): SpanOptions {
  return {
    kind: 'client',
    parent,
    attributes: { 'shoal.job.id': job ?? undefined, 'shoal.webhook.id': id, 'shoal.webhook.attempt': attempts + 1 },
  };
}
