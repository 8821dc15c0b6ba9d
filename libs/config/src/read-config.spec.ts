import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { ConfigError, readConfig } from './read-config.js';
import { integer, list, port, text } from './variables.js';

const schema = z.object({ PORT: port().default(8080), TOKEN: text(), TAGS: list().default([]) });

function problemsOf(read: () => unknown) {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('readConfig', () => {
  test('reads typed values and fills in defaults', () => {
    expect(readConfig(schema, { TOKEN: 'x', TAGS: 'a, b', HOME: '/root' })).toEqual({
      PORT: 8080,
      TOKEN: 'x',
      TAGS: ['a', 'b'],
    });
  });

  test('an empty variable counts as unset', () => {
    expect(readConfig(schema, { TOKEN: 'x', PORT: '' }).PORT).toBe(8080);
    expect(problemsOf(() => readConfig(schema, { TOKEN: '' }))).toEqual([
      { variable: 'TOKEN', message: 'must be set' },
    ]);
  });

  test('reports every problem at once, by name and without the value', () => {
    const read = () =>
      readConfig(schema.extend({ LIMIT: integer({ min: 1 }), MODE: z.enum(['fast', 'slow']) }), {
        PORT: 'hunter2',
        LIMIT: '0',
        MODE: 'hunter3',
      });
    expect(problemsOf(read).map((problem) => problem.variable)).toEqual(['PORT', 'TOKEN', 'LIMIT', 'MODE']);
    expect(read).toThrow('PORT: must be a whole number from 0 to 65535\nTOKEN: must be set\nLIMIT: ');
    expect(read).not.toThrow(/hunter/);
  });

  test('the config is frozen, lists included', () => {
    const config = readConfig(schema, { TOKEN: 'x', TAGS: 'a' });
    expect(Object.isFrozen(config)).toBe(true);
    expect(Object.isFrozen(config.TAGS)).toBe(true);
  });
});

describe('X_FILE', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'shoal-config-'));
    writeFileSync(join(folder, 'token'), 'secret\n');
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  test('gives the content of the file without its last newline', () => {
    expect(readConfig(schema, { TOKEN_FILE: join(folder, 'token') }).TOKEN).toBe('secret');
  });

  test('beside the variable itself is refused', () => {
    expect(problemsOf(() => readConfig(schema, { TOKEN: 'x', TOKEN_FILE: join(folder, 'token') }))).toEqual([
      { variable: 'TOKEN', message: 'give TOKEN or TOKEN_FILE, not both' },
    ]);
  });

  test('a file that cannot be read is one problem of its variable', () => {
    expect(problemsOf(() => readConfig(schema, { TOKEN_FILE: join(folder, 'none') }))).toEqual([
      { variable: 'TOKEN', message: 'the file of TOKEN_FILE cannot be read (ENOENT)' },
    ]);
  });
});
