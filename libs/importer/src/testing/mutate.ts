/** Changes of files that anyone could have made, the same ones for the same seed. */

/** mulberry32: a whole number below n. */
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

const ODD: readonly unknown[] = [
  ...[0, 1, -1, 2, 3, 7, 8, 1.5, 2 ** 20, 2 ** 24, 2 ** 31, 2 ** 32, 2 ** 53, 2 ** 60, 1e308, -0],
  ...['', '..', '../../etc/passwd', '/etc/passwd', 'model.safetensors', '__proto__', 'F32', 'F64', 'I8', 'é\0'],
  ...[null, true, false, [], {}, [1, 2], [[]], { a: 1 }, [2 ** 40, 2 ** 40], [0, 2 ** 53]],
  ...['full_attention', 'dynamic', 'yarn', { rope_type: 'yarn', factor: 1e300 }, { rope_type: 'dynamic', factor: 1e9 }],
];

/** Changes one place of a JSON value, anywhere below. */
export function mutateJson(json: unknown, pick: (n: number) => number): unknown {
  const odd = () => ODD[pick(ODD.length)];
  if (typeof json !== 'object' || json === null || pick(8) === 0) return odd();
  const keys = Object.keys(json);
  if (keys.length === 0) return odd();
  const copy: Record<string, unknown> | unknown[] = Array.isArray(json) ? [...(json as unknown[])] : { ...json };
  const key = keys[pick(keys.length)] as keyof typeof copy;
  const kind = pick(6);
  if (kind === 0) delete copy[key];
  else if (kind === 1 && !Array.isArray(copy))
    Object.defineProperty(copy, String(odd()), { value: copy[key], enumerable: true });
  else (copy as Record<string, unknown>)[key as string] = mutateJson(copy[key], pick);
  return copy;
}
