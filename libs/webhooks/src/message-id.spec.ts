import { expect, test } from 'vitest';
import { messageId } from './message-id.js';

test('follows from its source, and sorts by time', () => {
  const id = messageId(1_767_225_600_000, 'queue', '1-0', 'ep_1');
  expect(id).toMatch(/^msg_[0-9a-hjkmnp-tv-z]{26}$/);
  expect(messageId(1_767_225_600_000, 'queue', '1-0', 'ep_1')).toBe(id);
  expect(messageId(1_767_225_600_000, 'queue', '1-0', 'ep_2')).not.toBe(id);
  expect(messageId(1_767_225_600_001, 'queue', '1-0', 'ep_1') > id).toBe(true);
});
