/**
 * What an operator allows beyond the public internet: networks with a port each, as `SHOAL_WEBHOOK_ALLOW` and
 * `SHOAL_SOURCE_ALLOW` have them: `127.0.0.0/8:9000`, `[::1]/128:9000`.
 */
import { BlockList } from 'node:net';
import { z } from 'zod';
import { addRange, familyOf } from './addresses.js';

const ENTRY = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))\/(\d{1,3}):(\d{1,5})$/i;

export class AllowList {
  readonly #byPort = new Map<number, BlockList>();

  /** Throws a RangeError that names the entry at fault. */
  constructor(entries: readonly string[]) {
    for (const entry of entries) this.#add(entry);
  }

  /** Whether anything at all may be reached on this port. */
  hasPort(port: number): boolean {
    return this.#byPort.has(port);
  }

  allows(address: string, port: number): boolean {
    const family = familyOf(address);
    return family !== undefined && (this.#byPort.get(port)?.check(address, family) ?? false);
  }

  #add(entry: string): void {
    const [, v6, v4, bits = '', port = ''] = ENTRY.exec(entry) ?? [];
    const number = Number(port);
    try {
      if (number < 1 || number > 65_535) throw new RangeError('not a port');
      const list = this.#byPort.get(number) ?? new BlockList();
      addRange(list, `${v6 ?? v4 ?? ''}/${bits}`);
      this.#byPort.set(number, list);
    } catch (cause) {
      const message = `"${entry}" is not a network and a port, such as 127.0.0.0/8:9000 or [::1]/128:9000`;
      throw new RangeError(message, { cause });
    }
  }
}

/** An environment variable with such networks, separated by commas. */
export function allowList() {
  return z.string().transform((value, context) => {
    try {
      return new AllowList(value.split(',').map((entry) => entry.trim()));
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      context.addIssue(error.message);
      return z.NEVER;
    }
  });
}
