import { describe, expect, it, vi } from 'vitest';
import { openCApi } from './c-api/runtime.js';
import { doubling } from './testing/graphs.js';
import type { Runtime, Session } from './types.js';
import { withWholeSums } from './whole-sums.js';

/** A processor that adds pairs of products in 16 bits, unless it is told not to. */
function saturating(native: Runtime) {
  const createSession = vi.fn<Runtime['createSession']>(async (model, options) => {
    const session = await native.createSession(model, options);
    const run: Session['run'] = async (feeds, runOptions) => {
      const outputs = await session.run(feeds, runOptions);
      const { y } = outputs;
      if (y?.type !== 'int32') return outputs;
      return { y: { ...y, data: (y.data as Int32Array).map(() => 32 * 32_767) } };
    };
    return { ...session, run, release: () => session.release() };
  });
  return { ...native, createSession };
}

describe('sums of 8-bit products', () => {
  it('that overflow are avoided in every session made later, unless its own options say otherwise', async () => {
    const processor = saturating(openCApi());
    const runtime = await withWholeSums(processor);
    const own = { 'session.x64quantprecision': '0' };
    for (const options of [undefined, { intraOpThreads: 2 }, { config: own }]) {
      await (await runtime.createSession(doubling(), options)).release();
    }
    const config = { 'session.x64quantprecision': '1' };
    expect(processor.createSession.mock.calls.slice(1).map(([, options]) => options)).toEqual([
      { config },
      { intraOpThreads: 2, config },
      { config: own },
    ]);
  });

  it('that are whole cost nothing: the runtime stays as it is', async () => {
    // Whatever this processor does by itself, it is told to avoid the overflow.
    const native = openCApi();
    const config = { 'session.x64quantprecision': '1' };
    const whole = { ...native, createSession: (model: Uint8Array | string) => native.createSession(model, { config }) };
    expect(await withWholeSums(whole)).toBe(whole);
  });
});
