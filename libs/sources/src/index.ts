export {
  type GoesOn,
  type HubSettings,
  PATIENCE,
  type PullContext,
  type PullProgress,
  type S3Settings,
} from './context.js';
export { type FetchUrlRequest, fetchUrl } from './fetch-url.js';
export { refuseMissing } from './folder.js';
export { parseSource } from './parse-source.js';
export { type FoundSource, type Pulled, type PullRequest, pull } from './pull.js';
