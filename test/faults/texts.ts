/** Requests for texts of the bundled model, and readers of their answers that outlive whatever is done to the servers. */
import { setTimeout as pause } from 'node:timers/promises';
import OpenAI from 'openai';
import { readEvents } from '../support/server-sent-events.js';
import { type Answer, openClient, readReference, type TextRequest } from '../support/texts.js';

const PROMPTS = readReference('wordnet-lm').map(({ prompt }) => prompt);
const RETRY_MS = 50;

type Chunk = OpenAI.ChatCompletionChunk;
type TokenLogprob = OpenAI.ChatCompletionTokenLogprob;

/** An answer, and how long its reader waited for anything new at most, in seconds. */
export interface ReadAnswer extends Answer {
  readonly silence: number;
  readonly connections: number;
}

/** Request `n`: by turns greedy and sampled, of the reference's prompts by turns. */
export function requestOf(n: number, tokens: number): TextRequest {
  const prompt = PROMPTS[n % PROMPTS.length]!;
  const sampling = n % 2 === 0 ? { temperature: 0 } : { temperature: 0.8, top_p: 0.95, seed: n };
  const own = { ignore_eos: true };
  return {
    ...{ model: 'wordnet-lm', messages: [{ role: 'user', content: prompt }], max_completion_tokens: tokens },
    ...{ ...sampling, ...own },
  };
}

/** By OpenAI's client: a stream that was cut off is asked for anew, at the next replica. */
export async function readAnew(urlOf: (attempt: number) => string, request: TextRequest): Promise<ReadAnswer> {
  const clock = new Silence();
  for (let attempt = 0; ; attempt++) {
    const answer = new Growing();
    try {
      const stream = await openClient(urlOf(attempt)).chat.completions.create({ ...request, stream: true });
      for await (const chunk of stream) {
        answer.add(chunk);
        clock.heard();
      }
      if (answer.finish !== null) return { ...answer.whole(), ...clock.told(), connections: attempt + 1 };
    } catch (error) {
      if (!isTrouble(error)) throw error;
    }
    await pause(RETRY_MS);
  }
}

/** A kept answer, read event by event; what was cut off goes on at the next replica, behind the last event that was had. */
export async function readKept(
  urlOf: (attempt: number) => string,
  request: TextRequest,
): Promise<ReadAnswer & { readonly ids: readonly string[] }> {
  const answer = new Growing();
  const ids: string[] = [];
  const clock = new Silence();
  let path: string | null = null;
  for (let attempt = 0; ; attempt++) {
    try {
      const response: Response = await (path === null
        ? fetch(`${urlOf(attempt)}/v1/chat/completions`, {
            method: 'POST',
            headers: { 'content-type': 'application/json' },
            body: JSON.stringify({ ...request, stream: true, store: true }),
          })
        : fetch(`${urlOf(attempt)}${path}`, {
            headers: { accept: 'text/event-stream', ...(ids.length > 0 && { 'last-event-id': ids.at(-1)! }) },
          }));
      if (response.status !== 200) throw await refusalOf(response);
      path = response.headers.get('location') ?? path;
      for await (const { lastId, data } of readEvents(response, ids.at(-1))) {
        if (isFault(data)) throw new OpenAI.APIError(undefined, data.error, undefined, undefined);
        if (data === null) return { ...answer.whole(), ...clock.told(), connections: attempt + 1, ids };
        if (lastId !== ids.at(-1)) ids.push(lastId);
        answer.add(data as Chunk);
        clock.heard();
      }
    } catch (error) {
      if (!isTrouble(error)) throw error;
    }
    await pause(RETRY_MS);
  }
}

/** What an answer has grown to. */
class Growing {
  finish: string | null = null;
  #text = '';
  readonly #tokens: TokenLogprob[] = [];

  add({ choices }: Chunk): void {
    for (const { delta, finish_reason, logprobs } of choices) {
      this.#text += delta.content ?? '';
      this.#tokens.push(...(logprobs?.content ?? []));
      this.finish = finish_reason ?? this.finish;
    }
  }

  whole(): Answer {
    return { text: this.#text, finish: this.finish, tokens: this.#tokens };
  }
}

/** How long nothing was heard. */
class Silence {
  #last = performance.now();
  #longest = 0;

  heard(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
  }

  told(): { readonly silence: number } {
    return { silence: this.#longest / 1000 };
  }
}

async function refusalOf(response: Response): Promise<Error> {
  const { error } = (await response.json()) as { error: object };
  return new OpenAI.APIError(response.status, error, undefined, response.headers);
}

function isFault(data: unknown): data is { error: object } {
  return typeof data === 'object' && data !== null && 'error' in data;
}

/** Whether it is what servers that are hurt may answer: no connection, none any more, or that Redis is away. */
function isTrouble(error: unknown): boolean {
  if (error instanceof OpenAI.APIConnectionError || error instanceof TypeError) return true;
  return error instanceof OpenAI.APIError && error.code === 'redis_unavailable';
}
