export { createEncoder } from './encoder.js';
export { shortestArray } from './numbers/shortest.js';
export { type ModelProblem, openRepository, type Repository } from './repository/repository.js';
export { loadRunner } from './runner.js';
export type { SessionPort, SessionTensor, TensorData } from './session.js';
export type {
  EncodedInput,
  EncodeRequest,
  Encoder,
  ItemResult,
  Model,
  ModelRunner,
  Pooling,
  Presented,
  Row,
  ScoreFunction,
  TextDetails,
} from './types.js';
