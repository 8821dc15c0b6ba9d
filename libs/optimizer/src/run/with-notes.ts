/** A run has the folder of its model for itself, where it notes what came of its trials. */
import { join } from 'node:path';
import { Journal } from '../journal/journal.js';
import { type FolderLock, lockFolder } from '../journal/lock.js';
import type { OptimizeContext } from './types.js';

export interface Notes {
  readonly journal: Journal;
  /** Lost where another run has taken over: nothing is written from then on. */
  readonly lock: FolderLock;
}

/** @throws ShoalError where another run has it; as `work` does; what writing throws */
export async function withNotes<T>(
  folder: string,
  { say, signal, now }: Pick<OptimizeContext, 'say' | 'signal' | 'now'>,
  work: (notes: Notes) => Promise<T>,
): Promise<T> {
  const lock = await lockFolder(folder, { say, signal, now });
  try {
    const journal = new Journal(join(folder, 'journal.jsonl'), () => lock.check());
    try {
      if (journal.unread > 0) {
        say(`${journal.unread} lines of the journal cannot be read: their trials are done anew.`);
      }
      return await work({ journal, lock });
    } finally {
      journal.close();
    }
  } finally {
    lock.unlock();
  }
}
