export { formatLine, parseLine } from './format-line.js';
export { logRarely } from './log-rarely.js';
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export {
  type ApiMetrics,
  createApiMetrics,
  createWorkerMetrics,
  type WorkerMetrics,
} from './metrics.js';
export { type PrivateServer, servePrivately } from './private-server.js';
export { createWebhookMetrics, type WebhookMetrics } from './webhook-metrics.js';
