/** Memory that engines may count on. */
import { totalmem } from 'node:os';

/** Of the process's memory: it takes some itself, and so do passes. */
const MODEL_SHARE = 0.9;

/** Bytes that models and their caches may take in this process where nothing else is said. */
export function memoryForModels(): number {
  return MODEL_SHARE * memoryOfProcess();
}

/** Bytes that this process may have: what its container says, else what the machine has. */
export function memoryOfProcess(): number {
  const limit = process.constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}
