import { expect, test } from 'vitest';
import { Sessions } from './sessions.js';

test('sessions are kept as there is room, those used longest ago go first, and all are closed once', async () => {
  const log: string[] = [];
  const sessions = new Sessions<string>(2, async (name) => void log.push(`-${name}`));
  const get = (name: string) =>
    sessions.get(name, async () => {
      log.push(`+${name}`);
      return name;
    });
  for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) expect(await get(name)).toBe(name);
  expect(log).toEqual(['+a', '+b', '-b', '+c', '-c', '+b']);
  await expect(sessions.get('d', () => Promise.reject(new Error('no memory')))).rejects.toThrow('no memory');
  await sessions.close();
  await sessions.close();
  expect(log.slice(6).toSorted()).toEqual(['-a', '-b']);
});
