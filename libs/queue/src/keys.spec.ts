import { describe, expect, it } from 'vitest';
import { formatJobId, newUlid, parseJobId, queueName, queueTag } from './keys.js';

describe('job ids', () => {
  it('carry their queue, also for model names with dots and dashes', () => {
    const job = { queue: queueName('all-minilm.l6-v2', '3', 'int8'), ulid: newUlid(1_700_000_000_000) };
    expect(parseJobId(formatJobId(job))).toEqual(job);
  });

  it('sort by time', () => {
    expect(newUlid(1000) < newUlid(1001)).toBe(true);
  });

  it.each(['', 'x', '../../etc', 'a.1.fp32.0.short', `a.1.fp32.0.${'u'.repeat(26)}`, `a b.1.fp32.0.${'0'.repeat(26)}`])(
    'are refused where they are none: %j',
    (id) => expect(parseJobId(id)).toBeNull(),
  );
});

describe('queueTag', () => {
  it('is a Cluster hash tag', () => {
    expect(queueTag('m.1.fp32.0')).toBe('{shoal:m.1.fp32.0}');
  });
});
