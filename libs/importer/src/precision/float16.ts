/** Weights and arithmetic in 16-bit floats, for GPUs: half the memory. Sessions on the CPU widen them when they load. */
import { narrowModel } from '@shoal/onnx';
import { float32 } from './float32.js';
import type { Precision } from './types.js';

export const float16: Precision = { ...float32, name: 'fp16', finish: narrowModel };
