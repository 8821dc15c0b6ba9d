/** The page on the disk: whole at any moment, and nobody has to wait for the end of the run to read it. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { pageOf } from './page.js';
import type { RunState } from './types.js';

export function writeReport(path: string, state: RunState): void {
  const draft = `${path}.tmp`;
  try {
    writeFileSync(draft, pageOf(state));
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}
