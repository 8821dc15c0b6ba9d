export type { Environment, Problem } from './environment.js';
export { blamePort, httpOrigin } from './listening.js';
export { unknownVariables, VARIABLES } from './names.js';
export { exitWithParent } from './parent.js';
export { ConfigError, readConfig } from './read-config.js';
export { type RedisSettings, type RedisVariables, redisSettings, redisVariables } from './redis.js';
export { type ProcessConfig, type ProcessLog, type ProcessOptions, runProcess } from './run-process.js';
export { type StoreSettings, type StoreVariables, storeSettings, storeUrl, storeVariables } from './store.js';
export {
  addresses,
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
