export { type CalibrateOptions, calibrate, type Measurement, type PassCost } from './calibrate.js';
export {
  type Batch,
  type Clock,
  MicroBatcher,
  type MicroBatcherOptions,
  NotStarted,
  systemClock,
} from './micro-batcher.js';
export { type BatchLimits, type Candidate, paddedShare, selectBatch } from './policy.js';
export { RunGate } from './run-gate.js';
export { runSplitting } from './split.js';
