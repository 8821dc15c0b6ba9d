/** Requests of many lengths, prompts of 16 to 1,024 random tokens and answers of 8 to 256, that come at random. */
import { setTimeout as sleep } from 'node:timers/promises';

export const REQUESTS = 300;
/** Share of what can be made. */
export const LOAD = 0.7;

export interface MixedRequest {
  readonly prompt: Uint32Array;
  readonly tokens: number;
}

/** In ms: from the request to its first token, and between tokens. */
export interface Latencies {
  readonly first: number[];
  readonly between: number[];
}

/** Notes when tokens of one request come. */
export class TokenClock {
  readonly #latencies: Latencies;
  readonly #started = performance.now();
  #last: number | undefined;

  constructor(latencies: Latencies) {
    this.#latencies = latencies;
  }

  came(): void {
    const now = performance.now();
    if (this.#last === undefined) this.#latencies.first.push(now - this.#started);
    else this.#latencies.between.push(now - this.#last);
    this.#last = now;
  }
}

/** Open loop: `rate` requests come per second on average, whether or not those before have ended. */
export async function asTheyCome(
  start: (request: MixedRequest, latencies: Latencies) => Promise<unknown>,
  requests: readonly MixedRequest[],
  rate: number,
  random: () => number,
): Promise<Latencies> {
  const latencies: Latencies = { first: [], between: [] };
  const running: Promise<unknown>[] = [];
  let due = performance.now();
  for (const request of requests) {
    due += (-1000 * Math.log(1 - random())) / rate;
    await sleep(Math.max(0, due - performance.now()));
    running.push(start(request, latencies));
  }
  await Promise.all(running);
  return latencies;
}

export function requestsOf(count: number, vocabulary: number, random: () => number): MixedRequest[] {
  const between = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  return Array.from({ length: count }, () => ({
    prompt: randomIds(between(16, 1024), vocabulary, random),
    tokens: between(8, 256),
  }));
}

export function randomIds(length: number, vocabulary: number, random: () => number): Uint32Array {
  return Uint32Array.from({ length }, () => 300 + Math.floor(random() * (vocabulary - 300)));
}

/** Of all answers together. */
export function tokensOf(requests: readonly MixedRequest[]): number {
  return requests.reduce((sum, { tokens }) => sum + tokens, 0);
}
