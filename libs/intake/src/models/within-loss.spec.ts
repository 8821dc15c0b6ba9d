import type { ShoalError } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { describe, expect, test } from 'vitest';
import { fakeFace } from '../testing/fake-face.js';
import { type Measured, measuredVersion } from '../testing/measured.js';
import { Catalog, type Offer, type Standing } from './catalog.js';
import { type Allowed, boundOf, speedOf } from './within-loss.js';

const FACE = fakeFace('topic', 'text-classification');
const ONE = { batch: 1, tokens: 16 };

interface Setting extends Partial<Pick<Offer, 'aliases'>>, Partial<Standing> {
  readonly isBehind?: (queue: string) => boolean;
}

function catalogOf(others: Readonly<Record<string, Measured | null>>, setting: Setting = {}): Catalog {
  const { aliases, isBehind, ...standing } = setting;
  const catalog = new Catalog({ versions: [measuredVersion(FACE, others)], ...(aliases && { aliases }) }, isBehind);
  catalog.note({ wishes: new Map(), workers: new Map(), awaited: new Set(), failed: new Map(), ...standing });
  return catalog;
}

function choiceOf(
  catalog: Catalog,
  loss: number,
  shape: Omit<Allowed, 'loss'> = ONE,
  before?: string,
  asked = 'topic',
) {
  return catalog.within(catalog.choose(asked, 0, loss), { loss, ...shape }, before);
}

const variantOf = (...given: Parameters<typeof choiceOf>) => choiceOf(...given).model.variant;
const codeOf = (run: () => unknown) => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as ShoalError).code;
  }
};

const OTHERS = {
  int8: { bound: 0.005, speed: 1.5 },
  layers2: { bound: 0.02, speed: 2.5 },
  static: { bound: 0.02, speed: 40, verdict: 'forced' },
  odd: null,
} as const;

test.each([
  [0, 'fp32'],
  [0.004, 'fp32'],
  [0.005, 'int8'],
  [0.019, 'int8'],
  [0.02, 'layers2'],
  [1e9, 'layers2'],
])(
  'a request that allows %d gets %s: the fastest whose bound fits, and none that did not pass or was not measured',
  (loss, expected) => {
    expect(variantOf(catalogOf(OTHERS), loss)).toBe(expected);
  },
);

test('of equally fast variants the one that loses least is taken, then the one that the folder has first', () => {
  const equal = { a: { bound: 0.02, speed: 2 }, b: { bound: 0.01, speed: 2 }, c: { bound: 0.01, speed: 2 } };
  expect(variantOf(catalogOf(equal), 0.02)).toBe('b');
  expect(variantOf(catalogOf({ slow: { bound: 0, speed: 1 } }), 0.02)).toBe('fp32');
});

test('speeds count at the shape that is nearest to the request', () => {
  const shapes = (...ratios: number[]) =>
    [1, 16]
      .flatMap((batch) => [16, 128].map((tokens) => ({ batch, tokens })))
      .map((shape, n) => ({ ...shape, ratio: ratios[n]! }));
  const catalog = catalogOf({
    a: { bound: 0.01, speed: shapes(3, 2, 1.1, 0.5) },
    b: { bound: 0.01, speed: shapes(2, 3, 1.2, 0.6) },
  });
  const at = (batch: number, tokens: number | null) => variantOf(catalog, 0.01, { batch, tokens });
  expect([at(1, 10), at(1, 200), at(500, 10), at(500, 200)]).toEqual(['a', 'b', 'b', 'fp32']);
  // The boundary lies at the mean of the logarithms: 45 of 16 and 128.
  expect([at(3, 45), at(3, 46), at(5, 16)]).toEqual(['a', 'b', 'b']);
  expect([at(2, null), at(500, null)]).toEqual(['a', 'b']);
});

describe('what takes no jobs is passed over', () => {
  const failure = { reason: 'no memory.', everywhere: true, lasting: false };

  test('a variant that is unloaded or did not load, and the original as well', () => {
    const unloaded = (name: string) => ({ wishes: new Map([[name, 'unload' as const]]) });
    expect(variantOf(catalogOf(OTHERS, unloaded('topic@1:layers2')), 0.02)).toBe('int8');
    expect(variantOf(catalogOf(OTHERS, unloaded('topic:fp32')), 0.02)).toBe('layers2');
    for (const everywhere of [true, false]) {
      const failed = new Map([['topic.1.layers2.0', { ...failure, everywhere }]]);
      expect(variantOf(catalogOf(OTHERS, { failed }), 0.02)).toBe('int8');
    }
    expect(variantOf(catalogOf(OTHERS, { failed: new Map([['topic.1.fp32.0', failure]]) }), 0.02)).toBe('layers2');
  });

  test('and where nothing is left that fits, that is told: nothing worse is served', () => {
    const wishes = new Map([['topic:fp32', 'unload' as const]]);
    expect(() => choiceOf(catalogOf(OTHERS, { wishes }), 0.001)).toThrow(/POST \/v1\/models\/topic@1:fp32\/load/);
    expect(codeOf(() => choiceOf(catalogOf(OTHERS, { wishes }), 0.001))).toBe('model_unloaded');
    const failed = new Map([['topic.1.fp32.0', failure]]);
    expect(codeOf(() => choiceOf(catalogOf(OTHERS, { failed }), 0.001))).toBe('model_failed');
    // Not yet tried by all: its jobs wait.
    failed.set('topic.1.fp32.0', { ...failure, everywhere: false });
    expect(variantOf(catalogOf(OTHERS, { failed }), 0.001)).toBe('fp32');
  });
});

describe('a variant that no worker has loaded yet', () => {
  const awaiting = (...variants: string[]) => new Set(variants.map((variant) => `topic.1.${variant}.0`));

  test('leaves requests to the fastest that one has, and is told as wanted until one has it', () => {
    const catalog = catalogOf(OTHERS, { awaited: awaiting('int8', 'layers2') });
    expect([variantOf(catalog, 0.02), variantOf(catalog, 0.005)]).toEqual(['fp32', 'fp32']);
    expect(catalog.wanted).toEqual(['topic.1.layers2.0', 'topic.1.int8.0']);
    catalog.note({ wishes: new Map(), workers: new Map(), awaited: awaiting('layers2'), failed: new Map() });
    expect([variantOf(catalog, 0.02), catalog.wanted]).toEqual(['int8', ['topic.1.layers2.0']]);
    catalog.note({ wishes: new Map(), workers: new Map(), awaited: awaiting(), failed: new Map() });
    expect([variantOf(catalog, 0.02), catalog.wanted]).toEqual(['layers2', []]);
  });

  test('is wanted by none that may not have it, nor where it does not load', () => {
    const failure = { reason: 'no memory.', everywhere: true, lasting: false };
    const failed = new Map([['topic.1.layers2.0', failure]]);
    const catalog = catalogOf(OTHERS, { awaited: awaiting('int8', 'layers2'), failed });
    expect([variantOf(catalog, 0.004), variantOf(catalog, 0, ONE)]).toEqual(['fp32', 'fp32']);
    expect(catalog.wanted).toEqual([]);
    expect(variantOf(catalog, 0.02)).toBe('fp32');
    expect(catalog.wanted).toEqual(['topic.1.int8.0']);
  });

  test('is wanted before the original’s queue is behind, so that it is there by then', () => {
    const catalog = catalogOf(OTHERS, { awaited: awaiting('layers2'), isBehind: () => false });
    expect([variantOf(catalog, 0.02), catalog.wanted]).toEqual(['fp32', ['topic.1.layers2.0']]);
  });

  test('gets a job all the same where nothing else that fits takes any, and where the job has gone to it before', () => {
    const wishes = new Map([['topic:fp32', 'unload' as const]]);
    const awaited = awaiting('fp32', 'int8', 'layers2');
    expect(variantOf(catalogOf(OTHERS, { wishes, awaited }), 0.02)).toBe('layers2');
    expect(variantOf(catalogOf(OTHERS, { wishes, awaited: awaiting('layers2') }), 0.02)).toBe('int8');
    expect(variantOf(catalogOf(OTHERS, { awaited }), 0.02)).toBe('fp32');
    expect(variantOf(catalogOf(OTHERS, { awaited }), 0.02, ONE, 'topic.1.int8.0')).toBe('int8');
  });
});

describe('names', () => {
  test('that name a variant leave no choice, which is told with the field and what to ask for', () => {
    const catalog = catalogOf(OTHERS);
    for (const [asked, free] of [
      ['topic:int8', 'topic'],
      ['topic@1:fp32', 'topic@1'],
    ] as const) {
      const run = () => choiceOf(catalog, 0.02, ONE, undefined, asked);
      expect(run).toThrow(`max_accuracy_loss: ${asked} names the variant: leave this out, or ask for ${free}`);
      expect(codeOf(run)).toBe('invalid_request');
      expect(variantOf(catalog, 0, ONE, undefined, asked)).toBe(asked.split(':')[1]);
    }
    expect(codeOf(() => choiceOf(catalog, 0.02, ONE, undefined, 'topic:none'))).toBe('model_not_found');
  });

  test('of models.json leave it, whatever they stand for, and the answer tells what that was', () => {
    const aliases = new Map([['small', [{ target: 'topic:odd', weight: 1 }]]]);
    const catalog = catalogOf(OTHERS, { aliases });
    expect(choiceOf(catalog, 0, ONE, undefined, 'small').selector).toBe('topic@1:odd');
    expect(choiceOf(catalog, 0.02, ONE, undefined, 'small').selector).toBe('topic@1:layers2');
    expect(choiceOf(catalog, 0.001, ONE, undefined, 'small').selector).toBe('topic@1');
  });

  test('the answer names a variant that the plain name does not stand for', () => {
    const catalog = catalogOf(OTHERS);
    expect([0, 0.001, 0.02].map((loss) => choiceOf(catalog, loss).selector)).toEqual([
      undefined,
      undefined,
      'topic@1:layers2',
    ]);
  });
});

test('a job whose key has gone to a variant before stays with it as long as that fits', () => {
  const catalog = catalogOf(OTHERS);
  expect(variantOf(catalog, 0.02, ONE, 'topic.1.int8.0')).toBe('int8');
  expect(variantOf(catalog, 0.001, ONE, 'topic.1.int8.0')).toBe('fp32');
  expect(variantOf(catalog, 0.02, ONE, 'topic.1.static.0')).toBe('layers2');
});

test('where requests go down under load only, they do while the original’s queue is behind', () => {
  const behind = new Set<string>();
  const catalog = catalogOf(OTHERS, { isBehind: (queue) => behind.has(queue) });
  const all = () => [0, 0.005, 0.02].map((loss) => variantOf(catalog, loss));
  expect(all()).toEqual(['fp32', 'fp32', 'fp32']);
  behind.add('topic.1.int8.0');
  expect(all()).toEqual(['fp32', 'fp32', 'fp32']);
  behind.add('topic.1.fp32.0');
  expect(all()).toEqual(['fp32', 'int8', 'layers2']);
});

/** Numbers from 0 to 1 (Numerical Recipes' linear congruential generator). */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('in 10,000 tables and requests never a variant above what is allowed, and always the fastest that fits', () => {
  const random = randomOf(7);
  const below = (n: number) => Math.floor(random() * n);
  const oneOf = <T>(all: readonly T[]) => all[below(all.length)]!;
  let lossy = 0;
  for (let n = 0; n < 10_000; n++) {
    const others = Object.fromEntries(
      Array.from({ length: below(7) }, (_, k): [string, Measured | null] => {
        const shapes = Array.from({ length: 1 + below(4) }, () => ({
          ...{ batch: 1 + below(64), tokens: 1 + below(256) },
          // Few values: equals are common.
          ratio: oneOf([0.5, 1, 1.5, 2, 2 + random()]),
        }));
        const measured = {
          bound: oneOf([-0.01, 0, 0.01, 0.02, random() / 10]),
          speed: shapes,
          verdict: oneOf(['passed', 'passed', 'forced'] as const),
        };
        return [`v${k}`, random() < 0.1 ? null : measured];
      }),
    );
    const names = ['fp32', ...Object.keys(others)];
    const gone = names.filter(() => random() < 0.1);
    const failing = names.filter(() => random() < 0.1);
    const waiting = names.filter(() => random() < 0.2);
    const queueOf = (variant: string) => `topic.1.${variant}.0`;
    const failure = { reason: 'no memory', everywhere: true, lasting: true };
    const underLoad = random() < 0.5;
    const behind = random() < 0.5;
    const catalog = catalogOf(others, {
      wishes: new Map(gone.map((variant) => [`topic:${variant}`, 'unload' as const])),
      failed: new Map(failing.map((variant) => [queueOf(variant), failure])),
      awaited: new Set(waiting.map(queueOf)),
      ...(underLoad && { isBehind: () => behind }),
    });
    const loss = oneOf([0.01, 0.02, random() / 10]);
    const allowed = { loss, batch: 1 + below(100), tokens: random() < 0.2 ? null : 1 + 200 * random() };
    const { variants } = measuredVersion(FACE, others);
    const fits = (model: Model) =>
      model.variant === 'fp32' || (model.quality?.verdict === 'passed' && model.quality.loss.bound <= loss);
    const taking = variants.filter(
      (model) => fits(model) && !gone.includes(model.variant) && !failing.includes(model.variant),
    );
    const loaded = taking.filter(({ variant }) => variant === 'fp32' || !waiting.includes(variant));
    const open = loaded.length > 0 ? loaded : taking;
    if (open.length === 0) {
      const refused = codeOf(() => choiceOf(catalog, loss, allowed));
      expect(['model_unloaded', 'model_failed']).toContain(refused);
      continue;
    }
    const { model } = choiceOf(catalog, loss, allowed);
    expect(open.map(({ queue }) => queue)).toContain(model.queue);
    expect(boundOf(model)).toBeLessThanOrEqual(loss);
    // The same table and the same request: the same variant.
    expect(choiceOf(catalog, loss, allowed).model).toBe(model);
    if (underLoad && !behind) {
      const least = open.some(({ variant }) => variant === 'fp32') ? 0 : Math.min(...open.map(boundOf));
      expect(boundOf(model)).toBe(least);
      continue;
    }
    if (model.variant !== 'fp32') lossy++;
    for (const other of open) {
      const [own, its] = [speedOf(model, allowed), speedOf(other, allowed)];
      expect(own).toBeGreaterThanOrEqual(its);
      if (own === its) expect(boundOf(model)).toBeLessThanOrEqual(boundOf(other));
    }
  }
  expect(lossy).toBeGreaterThan(1000);
});
