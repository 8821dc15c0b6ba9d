import type { Model } from '@shoal/models';
import { describe, expect, test } from 'vitest';
import { fakeFace } from '../testing/fake-face.js';
import { Catalog, type Offer, type ServedVersion, type Standing } from './catalog.js';

function version(name: string, number: string, ...variants: string[]): ServedVersion {
  const face = fakeFace(name, 'feature-extraction', number);
  const model = { ...face.model, variant: variants[0]! };
  return {
    face: { ...face, model },
    variants: variants.map((variant): Model => ({ ...model, variant, queue: `${name}.${number}.${variant}.0` })),
  };
}

const VERSIONS = [version('embed', '10', 'fp32', 'int8'), version('embed', '9', 'fp32'), version('topic', '1', 'fp32')];

const catalogOf = (offer: Partial<Offer> = {}, standing: Partial<Standing> = {}) => {
  const catalog = new Catalog({ versions: VERSIONS, ...offer });
  catalog.note({ wishes: new Map(), workers: new Map(), awaited: new Set(), failed: new Map(), ...standing });
  return catalog;
};
const queueOf = (catalog: Catalog, asked: string, draw = 0) => catalog.choose(asked, draw).model.queue;
const codeOf = (run: () => unknown) => {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as { code: string }).code;
  }
};

test.each([
  ['embed', 'embed.10.fp32.0', undefined],
  ['embed@9', 'embed.9.fp32.0', 'embed@9'],
  ['embed:int8', 'embed.10.int8.0', 'embed@10:int8'],
  ['embed@10:fp32', 'embed.10.fp32.0', 'embed@10'],
])('%s is %s, and the answer says %s', (asked, queue, selector) => {
  const choice = catalogOf().choose(asked, 0.5);
  expect([choice.model.queue, choice.selector]).toEqual([queue, selector]);
});

test.each([
  ['embed@8', /Of this model there are embed@10:fp32, embed@10:int8, embed@9:fp32\./],
  ['embed@9:int8', /Of this model there are/],
  ['embd@9', /Did you mean embed\?/],
  ['@:', /No model of this name/],
])('%s is not found, and the answer tells what there is', (asked, message) => {
  expect(() => catalogOf().choose(asked, 0)).toThrow(message);
  expect(codeOf(() => catalogOf().choose(asked, 0))).toBe('model_not_found');
});

describe('aliases', () => {
  const aliases = new Map([
    ['prod', [{ target: 'embed@9', weight: 1 }]],
    ['trial', ['embed@9', 'embed@10:int8', 'embed@7'].map((target, n) => ({ target, weight: [3, 1, 4][n]! }))],
    ['topic', [{ target: 'embed@9', weight: 1 }]],
    ['lost', [{ target: 'gone@1', weight: 1 }]],
  ]);

  test('stand for what they name, and the answer says what that was', () => {
    expect(catalogOf({ aliases }).choose('prod', 0)).toMatchObject({ selector: 'embed@9' });
  });

  test('divide jobs by their draws, and what is not served takes none', () => {
    const catalog = catalogOf({ aliases });
    expect([0, 0.74, 0.75, 0.999].map((draw) => queueOf(catalog, 'trial', draw))).toEqual([
      ...['embed.9.fp32.0', 'embed.9.fp32.0', 'embed.10.int8.0', 'embed.10.int8.0'],
    ]);
  });

  test('may say what the name of a model stands for, while its versions are asked for as ever', () => {
    const catalog = catalogOf({ aliases });
    expect([queueOf(catalog, 'topic'), queueOf(catalog, 'topic@1')]).toEqual(['embed.9.fp32.0', 'topic.1.fp32.0']);
  });

  test('are refused in words where nothing stands behind them, or where they are asked for a version', () => {
    const catalog = catalogOf({ aliases });
    expect(() => catalog.choose('lost', 0)).toThrow('This name stands for gone@1, which is not served.');
    expect(() => catalog.choose('prod@2', 0)).toThrow(/prod is another name for embed@9/);
    const own = new Map([['embed', [{ target: 'embed@99', weight: 1 }]]]);
    const unserved = new Map([['embed', 'This model cannot be loaded.']]);
    expect(() => catalogOf({ aliases: own, unserved }).choose('embed', 0)).toThrow(
      'This name stands for embed@99, which is not served.',
    );
  });
});

describe('unloaded models', () => {
  test('take no jobs, and are still listed', () => {
    const catalog = catalogOf({}, { wishes: new Map([['topic', 'unload']]) });
    expect(codeOf(() => catalog.choose('topic', 0))).toBe('model_unloaded');
    expect(catalog.list().map(({ model }) => model.name)).toEqual(['embed', 'topic']);
    expect(catalog.served('topic')).toEqual([{ id: 'topic@1:fp32', state: 'unloaded', workers: 0 }]);
  });

  test('leave their name to another version, and the wish that is most exact counts', () => {
    const catalog = catalogOf(
      {},
      {
        wishes: new Map([
          ['embed@10', 'unload'],
          ['embed@10:int8', 'load'],
        ] as const),
      },
    );
    expect(queueOf(catalog, 'embed')).toBe('embed.10.int8.0');
    expect(codeOf(() => catalog.choose('embed@10:fp32', 0))).toBe('model_unloaded');
    expect(queueOf(catalogOf({}, { wishes: new Map([['embed@10', 'unload']]) }), 'embed')).toBe('embed.9.fp32.0');
  });
});

test('a version that no worker has loaded yet takes no jobs from one that was, unless it is named', () => {
  const catalog = catalogOf({}, { awaited: new Set(['embed.10.fp32.0']) });
  expect([queueOf(catalog, 'embed'), queueOf(catalog, 'embed@10')]).toEqual(['embed.9.fp32.0', 'embed.10.fp32.0']);
  const all = catalogOf({}, { awaited: new Set(['embed.10.fp32.0', 'embed.9.fp32.0']) });
  expect(queueOf(all, 'embed')).toBe('embed.10.fp32.0');
});

describe('a version that a worker could not load, and none has', () => {
  const failure = { reason: 'no memory.', everywhere: false, lasting: false };
  const failed = new Map([['embed.10.fp32.0', failure]]);

  test('takes no jobs from one that has loaded, unless it is named, and is listed as such', () => {
    const catalog = catalogOf({}, { failed });
    expect([queueOf(catalog, 'embed'), queueOf(catalog, 'embed@10')]).toEqual(['embed.9.fp32.0', 'embed.10.fp32.0']);
    expect(catalog.served('embed').map(({ state }) => state)).toEqual(['failed', 'on_demand', 'on_demand']);
    expect(catalog.served('embed')[0]).toMatchObject({ reason: 'no memory.' });
  });

  test('is refused at once where no worker is left that may load it, with the reason', () => {
    const everywhere = new Map([['embed.10.fp32.0', { ...failure, everywhere: true }]]);
    const catalog = catalogOf({}, { failed: everywhere });
    expect(queueOf(catalog, 'embed')).toBe('embed.9.fp32.0');
    expect(codeOf(() => catalog.choose('embed@10', 0))).toBe('model_failed');
    expect(() => catalog.choose('embed@10', 0)).toThrow(
      'No worker can load embed@10:fp32: no memory. It is tried again; POST /v1/models/embed@10:fp32/load does so at once.',
    );
  });

  test.each(['failed', 'awaited'])('leaves its share of an alias to the others (%s)', (why) => {
    const shares = ['embed@9', 'embed@10'].map((target) => ({ target, weight: 1 }));
    const aliases = new Map([['trial', shares]]);
    const both = [0.2, 0.9].map((draw) => queueOf(catalogOf({ aliases }), 'trial', draw));
    expect(both).toEqual(['embed.9.fp32.0', 'embed.10.fp32.0']);
    const catalog = catalogOf({ aliases }, { [why]: why === 'failed' ? failed : new Set(failed.keys()) });
    expect([0.2, 0.9].map((draw) => queueOf(catalog, 'trial', draw))).toEqual(['embed.9.fp32.0', 'embed.9.fp32.0']);
    // That no worker has loaded the other one yet is no reason to wait for this one.
    if (why === 'failed') {
      const soon = catalogOf({ aliases }, { failed, awaited: new Set(['embed.9.fp32.0']) });
      expect([queueOf(soon, 'trial', 0.9), queueOf(soon, 'embed')]).toEqual(['embed.9.fp32.0', 'embed.9.fp32.0']);
    }
    const none = catalogOf(
      { aliases },
      {
        [why]:
          why === 'failed'
            ? new Map([...failed, ['embed.9.fp32.0', failure]])
            : new Set([...failed.keys(), 'embed.9.fp32.0']),
      },
    );
    expect([0.2, 0.9].map((draw) => queueOf(none, 'trial', draw))).toEqual(both);
  });
});

test('jobs of a version that has gone are shown for a while, without what it takes to read inputs', () => {
  const catalog = catalogOf();
  catalog.update({ versions: VERSIONS.slice(0, 1) });
  expect(Object.keys(catalog.presenter('embed', '9')!)).toEqual(['present']);
  expect(codeOf(() => catalog.choose('embed@9', 0))).toBe('model_not_found');
  for (let n = 0; n <= 40; n++) catalog.update({ versions: [version('other', String(n + 1), 'fp32')] });
  expect(catalog.presenter('embed', '9')).toBeUndefined();
});

test('of versions that have gone those are shown that went last, also where one was there again meanwhile', () => {
  const catalog = catalogOf();
  const others = Array.from({ length: 32 }, (_, n) => version('other', String(n + 1), 'fp32'));
  catalog.update({ versions: VERSIONS.slice(0, 1) });
  for (const other of others.slice(0, 16)) catalog.update({ versions: [other] });
  catalog.update({ versions: VERSIONS });
  for (const other of others.slice(16)) catalog.update({ versions: [other] });
  expect(catalog.presenter('embed', '9')).toBeDefined();
  for (const other of others.slice(0, 15))
    catalog.update({ versions: [version('more', other.face.model.version, 'fp32')] });
  expect([catalog.presenter('other', '1'), catalog.presenter('other', '16')]).toEqual([undefined, undefined]);
  expect(catalog.presenter('embed', '9')).toBeDefined();
});
