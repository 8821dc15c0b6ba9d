/**
 * What callers do to Shoal while the dashboard's picture is taken: single jobs that are waited for, bulk calls, arrays
 * followed as event streams, embeddings, chats, webhooks, and everything that is refused. Random, from a seed.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { seededRandom } from '@shoal/training';

const TOPIC = 'wordnet-topic';
const EMBED = 'wordnet-embed';
const GENERATOR = 'wordnet-lm';
const NOUNS = ['oak', 'river', 'violin', 'castle', 'salt', 'captain', 'meadow', 'fever'];
const WORDS =
  'a small knob that turns the light of an old lamp which stands on wooden legs in the corner of room'.split(' ');
/** Before the next call of who found Redis away or the queue full, and between bulk calls. */
const RETRY_MS = 200;
const BULK_PAUSE_MS = 700;

export interface Callers {
  /** How many call at once, from now on. */
  setIntensity(intensity: Intensity): void;
  /** Resolves when every call has ended. */
  stop(): Promise<void>;
}

export interface Intensity {
  readonly singles: number;
  readonly bulk: number;
  readonly streams: number;
  readonly embeddings: number;
  readonly texts: number;
  readonly mistakes: number;
}

export interface Service {
  readonly origin: string;
  readonly apiKey: string;
  /** Where webhooks go. */
  readonly receiver: string;
}

export function startCallers(service: Service, seed: number): Callers {
  const random = seededRandom(seed);
  const call = callerOf(service);
  let wanted: Intensity = { singles: 0, bulk: 0, streams: 0, embeddings: 0, texts: 0, mistakes: 0 };
  let stopped = false;
  const running: Promise<void>[] = [];
  const acts: Record<keyof Intensity, () => Promise<unknown>> = {
    singles: () => call.post('/v1/jobs?wait=20', singleJob(random, service.receiver)),
    bulk: () => call.post('/v1/jobs/bulk', { jobs: Array.from({ length: 100 }, () => plainJob(random)) }),
    streams: () => call.follow({ model: TOPIC, input: Array.from({ length: 64 }, () => sentence(random)) }),
    embeddings: () =>
      call.post('/v1/embeddings', { model: EMBED, input: Array.from({ length: 4 }, () => sentence(random)) }),
    texts: () => call.post('/v1/chat/completions', chat(random)),
    mistakes: () => mistake(call, random),
  };
  /** A lane calls again and again while as many of its kind are wanted. */
  const lane = async (kind: keyof Intensity, n: number) => {
    while (!stopped && wanted[kind] > n) {
      const ok = await acts[kind]().catch(() => false);
      await pause(kind === 'bulk' ? BULK_PAUSE_MS : ok === false ? RETRY_MS : 20 + 60 * random());
    }
  };
  return {
    setIntensity(intensity) {
      const before = wanted;
      wanted = intensity;
      for (const kind of Object.keys(acts) as (keyof Intensity)[]) {
        for (let n = before[kind]; n < intensity[kind]; n++) running.push(lane(kind, n));
      }
    },
    async stop() {
      stopped = true;
      await Promise.all(running);
    },
  };
}

function callerOf({ origin, apiKey }: Service) {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${apiKey}` };
  const send = (method: string, path: string, body?: string) =>
    fetch(origin + path, { method, headers, ...(body !== undefined && { body }) });
  /** False where it is to be tried later. */
  const post = async (path: string, body: unknown) => {
    const response = await send('POST', path, typeof body === 'string' ? body : JSON.stringify(body));
    await response.arrayBuffer();
    return response.status < 429;
  };
  const follow = async (job: unknown) => {
    const response = await send('POST', '/v1/jobs', JSON.stringify(job));
    const { links } = (await response.json()) as { links?: { events: string } };
    if (links === undefined) return false;
    await (await send('GET', links.events)).arrayBuffer();
    return true;
  };
  const cancel = async (job: unknown) => {
    const response = await send('POST', '/v1/jobs', JSON.stringify(job));
    const { links } = (await response.json()) as { links?: { cancel: string; self: string } };
    if (links === undefined) return false;
    await (await send('POST', links.cancel)).arrayBuffer();
    await (await send('GET', links.self)).arrayBuffer();
    return true;
  };
  return { post, follow, cancel };
}

/** Lengths as callers' texts have them: many short ones, few long ones. */
function sentence(random: () => number): string {
  const length = 3 + Math.floor(60 * random() ** 3);
  return Array.from({ length }, () => WORDS[Math.floor(random() * WORDS.length)]).join(' ');
}

function plainJob(random: () => number) {
  return { model: random() < 0.7 ? TOPIC : EMBED, input: sentence(random) };
}

/** One in four is told by webhook. */
function singleJob(random: () => number, receiver: string) {
  const job = plainJob(random);
  return random() < 0.25 ? { ...job, webhook: { url: receiver } } : job;
}

/** Streamed; one in eight asks for several answers that have to give way to others. */
function chat(random: () => number) {
  const noun = NOUNS[Math.floor(random() * NOUNS.length)];
  const many = random() < 0.125;
  return {
    ...{ model: GENERATOR, messages: [{ role: 'user', content: `Define ${noun} (noun).` }], stream: true },
    ...(many ? { n: 32, priority: 1, ignore_eos: true, max_tokens: 200 } : { max_tokens: 64 }),
  };
}

/** What is refused, cancelled, or too late. */
function mistake(call: ReturnType<typeof callerOf>, random: () => number): Promise<boolean> {
  const job = plainJob(random);
  const kinds = [
    () => call.post('/v1/jobs', { ...job, input: 'lamp '.repeat(3000) }),
    () => call.post('/v1/jobs', { ...job, parameters: { nothing: 1 } }),
    () => call.post('/v1/jobs', { ...job, model: 'no-model' }),
    () => call.post('/v1/jobs', '{"model":'),
    () => call.post('/v1/jobs', { ...job, deadline: 0.001 }),
    () => call.cancel({ model: TOPIC, input: Array.from({ length: 256 }, () => sentence(random)) }),
  ];
  return kinds[Math.floor(random() * kinds.length)]!();
}
