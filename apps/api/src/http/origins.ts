/** Pages of other origins that may call the API from a browser (CORS, WHATWG Fetch). Keys are sent by hand, so no cookies. */
import cors from '@fastify/cors';
import type { FastifyInstance } from 'fastify';

/** What pages may read of an answer beside its body. */
const EXPOSED = [
  ...['Location', 'Preference-Applied', 'Retry-After', 'X-Request-Id', 'X-Should-Retry'],
  ...['X-Shoal-Model', 'X-Shoal-Accuracy-Loss'],
];
const METHODS = ['GET', 'HEAD', 'POST', 'PATCH', 'DELETE'];
/** Seconds that a browser keeps the answer to a preflight; Chrome keeps it no longer. */
const MAX_AGE = 7200;

/** To be called before whatever refuses requests, so that pages can read refusals. `*` among the origins allows all. */
export async function allowOrigins(server: FastifyInstance, origins: readonly string[]): Promise<void> {
  await server.register(cors, {
    origin: origins.includes('*') ? '*' : [...origins],
    methods: METHODS,
    exposedHeaders: EXPOSED,
    maxAge: MAX_AGE,
    strictPreflight: false,
  });
}
