/** Shoal over REST: from the request to its result in the caller's hands. */
import { type Answer, RestClient, runBounded } from './rest-client.js';

/** Most items of one array (the API's limit). */
export const BULK_ITEMS = 1000;
/** Arrays in flight: while one is read by the caller, the next is being worked on. */
const BULK_OPEN = 2;

interface Job {
  readonly id: string;
  readonly status: string;
  readonly output: unknown;
}

export class ShoalRest {
  readonly #client: RestClient;
  readonly #model: string;
  /** Of every job. */
  readonly #parameters: Readonly<Record<string, unknown>> | undefined;

  constructor(origin: string, model: string, connections: number, parameters?: Readonly<Record<string, unknown>>) {
    this.#client = new RestClient(origin, connections);
    this.#model = model;
    this.#parameters = parameters;
  }

  /** Sends all inputs in arrays of 1,000; resolves when every result has been read. */
  async bulk(inputs: readonly unknown[]): Promise<void> {
    const arrays = Array.from({ length: Math.ceil(inputs.length / BULK_ITEMS) }, (_, n) =>
      inputs.slice(n * BULK_ITEMS, (n + 1) * BULK_ITEMS),
    );
    await runBounded(arrays.length, BULK_OPEN, async (n) => {
      const job = await this.result(arrays[n]!);
      if (!Array.isArray(job.output) || job.output.length !== arrays[n]!.length) throw new Error('results are missing');
    });
  }

  /** One request per input, `open` at once. */
  async singles(inputs: readonly unknown[], open: number): Promise<void> {
    await runBounded(inputs.length, open, async (n) => {
      await this.result(inputs[n]);
    });
  }

  /** Submits one job and waits for it: in the same request where it ends within a minute, else by asking again. */
  async result(input: unknown): Promise<Job> {
    const body = JSON.stringify({ model: this.#model, input, parameters: this.#parameters });
    let job = parse(await this.#client.send('POST', '/v1/jobs?wait=60', body));
    while (job.status === 'queued' || job.status === 'running') {
      job = parse(await this.#client.send('GET', `/v1/jobs/${job.id}?wait=60`));
    }
    if (job.status !== 'completed') throw new Error(`a job ended as ${job.status}`);
    return job;
  }

  close(): void {
    this.#client.close();
  }
}

function parse({ status, body }: Answer): Job {
  const text = body.toString();
  if (status !== 200 && status !== 202) throw new Error(`HTTP ${status}: ${text.slice(0, 300)}`);
  return JSON.parse(text) as Job;
}
