export { formatLine, parseLine } from './format-line.js';
export { createLogger, type LogFields, type Logger, type LoggerOptions, type LogLevel } from './logger.js';
export {
  type ApiMetrics,
  createApiMetrics,
  createWorkerMetrics,
  type WorkerMetrics,
} from './metrics.js';
