/** ONNX Runtime for Node.js: sessions whose runs never block the event loop. Start with `openRuntime`. */
export { giveBack } from './give-back.js';
export { type OpenOptions, openRuntime } from './open.js';
export type {
  IoBinding,
  ModelMetadata,
  RunOptions,
  Runtime,
  Session,
  SessionOptions,
  Tensor,
  TensorInfo,
  Tensors,
  TypedArray,
} from './types.js';
