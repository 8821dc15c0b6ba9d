/**
 * Who waits for which job in this process. Workers announce ended jobs on one channel that every replica hears; a waiter
 * registers first and reads the record after, and every (re)subscription wakes all waiters, so no ending is missed.
 */
import type { Redis } from 'ioredis';
import type { Inbox } from './inbox.js';
import { ENDED_CHANNEL, formatJobId, type JobId, movedChannel, textChannel } from './keys.js';
import { subscribe } from './redis.js';
import { parseMessage } from './text-log.js';

/** One wait, begun before the record is read. */
export interface Wake {
  /** Resolves when the job may have moved on, when the time is over, or when the signal aborts. */
  readonly promise: Promise<void>;
  /** Ends the wait within `ms` more. */
  within(ms: number): void;
  stop(): void;
}

/** Where text is told, but for the queue's name. */
const TEXT = textChannel('');

const channelsOf = (queue: string) => [movedChannel(queue), textChannel(queue)];

export class Waiters {
  readonly #subscriber: Redis;
  readonly #waiting = new Map<string, Set<() => void>>();
  /** Jobs that this process wrote and will wait for: whether they may have ended since before they were written. */
  readonly #watched = new Map<string, { ended: boolean }>();
  /** Queues of which jobs are followed while they run: only of these is there anything to hear between ends. */
  readonly #followed = new Map<string, { followers: number; subscribed: Promise<unknown> }>();
  readonly #inboxes = new Map<string, Set<Inbox>>();

  constructor(subscriber: Redis) {
    this.#subscriber = subscriber;
    subscriber.on('ready', () => this.#subscribe());
    if (subscriber.status === 'ready') void this.#subscribe();
    subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      const name = channel.toString();
      if (name.startsWith(TEXT)) this.#deliver(name.slice(TEXT.length), message);
      else this.#wake(message.toString('latin1').split(' '));
    });
  }

  async #subscribe(): Promise<void> {
    const channels = [ENDED_CHANNEL, ...[...this.#followed.keys()].flatMap(channelsOf)];
    // Else the connection broke again: its next `ready` subscribes anew.
    if (await subscribe(this.#subscriber, ...channels))
      this.#wake(new Set([...this.#watched.keys(), ...this.#waiting.keys(), ...this.#inboxes.keys()]));
  }

  /** From when it resolves, the inbox is told when the job starts, has new outputs or ends, and has the pieces of its answers. */
  async follow({ queue, ulid }: JobId, inbox: Inbox): Promise<void> {
    const id = formatJobId({ queue, ulid });
    this.#inboxes.set(id, (this.#inboxes.get(id) ?? new Set()).add(inbox));
    const followed = this.#followed.get(queue) ?? { followers: 0, subscribed: Promise.resolve() };
    this.#followed.set(queue, followed);
    followed.followers++;
    // While the connection is away, its next `ready` subscribes and wakes everyone.
    if (this.#subscriber.status !== 'ready') return;
    // The others share the first one's subscription.
    if (followed.followers === 1) followed.subscribed = subscribe(this.#subscriber, ...channelsOf(queue));
    await followed.subscribed;
  }

  unfollow({ queue, ulid }: JobId, inbox: Inbox): void {
    const id = formatJobId({ queue, ulid });
    const inboxes = this.#inboxes.get(id)!;
    inboxes.delete(inbox);
    if (inboxes.size === 0) this.#inboxes.delete(id);
    const followed = this.#followed.get(queue)!;
    followed.followers--;
    if (followed.followers > 0) return;
    this.#followed.delete(queue);
    if (this.#subscriber.status !== 'ready') return;
    this.#subscriber.unsubscribe(...channelsOf(queue)).catch(() => undefined);
  }

  /** From before a job is written: its ending is noticed even if nobody waits yet, so a later wait need not read first. */
  watch(id: string): void {
    this.#watched.set(id, { ended: false });
  }

  /** True where the job cannot have ended unnoticed. The watch is over. */
  endWatch(id: string): boolean {
    const watched = this.#watched.get(id);
    this.#watched.delete(id);
    return watched?.ended === false;
  }

  /** Calls `wake` whenever the job may have ended, until the returned function is called. */
  add(id: string, wake: () => void): () => void {
    const set = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, set.add(wake));
    return () => {
      set.delete(wake);
      // May be called again when others have begun to wait since: their set is another.
      if (set.size === 0 && this.#waiting.get(id) === set) this.#waiting.delete(id);
    };
  }

  nextWake(id: string, { ms, signal }: { readonly ms?: number; readonly signal?: AbortSignal | undefined }): Wake {
    let stop = () => {};
    const timers: NodeJS.Timeout[] = [];
    const within = (time: number) => void timers.push(setTimeout(() => stop(), Math.max(0, time)));
    const promise = new Promise<void>((resolve) => {
      const forget = this.add(id, () => stop());
      const onAbort = () => stop();
      signal?.addEventListener('abort', onAbort, { once: true });
      stop = () => {
        for (const timer of timers) clearTimeout(timer);
        forget();
        signal?.removeEventListener('abort', onAbort);
        resolve();
      };
    });
    if (ms !== undefined) within(ms);
    if (signal?.aborted) stop();
    return { promise, within, stop: () => stop() };
  }

  /** Pieces of answers, to those who follow them here. */
  #deliver(queue: string, message: Buffer): void {
    const inboxesOf = (ulid: string) => this.#inboxes.get(formatJobId({ queue, ulid }));
    for (const { ulid, bytes, ...piece } of parseMessage(message, (ulid) => inboxesOf(ulid) !== undefined)) {
      for (const inbox of inboxesOf(ulid)!) inbox.add(piece, bytes);
    }
  }

  #wake(ids: Iterable<string>): void {
    for (const id of ids) {
      const watched = this.#watched.get(id);
      if (watched) watched.ended = true;
      for (const wake of [...(this.#waiting.get(id) ?? [])]) wake();
      for (const inbox of this.#inboxes.get(id) ?? []) inbox.move();
    }
  }
}
