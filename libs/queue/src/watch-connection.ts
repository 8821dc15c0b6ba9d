/**
 * A connection watches itself: where the other side has gone without a word (no FIN, no RST: a machine that is gone, a table
 * of a router that was emptied), commands and messages would be waited for until the kernel gives up, which takes 15
 * minutes. So who hears nothing asks, and who is not answered is closed; ioredis connects again.
 */
import type { Redis } from 'ioredis';
import { ReadOnlyError } from './primary-connector.js';

/** Looks at a connection in the time that it may be silent. Counted, not timed: a process that stood still heard nothing. */
const TURNS = 3;
/** A large command on a slow line is on its way for longer than an answer may take. */
const SENDING_TURNS = 9;

export interface WatchOptions {
  /**
   * How long nothing may be heard; after a third of it the server is asked. More than a command may block: nothing else is
   * answered meanwhile.
   */
  readonly silenceMs: number;
  /** Whether it has to be a primary; nodes of a Cluster may be either. */
  readonly primary: boolean;
}

/** From now until it is closed for good, over all reconnects. */
export function watchConnection(redis: Redis, { silenceMs, primary }: WatchOptions): void {
  let timer: NodeJS.Timeout | undefined;
  redis.on('connect', () => {
    clearInterval(timer);
    const { stream } = redis;
    let bytes = 0;
    let silent = 0;
    timer = setInterval(() => {
      silent = stream.bytesRead > bytes ? 0 : silent + 1;
      bytes = stream.bytesRead;
      const patience = stream.writableLength > 0 ? SENDING_TURNS : TURNS;
      if (silent >= patience) stream.destroy(new Error(`Redis was silent for ${silenceMs / 1000} s`));
      else if (silent === 1 && redis.status === 'ready') void ask(redis, primary);
    }, silenceMs / TURNS);
    timer.unref();
  });
  redis.on('close', () => clearInterval(timer));
  redis.on('error', (error: Error & { command?: { readonly name: string } }) => {
    // ioredis would go on, in database 0.
    if (error.command?.name === 'select') redis.disconnect(true);
  });
}

/** The answer shows that there is one, and whether it is still a primary that gives it: who only listens, is not told. */
async function ask(redis: Redis, primary: boolean): Promise<void> {
  const info = await redis.info('replication').catch(() => '');
  if (!primary || !/^role:slave/m.test(info)) return;
  redis.emit('error', new ReadOnlyError());
  redis.disconnect(true);
}
