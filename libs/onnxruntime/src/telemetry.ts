/**
 * The released libraries of ONNX Runtime 1.30 report to Microsoft: a persistent device id, the process, its models, its
 * errors (microsoft/onnxruntime#27379). Beyond the privacy of it, the thread that uploads can hang the process on exit, and
 * where it reaches nobody every failed run leaves some 4 KiB behind. They look at this variable once, when first used.
 */
export function disableTelemetry(): void {
  // biome-ignore lint/style/noProcessEnv: written, not read; the library takes this choice from nowhere else.
  process.env.ORT_DISABLE_TELEMETRY = '1';
}
