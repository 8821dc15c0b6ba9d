/** Waits until a worker has loaded each variant once: no request is given one before. */
import { setTimeout as pause } from 'node:timers/promises';
import type { ModelCard } from '@shoal/contracts';
import { ShoalRest } from '../shoal-rest.js';
import { MODEL } from './variants.js';

const PAUSE_MS = 100;

export async function untilLoaded(origin: string, variants: readonly string[]): Promise<void> {
  for (const variant of variants) {
    const rest = new ShoalRest(origin, `${MODEL}:${variant}`, 1);
    await rest.result('a small knob');
    rest.close();
  }
  // The API hears of it with the next exchange.
  for (;;) {
    const { served } = (await (await fetch(`${origin}/v1/models/${MODEL}`)).json()) as ModelCard;
    if (served.every(({ state }) => state === 'loaded')) return;
    await pause(PAUSE_MS);
  }
}
