export type { Architecture, BuildRequest } from './architectures/types.js';
export { Checkpoint, fileIn, openCheckpoint } from './checkpoint.js';
export { Matrix, stackRows } from './matrix.js';
export { type GraphKind, precisionOf } from './precision/dtype.js';
export { float32 } from './precision/float32.js';
export type { Precision } from './precision/types.js';
