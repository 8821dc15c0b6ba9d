/**
 * How long commands may take. ioredis' own `commandTimeout` takes a Redis for silent whose answer came while this process stood
 * still (a busy machine, a long turn of its loop): timers are due before what has come is read.
 */
import type { Command, Redis } from 'ioredis';

/** Of the error of such a command, as ioredis words it. */
const LATE = 'Command timed out';

/** A command that is not answered within `ms` is rejected, see `isLate`; whether it took effect is unknown. */
export function limitCommands(redis: Redis, ms: number): void {
  // One that is sent again after a reconnect goes on with the time that it has, unless it was answered meanwhile: then it has a
  // promise anew (commands of a pipeline that a cluster has sent elsewhere).
  const timed = new WeakMap<Command, Promise<unknown>>();
  const send = redis.sendCommand.bind(redis);
  redis.sendCommand = (command, stream) => {
    const { promise } = command;
    if (timed.get(command) !== promise) {
      timed.set(command, promise);
      const timer = setTimeout(() => setImmediate(() => reject(command)), ms);
      const settled = () => clearTimeout(timer);
      promise.then(settled, settled);
    }
    return send(command, stream);
  };
}

/** Whether a command was not answered in time. */
export function isLate(error: unknown): boolean {
  return error instanceof Error && error.message === LATE;
}

function reject(command: Command): void {
  if (!command.isSettled) command.reject(new Error(LATE));
}
