/** Shoal over REST: `POST /v1/completions` with token ids, read as server-sent events. */
import { Agent, type IncomingMessage, request } from 'node:http';

export interface CompletionRequest {
  readonly prompt: readonly number[];
  readonly maxTokens: number;
  /** As the API takes it: 0 is normal, more is less urgent. */
  readonly priority?: number;
  /** Called as each piece of the answer comes. */
  readonly onPiece?: () => void;
}

interface Chunk {
  readonly choices?: readonly unknown[];
  readonly usage?: { readonly completion_tokens: number } | null;
  readonly error?: unknown;
}

export class Completions {
  readonly #origin: string;
  readonly #model: string;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: Number.POSITIVE_INFINITY });

  constructor(origin: string, model: string) {
    this.#origin = origin;
    this.#model = model;
  }

  /** Resolves to the number of new tokens once the stream has ended. @throws Error unless there are `maxTokens` */
  async stream({ prompt, maxTokens, priority = 0, onPiece }: CompletionRequest): Promise<number> {
    const body = {
      model: this.#model,
      ...{ prompt, max_tokens: maxTokens, temperature: 0, ignore_eos: true, priority },
      ...{ stream: true, stream_options: { include_usage: true } },
    };
    const response = await this.#post('/v1/completions', JSON.stringify(body));
    if (response.statusCode !== 200) {
      const text = (await response.setEncoding('utf8').toArray()).join('');
      throw new Error(`HTTP ${response.statusCode}: ${text.slice(0, 300)}`);
    }
    let tokens = 0;
    for await (const data of eventsOf(response)) {
      if (data === '[DONE]') continue;
      const { choices = [], usage, error } = JSON.parse(data) as Chunk;
      if (error !== undefined) throw new Error(`an error in the stream: ${JSON.stringify(error)}`);
      if (choices.length > 0) onPiece?.();
      tokens = usage?.completion_tokens ?? tokens;
    }
    if (tokens !== maxTokens) throw new Error(`${tokens} tokens came instead of ${maxTokens}`);
    return tokens;
  }

  close(): void {
    this.#agent.destroy();
  }

  #post(path: string, body: string): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      request(this.#origin + path, { method: 'POST', headers, agent: this.#agent }, resolve)
        .on('error', reject)
        .end(body);
    });
  }
}

/** The data of each event. */
async function* eventsOf(response: IncomingMessage): AsyncGenerator<string> {
  let rest = '';
  for await (const part of response.setEncoding('utf8')) {
    const lines = (rest + (part as string)).split('\n');
    rest = lines.pop()!;
    for (const line of lines) if (line.startsWith('data:')) yield line.slice('data:'.length).trim();
  }
}
