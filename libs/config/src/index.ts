export { exitWithParent } from './parent.js';
export { ConfigError, type Environment, type Problem, readConfig } from './read-config.js';
export { type RedisSettings, type RedisVariables, redisSettings, redisVariables } from './redis.js';
export { type ProcessLog, type ProcessOptions, runProcess } from './run-process.js';
export { type StopOptions, stopOnSignal } from './stop-on-signal.js';
export {
  boolean,
  certificates,
  duration,
  durations,
  integer,
  list,
  logLevel,
  port,
  settings,
  text,
  url,
} from './variables.js';
