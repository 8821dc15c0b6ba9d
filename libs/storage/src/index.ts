export { openStore, type StoreOptions } from './open-store.js';
export type { S3Settings } from './s3/client.js';
export type { Listed, Reading, ReadOptions, Store, WriteOptions, Written } from './store.js';
