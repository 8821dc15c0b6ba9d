/**
 * Whether all API replicas keep files in one store: each store has a mark of its own, and replicas tell each other which one
 * they found. Of two stores, what is uploaded at one replica is not there at the next.
 */
import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import type { FileStore } from '@shoal/queue';
import type { Store } from '@shoal/storage';
import type { Logger } from '@shoal/telemetry';

const KEY = 'store-mark';
const LOOK_MS = 30_000;
/** Two replicas that meet a new store together may mark it twice: by the next look they agree, and one later that is known. */
const LOOKS = 3;

export class StoreMark {
  #timer: NodeJS.Timeout | undefined;
  #looks = 0;

  constructor(
    private readonly records: Pick<FileStore, 'stores'>,
    private readonly store: Store,
    private readonly logger: Logger,
  ) {}

  start(): void {
    this.#timer = setTimeout(() => {
      this.look()
        // Redis or the store is away.
        .catch(() => undefined)
        .finally(() => this.#timer && this.start());
    }, LOOK_MS);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Logs where there are several stores, once as long as that is so. */
  async look(): Promise<void> {
    const stores = await this.records.stores(await this.#read());
    this.#looks = stores > 1 ? this.#looks + 1 : 0;
    if (this.#looks !== LOOKS) return;
    const hint = 'set SHOAL_STORE of all API replicas to one bucket (s3://...), or to one folder that they share';
    this.logger.error('files.several_stores', { stores, hint });
  }

  async #read(): Promise<string> {
    const mark = await this.#find();
    if (mark !== undefined) return mark;
    await this.store.write(KEY, Readable.from([Buffer.from(randomUUID())]));
    return (await this.#find()) ?? '';
  }

  async #find(): Promise<string | undefined> {
    const reading = await this.store.read(KEY);
    if (reading === undefined) return undefined;
    const chunks: Uint8Array[] = [];
    for await (const chunk of reading.stream) chunks.push(chunk);
    return Buffer.concat(chunks).toString('latin1');
  }
}
