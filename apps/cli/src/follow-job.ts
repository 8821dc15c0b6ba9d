/** The events of a job as they come, through whatever cuts them off. */
import { setTimeout as wait } from 'node:timers/promises';
import { UserError } from '@shoal/tools/user-error';
import type { Server } from './server.js';
import { readEvents, type ServerEvent } from './server-sent-events.js';

/** Pause in ms before a stream that ended is opened again. */
const PAUSE_MS = 500;

/** What the last event of a job has as its id. */
const END = 'end';

/** Each event once, to the job's last. @throws UserError where there is no such job, or the server stays away */
export async function* followJob(server: Server, id: string, signal: AbortSignal): AsyncGenerator<ServerEvent, void> {
  let lastId: string | undefined;
  for (;;) {
    const headers = lastId === undefined ? {} : { 'last-event-id': lastId };
    const path = `/v1/jobs/${encodeURIComponent(id)}/events`;
    const { stream } = await server.ask('GET', path, { signal, headers, streams: true, good: [200, 204] });
    if (stream === undefined) return;
    try {
      for await (const event of readEvents(stream, lastId)) {
        lastId = event.lastId;
        yield event;
        if (lastId === END) return;
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof UserError) throw error;
      // It was cut off: what comes behind the last event is asked for.
    }
    await wait(PAUSE_MS, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}
