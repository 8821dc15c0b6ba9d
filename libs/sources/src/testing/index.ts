export { type HubModel, type HubServer, startHub } from './hub-server.js';
export { type Intercept, type LocalServer, listen } from './listen.js';
export type { BucketObject } from './s3-object.js';
export { type Bucket, type S3Server, startS3 } from './s3-server.js';
export { serveBytes } from './serve-bytes.js';
