/** Looking a host up, by a resolver that never answers: a fault of a network that nothing on this machine can show. */
import { AllowList } from '@shoal/network';
import { expect, test, vi } from 'vitest';
import { PATIENCE } from '../context.js';
import { get } from './get.js';

vi.mock('node:dns/promises', () => ({ lookup: () => new Promise(() => undefined) }));

const url = new URL('https://example.com/x.gguf');
const ask = (headMs: number, signal: AbortSignal) =>
  get({ url, home: url.origin }, { allow: new AllowList([]), signal, patience: { ...PATIENCE, headMs } });

test('is part of what an answer may take', async () => {
  await expect(ask(50, new AbortController().signal)).rejects.toThrow('does not answer within 0.05 s');
});

test('ends with the signal', async () => {
  const stop = new AbortController();
  const asked = ask(600_000, stop.signal);
  stop.abort(new Error('Ctrl-C'));
  await expect(asked).rejects.toThrow('Ctrl-C');
});
