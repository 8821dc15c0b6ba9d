/** How far something is, as it is shown. */
import { expect, test } from 'vitest';
import { ProgressDisplay, Rate } from './progress.js';

/** A display whose clock is moved by hand. */
function open(isTerminal: boolean) {
  const drawn: string[] = [];
  const printed: string[] = [];
  const clock = { now: 0 };
  const display = new ProgressDisplay({
    isTerminal,
    draw: (text) => void drawn.push(text),
    print: (line) => void printed.push(line),
    now: () => clock.now,
  });
  return { display, drawn, printed, clock };
}

test('a rate is that of the latest seconds', () => {
  const rate = new Rate();
  expect(rate.next(0, 0)).toBeUndefined();
  expect(rate.next(1000, 1000)).toBe(1000);
  for (let second = 2; second <= 6; second++) rate.next(1000 * second, 1000 * second);
  // Five seconds at another pace, and nothing is left of the first one.
  let latest: number | undefined;
  for (let second = 7; second <= 12; second++) latest = rate.next(6000 + (second - 6) * 5000, 1000 * second);
  expect(latest).toBe(5000);
});

test('a rate begins anew where less is there than before', () => {
  const rate = new Rate();
  rate.next(1e6, 0);
  rate.next(2e6, 1000);
  expect(rate.next(0, 2000)).toBeUndefined();
  expect(rate.next(500, 3000)).toBe(500);
});

test('a terminal has one line that is drawn over, with share, size, rate and time left', () => {
  const { display, drawn, printed, clock } = open(true);
  display.show({ name: 'model.safetensors', done: 0, total: 98e6 });
  clock.now = 50;
  display.show({ name: 'model.safetensors', done: 1e6, total: 98e6 });
  clock.now = 1000;
  display.show({ name: 'model.safetensors', done: 24.5e6, total: 98e6 });
  expect(drawn).toEqual([
    '\r\x1b[K  [--------------------] 0 % of 98 MB  model.safetensors',
    '\r\x1b[K  [#####---------------] 25 % of 98 MB, 25 MB/s, 3 s left  model.safetensors',
  ]);
  display.say('Done');
  expect([drawn.at(-1), printed]).toEqual(['\r\x1b[K', ['Done']]);
});

test('elsewhere there is a plain line every ten seconds, and none for what is sooner done', () => {
  const { display, drawn, printed, clock } = open(false);
  for (let second = 0; second <= 25; second++) {
    clock.now = 1000 * second;
    display.show({ name: 'a.gguf', done: second * 1e6, total: 7200e6 });
  }
  expect(printed).toEqual([
    '  [--------------------] 0 % of 7200 MB, 1.0 MB/s, 1 h 59 min left  a.gguf',
    '  [--------------------] 0 % of 7200 MB, 1.0 MB/s, 1 h 59 min left  a.gguf',
  ]);
  expect(drawn).toEqual([]);
});

test('what nobody knows the size of has its bytes and its rate; the next step is measured for itself', () => {
  const { display, drawn, clock } = open(true);
  display.show({ name: 'a', done: 90e6, total: 90e6 });
  display.next();
  clock.now = 1000;
  display.show({ name: 'fp32 written', done: 1e6, total: undefined });
  clock.now = 2000;
  display.show({ name: 'fp32 written', done: 3e6, total: undefined });
  expect(drawn.slice(-2)).toEqual(['\r\x1b[K  fp32 written: 1.0 MB', '\r\x1b[K  fp32 written: 3.0 MB, 2.0 MB/s']);
});

test('a line of its own words is drawn as often as others are', () => {
  for (const isTerminal of [true, false]) {
    const { display, drawn, printed, clock } = open(isTerminal);
    for (let n = 0; n <= 300; n++) {
      clock.now = 50 * n;
      display.showLine(`line ${n}`);
    }
    if (isTerminal) {
      expect(drawn).toHaveLength(151);
      expect(drawn.slice(0, 2)).toEqual(['\r\x1b[Kline 0', '\r\x1b[Kline 2']);
    } else expect(printed).toEqual(['line 200']);
  }
});
