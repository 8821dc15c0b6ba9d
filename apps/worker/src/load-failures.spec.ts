import { ShoalError } from '@shoal/contracts';
import type { Model } from '@shoal/models';
import { expect, test } from 'vitest';
import { LoadFailures } from './load-failures.js';

const [A, B] = ['a', 'b'].map((name) => ({ name }) as Model) as [Model, Model];

function open() {
  const clock = { now: 0 };
  const failures = new LoadFailures(() => clock.now);
  const isDue = (at: number) => {
    clock.now = at;
    return failures.due.has(A);
  };
  return { clock, failures, isDue };
}

test('each try is twice as long after the last one, up to five minutes', () => {
  const { clock, failures } = open();
  const waits = Array.from({ length: 7 }, () => {
    failures.add(A, new Error('no'));
    const from = clock.now;
    while (!failures.due.has(A)) clock.now += 1000;
    return (clock.now - from) / 1000;
  });
  expect(waits).toEqual([10, 20, 40, 80, 160, 300, 300]);
});

test('somebody who asks for it, and memory that is free again, make it due sooner', () => {
  const { clock, failures, isDue } = open();
  for (let n = 0; n < 4; n++) failures.add(A, new Error('no'));
  failures.memoryFreed();
  expect([isDue(9999), isDue(10_000)]).toEqual([false, true]);
  failures.add(A, new Error('no'));
  failures.hurry((model) => model === B);
  expect(isDue(clock.now + 1)).toBe(false);
  failures.hurry((model) => model === A);
  expect(failures.due.has(A)).toBe(true);
});

test.each([
  [
    'Load model from /srv/models/a/1/onnx/model.onnx failed:no\n  Conv',
    'Load model from onnx/model.onnx failed:no Conv',
  ],
  ["ENOENT: '/home/me/.cache/x y/z.bin', open", "ENOENT: 'x y/z.bin', open"],
  ['https://example.com/a/b and 1/2 stay', 'https://example.com/a/b and 1/2 stay'],
  ['x'.repeat(400), `${'x'.repeat(300)}...`],
])('the reason is told in a line, without folders of the machine: %s', (message, reason) => {
  const { failures } = open();
  const model = { queue: 'a.1.fp32.0', folder: '/srv/models/a/1' } as Model;
  failures.add(model, new ShoalError('device_failed', message));
  expect(failures.told).toEqual([{ queue: model.queue, reason, lasting: false }]);
  failures.add(model, new ShoalError('model_invalid', message));
  expect(failures.told).toEqual([{ queue: model.queue, reason, lasting: true }]);
});

test('what would end the same way is not tried again, whoever asks', () => {
  const { failures, isDue } = open();
  failures.add(A, new Error('too large'), { forGood: true });
  failures.hurry(() => true);
  failures.memoryFreed();
  expect(isDue(1e12)).toBe(false);
  expect([failures.delete(A), failures.delete(A), failures.models.size]).toEqual([true, false, 0]);
});
