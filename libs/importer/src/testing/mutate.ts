/** Changes of files that anyone could have made, the same ones in every run. */

/** mulberry32: the same mutations in every run. */
export function seeded(seed: number): (n: number) => number {
  let state = seed;
  return (n) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** Up to five changes of the first `within` bytes: bytes, bits, the end cut off, parts left out or doubled. */
export function mutateBytes(bytes: Buffer, within: number, pick: (n: number) => number): Buffer {
  let changed = Buffer.from(bytes);
  for (let change = 0; change <= pick(4); change++) {
    const place = pick(Math.min(within, changed.length));
    const kind = pick(4);
    if (kind === 0) changed[place] = pick(256);
    else if (kind === 1) changed[place]! ^= 1 << pick(8);
    else if (kind === 2) changed = changed.subarray(0, place + 1);
    else changed = Buffer.concat([changed.subarray(0, place), changed.subarray(pick(changed.length))]);
  }
  return changed;
}
