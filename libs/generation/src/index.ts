export type { Finish, GenerationRequest, NewToken, Sampling } from './types.js';
