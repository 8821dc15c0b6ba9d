/**
 * Requirement V: what requests are given that allow a loss of accuracy, over REST, of variants that the optimizer has made: the right
 * one at each bound, never a worse one under load, and what a cascade costs beside its teacher.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startShoal } from '../processes.js';
import type { Section } from '../report.js';
import { answersSection } from './answers.js';
import { MODEL, makeVariants, VariantTable } from './variants.js';
import { wavesSection } from './waves.js';

export interface AccuracyOptions {
  readonly rounds: number;
  /** 1 for a full run; less for fewer requests, and students that learn from fewer texts. */
  readonly scale: number;
  readonly say: (line: string) => void;
}

export async function accuracyBench(options: AccuracyOptions): Promise<Section[]> {
  const modelsDir = await mkdtemp(join(tmpdir(), 'shoal-accuracy-'));
  try {
    const { quality, texts, notes } = await makeVariants(modelsDir, options);
    const variants = new VariantTable(quality);
    const started = { modelsDir, models: [MODEL] };
    const calm = await startShoal(started);
    const sections: Section[] = [{ ratios: [], figures: [], notes }];
    try {
      sections.push(await answersSection(calm, variants, texts, options));
    } finally {
      await calm.stop();
    }
    const apiEnv = { SHOAL_ACCURACY_UNDER_LOAD: 'true', SHOAL_DELAY_OBJECTIVE: '1s' };
    const loaded = await startShoal({ ...started, apiEnv });
    try {
      sections.push(await wavesSection(loaded, variants, options));
    } finally {
      await loaded.stop();
    }
    return sections;
  } finally {
    await rm(modelsDir, { recursive: true });
  }
}
