/** A graph that is looked at once: written, opened, and gone. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { sessionModel } from '@shoal/models';
import type { Runtime, Session } from '@shoal/onnxruntime';

/**
 * What `work` makes of a session of the graph that `write` writes to the path it is given, in a folder of its own in `folder`. All cores
 * work at one pass: nothing else is served meanwhile.
 *
 * @throws ShoalError where the graph does not load; what `work` throws
 */
export async function withGraph<T>(
  runtime: Runtime,
  folder: string,
  write: (path: string) => void,
  work: (session: Session) => Promise<T>,
): Promise<T> {
  const own = mkdtempSync(join(folder, '.graph-'));
  try {
    const path = join(own, 'model.onnx');
    write(path);
    const session = await runtime.createSession(sessionModel(path), { intraOpThreads: 0 });
    try {
      return await work(session);
    } finally {
      await session.release();
    }
  } finally {
    rmSync(own, { recursive: true, force: true });
  }
}
