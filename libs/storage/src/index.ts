export type { Listed, Reading, ReadOptions, Store, WriteOptions, Written } from './store.js';
