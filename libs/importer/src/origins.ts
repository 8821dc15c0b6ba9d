/** What the weights of a quantised checkpoint are, and what became of them, in words. */
import type { Checkpoint } from './checkpoint.js';
import type { Precision } from './precision/types.js';

/** In the metadata of a model: what `originsOf` says. */
export const ORIGINS_KEY = 'shoal.weights';

/** A line for each form that matrices came in, the commonest first: `GPTQ int4, groups of 128: 224 matrices`. */
export function originsOf(checkpoint: Checkpoint, precision?: Precision): readonly string[] {
  const counts = new Map<string, { all: number; kept: number }>();
  for (const { origin, matrix } of checkpoint.quantised) {
    const count = counts.get(origin) ?? { all: 0, kept: 0 };
    count.all += 1;
    count.kept += Number(precision?.keeps?.(matrix) ?? false);
    counts.set(origin, count);
  }
  return [...counts]
    .sort(([, a], [, b]) => b.all - a.all)
    .map(([origin, { all, kept }]) => {
      const line = `${origin}: ${all} ${all === 1 ? 'matrix' : 'matrices'}`;
      if (precision === undefined) return line;
      if (kept === all) return `${line}, kept bit for bit`;
      const fate = precision.name.startsWith('int') ? 'rounded again' : 'dequantised';
      return kept === 0 ? `${line}, ${fate}` : `${line}, ${kept} kept bit for bit, the others ${fate}`;
    });
}
