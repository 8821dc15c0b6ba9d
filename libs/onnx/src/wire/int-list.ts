/** 64-bit integers one after the other, at 8 bytes each: an array of BigInts takes four times as much. */
export class IntList {
  #room: BigInt64Array = new BigInt64Array();
  #length = 0;

  push(value: bigint): void {
    if (this.#length === this.#room.length) {
      const more = new BigInt64Array(Math.max(4, 2 * this.#length));
      more.set(this.#room);
      this.#room = more;
    }
    this.#room[this.#length++] = value;
  }

  get values(): BigInt64Array {
    return this.#room.subarray(0, this.#length);
  }
}
