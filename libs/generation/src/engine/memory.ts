/** Memory that an engine may count on. */
import { totalmem } from 'node:os';

/** Bytes that this process may have: what its container says, else what the machine has. */
export function memoryOfProcess(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
