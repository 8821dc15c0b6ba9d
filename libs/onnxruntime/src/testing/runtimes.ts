/** Runs a suite once for each implementation, so that both keep the same contract. */
import { afterAll, beforeAll, describe } from 'vitest';
import { openRuntime } from '../open.js';
import type { Runtime, Session, SessionOptions } from '../types.js';

export interface Subject {
  readonly runtime: Runtime;
  /** A session that is released when the suite ends. */
  readonly load: (model: string | Uint8Array, options?: SessionOptions) => Promise<Session>;
}

export function describeRuntimes(title: string, suite: (subject: Subject, kind: Runtime['kind']) => void): void {
  describe.each(['c-api', 'worker-thread'] as const)(`%s: ${title}`, (kind) => {
    let runtime: Runtime | undefined;
    const sessions: Session[] = [];
    beforeAll(async () => {
      runtime = await openRuntime({
        prefer: kind,
        log: (message) => {
          throw new Error(message);
        },
      });
    });
    afterAll(async () => {
      for (const session of sessions) await session.release();
    });
    const subject: Subject = {
      get runtime() {
        return runtime!;
      },
      async load(model, options) {
        const session = await runtime!.createSession(model, options);
        sessions.push(session);
        return session;
      },
    };
    suite(subject, kind);
  });
}

/** Why a promise was rejected, to look at in one piece. */
export function rejection(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}
