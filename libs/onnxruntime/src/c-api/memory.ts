/**
 * Addresses of JavaScript memory. V8 keeps typed arrays of up to 64 bytes on its own heap and moves them; reading `.buffer`
 * gives them memory of their own, which stays where it is. That memory lives as long as something refers to it: whoever
 * takes an address must hold the array until native code is done with it. koffi holds arguments only for synchronous calls.
 */
import koffi from 'koffi';

/** An address for native code that outlives one synchronous call. Empty arrays have none of their own: they share one. */
export function addressOf(array: ArrayBufferView): bigint {
  if (array.byteLength === 0) return NOTHING_ADDRESS;
  return koffi.address(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
}

const NOTHING = new Uint8Array(new ArrayBuffer(8));
const NOTHING_ADDRESS: bigint = koffi.address(NOTHING);

/** A copy of native memory. */
export function copyOf(address: bigint, byteLength: number): ArrayBuffer {
  return byteLength === 0 ? new ArrayBuffer(0) : koffi.view(address, byteLength).slice(0);
}

/** The zero-terminated UTF-8 text at an address; '' for the null pointer. */
export function textAt(address: bigint): string {
  return address === 0n ? '' : koffi.decode.string(address);
}

/** Zero-terminated UTF-8 texts in one block of memory, and the array of their addresses (`const char* const*`). */
export class NativeTexts {
  readonly pointers: BigUint64Array;
  readonly #block: Uint8Array;

  constructor(texts: readonly string[]) {
    // A block of its own: Buffer.from would carve it out of a shared pool.
    this.#block = new TextEncoder().encode(texts.map((text) => `${text}\0`).join(''));
    let address = addressOf(this.#block);
    this.pointers = BigUint64Array.from(texts, (text) => {
      const start = address;
      address += BigInt(Buffer.byteLength(text) + 1);
      return start;
    });
  }
}

/** The words at an address: an array of pointers (`char**`) or of `size_t`. */
export function wordsAt(address: bigint, count: number): bigint[] {
  return count === 0 ? [] : Array.from(new BigUint64Array(copyOf(address, count * 8)));
}
