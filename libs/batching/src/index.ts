export { BATCH_OVERHEAD_MS, type CalibrateOptions, calibrate, type Measurement, type PassCost } from './calibrate.js';
export { type Clock, systemClock } from './clock.js';
export { type Batch, type BatchedItem, MicroBatcher, type MicroBatcherOptions, NotStarted } from './micro-batcher.js';
export { type BatchLimits, type Candidate, paddedShare, selectBatch } from './policy.js';
export { type Gate, type Place, RunGate, type RunGateOptions } from './run-gate.js';
export { runSplitting } from './split.js';
