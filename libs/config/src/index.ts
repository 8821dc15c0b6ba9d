export { exitWithParent } from './parent.js';
export { ConfigError, type Environment, type Problem, readConfig } from './read-config.js';
export { boolean, duration, durations, integer, list, port, text, url } from './variables.js';
