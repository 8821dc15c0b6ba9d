/** Text generation: forward passes of a decoder, its KV cache, and the engine that keeps many texts going at once. */
export { type Asked, askedOf, type TextLimits } from './asked.js';
export { GenerationEngine, type GenerationListener, type OpenOptions } from './engine/client.js';
export { leastCacheBytes } from './engine/least-cache.js';
export { memoryForModels, memoryOfProcess } from './engine/memory.js';
export type { EngineStats } from './engine/stats.js';
export { type GenerateOptions, generateGreedily } from './generate.js';
export { type CacheOptions, KvCache } from './kv/cache.js';
export { DecoderPasses, type NewTokens, type PassOptions } from './passes.js';
export type { Candidates } from './sampling/candidates.js';
export { type DecoderSettings, decoderSession } from './session-options.js';
export { TextPasses, type TextPassOptions, type TextPiece } from './text-passes.js';
export type { Finish, GenerationRequest, NewToken, Sampling } from './types.js';
