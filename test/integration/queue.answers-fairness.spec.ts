import { expect, inject, test } from 'vitest';
import { written } from '../support/answers.js';
import { type Bench, openBench, TENANT } from '../support/queue-harness.js';
import { resultOf } from '../support/scripted-model.js';

const redisUrl = inject('redisUrl');

/** Finish tags of a tenant's high, normal and low priority. */
async function tagsOf(bench: Bench, tenant = TENANT): Promise<number[]> {
  const tags = (await bench.redis.hget(`${bench.tag}:tags`, tenant)) ?? '';
  return tags.split(' ').slice(0, 3).map(Number);
}

const chargeOf = async (bench: Bench, id: string) => Number(await bench.redis.hget(bench.recordKey(id), 'charge0'));
const oneOf = { lengths: [4], answers: [1000] };

test.each([
  ['fewer', 10],
  ['more', 700],
])(
  'a tenant whose answer had %s tokens than it was charged for is charged for those that were made',
  async (_, used) => {
    const bench = await openBench({ redisUrl });
    const { claims, publisher } = bench.startHolder();
    await bench.submit(1, { ...oneOf, weight: 2 });
    // As long as there is work, tags mean something.
    await bench.submit(2, { tenant: 'other', ...oneOf });
    expect(await tagsOf(bench)).toEqual([0, 130, 130]);
    const claimed = await claims.next(2);
    const { item } = claimed.find((claim) => claim.item.tenant === TENANT)!;
    expect(await publisher.publish([{ item, result: resultOf(1), used }])).toEqual([1]);
    expect(await tagsOf(bench)).toEqual([0, (4 + used) / 2, (4 + used) / 2]);
    // Sent again, it is not corrected again.
    expect(await publisher.publish([{ item, result: resultOf(1), used }])).toEqual([0]);
    expect(await tagsOf(bench)).toEqual([0, (4 + used) / 2, (4 + used) / 2]);
  },
);

test('a cancelled answer is charged for what was made of it, and one that never began for its prompt', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  const id = await bench.submit([1, 2, 3], { lengths: [4, 4, 4], answers: [1000, 50, 1000] });
  await bench.submit(2, { tenant: 'other', ...oneOf });
  expect(await tagsOf(bench)).toEqual([0, 3 * 4 + 256 + 50 + 256, 3 * 4 + 256 + 50 + 256]);
  const [first, second] = (await claims.next(4)).map(({ item }) => item).filter(({ tenant }) => tenant === TENANT);
  await publisher.write([written(first!, 0, 7)]);
  await publisher.publish([{ item: second!, result: resultOf(1), used: 20 }]);
  await bench.store.cancel(TENANT, id);
  expect(await tagsOf(bench)).toEqual([0, 3 * 4 + 7 + 20, 3 * 4 + 7 + 20]);
});

test('what answers have on average is learned, and jobs to come are charged and counted by it', async () => {
  const bench = await openBench({ redisUrl });
  const { claims, publisher } = bench.startHolder();
  for (let n = 0; n < 80; n++) {
    await bench.submit(n, oneOf);
    const [claim] = await claims.next(1);
    await publisher.publish([{ item: claim!.item, result: resultOf(1), used: 30 }]);
    claim!.settle({ kind: 'done' });
  }
  const submit = () => bench.submit(1, { ...oneOf, lengths: [100] });
  let id = await submit();
  await expect
    .poll(async () => {
      await bench.store.remove(TENANT, id);
      id = await submit();
      return chargeOf(bench, id);
    })
    .toBeLessThan(35);
  const charge = await chargeOf(bench, id);
  expect(charge).toBeGreaterThanOrEqual(30);
  expect(await bench.counters()).toMatchObject({ tokens: 100 + charge, outstanding: { [TENANT]: `${100 + charge}` } });
  // No more than it may have.
  expect(await chargeOf(bench, await bench.submit(1, { ...oneOf, answers: [5] }))).toBe(5);
});

test('what comes while urgent answers wait goes behind them, also where those before them were shorter than was charged', async () => {
  const bench = await openBench({ redisUrl });
  let ended = 0;
  const { claims, publisher } = bench.startHolder((taken) => ({ items: 1 - (taken - ended), tokens: 1_000_000 }));
  const submit = (count: number, priority: 'high' | 'low') =>
    bench.store.submit(Array.from({ length: count }, (_, n) => bench.job(n, { ...oneOf, priority })));
  await submit(12, 'high');
  const ranks: number[] = [];
  for (let n = 0; n < 16; n++) {
    if (n === 6) await submit(4, 'low');
    const [claim] = await claims.next(1);
    ranks.push(claim!.item.rank);
    await publisher.begin([claim!.item]);
    await publisher.publish([{ item: claim!.item, result: resultOf(1), used: 4 }]);
    ended++;
    claim!.settle({ kind: 'done' });
  }
  expect(ranks.join('')).toBe('1111111111113333');
});

test('a tenant with answers ten times as long as those of another gets its share of tokens, and no more', async () => {
  const bench = await openBench({ redisUrl });
  const used = { long: 400, short: 40 };
  const made = { long: 0, short: 0 };
  let ended = 0;
  const { claims, publisher } = bench.startHolder((taken) => ({ items: 1 - (taken - ended), tokens: 1_000_000 }));
  const submit = (tenant: string) => bench.submit(1, { ...oneOf, tenant });
  for (let n = 0; n < 3; n++) await Promise.all([submit('long'), submit('short')]);
  // The first answers are charged by guess.
  for (let n = 0; n < 160; n++) {
    const [claim] = await claims.next(1);
    const { item } = claim!;
    const tenant = item.tenant as keyof typeof used;
    await publisher.begin([item]);
    await publisher.publish([{ item, result: resultOf(1), used: used[tenant] }]);
    if (n >= 30) made[tenant] += used[tenant];
    await submit(tenant);
    ended++;
    claim!.settle({ kind: 'done' });
  }
  const share = made.long / (made.long + made.short);
  expect(share).toBeGreaterThan(0.4);
  expect(share).toBeLessThan(0.6);
});
