import { expect, onTestFinished, test, vi } from 'vitest';
import { Lanes } from './lanes.js';

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Enters `count` times for a tenant; `begun` has its name once per turn that has begun. */
function enterAll(lanes: Lanes, tenant: string, count: number, begun: string[], leaves: (() => void)[]): void {
  for (let n = 0; n < count; n++) {
    void lanes.enter(tenant).then((leave) => {
      begun.push(tenant);
      leaves.push(leave);
    });
  }
}

test('a tenant has at most its share of the lanes, and another one finds one free', async () => {
  const begun: string[] = [];
  const lanes = new Lanes(3, 2);
  enterAll(lanes, 'a', 5, begun, []);
  enterAll(lanes, 'b', 1, begun, []);
  await turn();
  expect(begun).toEqual(['a', 'a', 'b']);
});

test('turns go round the tenants, however many of one wait', async () => {
  const begun: string[] = [];
  const leaves: (() => void)[] = [];
  const lanes = new Lanes(1, 1);
  enterAll(lanes, 'a', 4, begun, leaves);
  enterAll(lanes, 'b', 2, begun, leaves);
  for (let n = 0; n < 6; n++) {
    await turn();
    leaves[n]!();
  }
  expect(begun).toEqual(['a', 'a', 'b', 'a', 'b', 'a']);
});

test('a turn that is ended twice frees one lane', async () => {
  const begun: string[] = [];
  const leaves: (() => void)[] = [];
  const lanes = new Lanes(1, 1);
  enterAll(lanes, 'a', 3, begun, leaves);
  await turn();
  leaves[0]!();
  leaves[0]!();
  await turn();
  expect(begun).toEqual(['a', 'a']);
});

test('work is counted by size; what is larger than a tenant’s part has it all', async () => {
  const lanes = new Lanes(10, 5);
  const begun: string[] = [];
  const enter = (tenant: string, size: number) => {
    return lanes.enter(tenant, size).then((leave) => {
      begun.push(`${tenant} ${size}`);
      return leave;
    });
  };
  const large = enter('a', 100);
  void enter('a', 1);
  void enter('b', 2);
  void enter('b', 3);
  void enter('b', 1);
  await turn();
  expect(begun).toEqual(['a 100', 'b 2', 'b 3']);
  (await large)();
  await turn();
  expect(begun).toEqual(['a 100', 'b 2', 'b 3', 'a 1']);
});

test('who rests keeps its own part, and no room of others', async () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const lanes = new Lanes(4, 4);
  const leave = await lanes.enter('acme', 4);
  leave(100);
  const own = lanes.enter('acme');
  (await lanes.enter('zeta', 4))();
  await vi.advanceTimersByTimeAsync(99);
  expect(await Promise.race([own, Promise.resolve('waits')])).toBe('waits');
  await vi.advanceTimersByTimeAsync(1);
  (await own)();
});
