/** The metadata of a GGUF file by key, with what a value has to be. */
import { invalid } from '../invalid.js';
import type { GgufScalar, GgufValue } from './read.js';

export class Metadata {
  readonly #values: ReadonlyMap<string, GgufValue>;

  constructor(values: ReadonlyMap<string, GgufValue>) {
    this.#values = values;
  }

  has(key: string): boolean {
    return this.#values.has(key);
  }

  /** Undefined where there is none. @throws ShoalError `model_invalid` where it is something else */
  text(key: string): string | undefined {
    return this.#scalar(key, 'a text', (value) => typeof value === 'string');
  }

  flag(key: string): boolean | undefined {
    return this.#scalar(key, 'true or false', (value) => typeof value === 'boolean');
  }

  number(key: string): number | undefined {
    return this.#scalar(key, 'a number', (value) => typeof value === 'number' && Number.isFinite(value));
  }

  texts(key: string): readonly string[] | undefined {
    return this.#list(key, 'texts', (value) => typeof value === 'string');
  }

  numbers(key: string): readonly number[] | undefined {
    return this.#list(key, 'numbers', (value) => typeof value === 'number' && Number.isFinite(value));
  }

  flags(key: string): readonly boolean[] | undefined {
    return this.#list(key, 'true or false', (value) => typeof value === 'boolean');
  }

  isList(key: string): boolean {
    return Array.isArray(this.#values.get(key));
  }

  #scalar<T extends GgufScalar>(key: string, what: string, is: (value: GgufValue) => boolean): T | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (is(value)) return value as T;
    throw invalid(`${key} in the metadata is not ${what}`);
  }

  #list<T extends GgufScalar>(key: string, what: string, is: (value: GgufScalar) => boolean): readonly T[] | undefined {
    const value = this.#values.get(key);
    if (value === undefined) return undefined;
    if (typeof value === 'object' && value.every(is)) return value as readonly T[];
    throw invalid(`${key} in the metadata is not a list of ${what}`);
  }
}

/** @throws ShoalError `model_invalid` where it is undefined */
export function needed<T>(value: T | undefined, key: string): T {
  if (value === undefined) throw invalid(`${key} is missing in the metadata`);
  return value;
}
