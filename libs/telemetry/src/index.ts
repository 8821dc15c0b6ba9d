export { type AutoscaleReading, createAutoscaleMetrics } from './autoscale-metrics.js';
export { createFileMetrics } from './file-metrics.js';
export { formatLine, parseLine } from './format-line.js';
export { createGenerationMetrics, type GenerationMetrics } from './generation-metrics.js';
export { logRarely, rarely } from './log-rarely.js';
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export {
  type ApiMetrics,
  createApiMetrics,
  createWorkerMetrics,
  type WorkerMetrics,
} from './metrics.js';
export { openTracer } from './open-tracer.js';
export { type PrivateAnswer, type PrivateRoute, type PrivateServer, servePrivately } from './private-server.js';
export { createProcessMetrics } from './process-metrics.js';
export { listenToRedisErrors } from './redis-errors.js';
export type { Span, SpanAttributes, SpanOptions, Tracer } from './tracer.js';
export { VERSION } from './version.js';
export { type Backlog, createWebhookMetrics, type WebhookMetrics } from './webhook-metrics.js';
