/** The board where processes meet about models: what each tells, what is wished, and what of it the others see. */
import { ModelBoard, type ProcessModels } from '@shoal/queue';
import { expect, onTestFinished, test } from 'vitest';
import { startOwnRedis } from '../support/own-redis.js';

const API: ProcessModels = { role: 'api', queues: ['a.1.fp32.0'] };
const WORKER: ProcessModels = {
  role: 'worker',
  queues: ['a.1.fp32.0'],
  failed: [{ queue: 'a.2.fp32.0', reason: 'no memory', lasting: false }],
  models: ['a'],
};

async function open(count: number): Promise<ModelBoard[]> {
  const redisUrl = await startOwnRedis();
  const target = { redisUrl, redisCa: undefined, redisCluster: false, redisSentinels: [], allowEviction: false };
  const boards = await Promise.all(Array.from({ length: count }, () => ModelBoard.open(target, () => undefined)));
  onTestFinished(async () => void (await Promise.all(boards.map((board) => board.close()))));
  return boards;
}

test('each process sees what all of them tell, and no more of one that has ended', async () => {
  const [api, worker] = (await open(2)) as [ModelBoard, ModelBoard];
  expect((await worker.exchange(WORKER)).processes).toEqual([WORKER]);
  expect((await api.exchange(API)).processes).toEqual(expect.arrayContaining([API, WORKER]));
  await worker.exchange({ ...WORKER, failed: [] });
  expect((await api.exchange(API)).processes).toContainEqual({ ...WORKER, failed: [] });
  await worker.close();
  expect((await api.exchange(API)).processes).toEqual([API]);
});

test('a wish is seen by all, takes the place of those for parts of it, and is another one each time that it is left', async () => {
  const [api, worker] = (await open(2)) as [ModelBoard, ModelBoard];
  const wish = async (...args: Parameters<ModelBoard['wish']>) => {
    await api.wish(...args);
    const { wishes, marks } = await worker.exchange(WORKER);
    return { wishes: Object.fromEntries(wishes), mark: marks.get('a') };
  };
  await wish('a@1', 'unload');
  await wish('a:int8', 'load');
  expect((await wish('b', 'unload')).wishes).toEqual({ 'a@1': 'unload', 'a:int8': 'load', b: 'unload' });
  const first = await wish('a', 'load');
  expect(first.wishes).toEqual({ a: 'load', b: 'unload' });
  const second = await wish('a', 'load');
  expect(second.wishes).toEqual(first.wishes);
  expect([first.mark, second.mark]).toEqual([expect.any(String), expect.not.stringMatching(first.mark!)]);
  expect((await wish('a@2', null)).mark).toBe(second.mark);
  expect((await wish('a', null)).wishes).toEqual({ b: 'unload' });
});
