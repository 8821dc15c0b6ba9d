/** Text generation: forward passes of a decoder, its KV cache, and the engine that keeps many texts going at once. */
export { type GenerateOptions, generateGreedily } from './generate.js';
export { type CacheOptions, KvCache } from './kv/cache.js';
export { type Candidates, DecoderPasses, type NewTokens, type PassOptions } from './passes.js';
export type { Finish, GenerationRequest, NewToken, Sampling } from './types.js';
