/** What a session is made from: the ONNX file itself, or what the device needs instead. */
import { isHalf, loadModel, serialiseModel, widenModel } from '@shoal/onnx';

/** Protobuf's limit for a model in memory, less room for what is not weights. */
const MAX_BYTES = 2 ** 31 - 64 * 1024 * 1024;

/**
 * For the CPU, a model that computes in 16-bit floats becomes one of 32-bit floats, exactly and in memory: few of ONNX
 * Runtime's CPU kernels take 16 bits, and it would convert around all the others in each pass. (It does so, with the same
 * answers, where the model is too large for that.)
 *
 * @throws ShoalError `model_invalid` where `path` is no usable ONNX file
 */
export function sessionModel(path: string, device = 'cpu'): string | Uint8Array {
  if (device !== 'cpu') return path;
  const model = loadModel(path);
  if (!isHalf(model)) return path;
  widenModel(model);
  const bytes = [...model.graph.initializers.values()].reduce((sum, { data }) => sum + data.byteLength, 0);
  return bytes > MAX_BYTES ? path : serialiseModel(model);
}
