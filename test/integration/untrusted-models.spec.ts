/** Models whose own files would keep or end the process that reads them: an API with such folders serves the others. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, inject, onTestFinished, test } from 'vitest';
import { ROOT, startApi } from '../support/processes.js';

const LOOP = '{% for i in range(1000) %}'.repeat(6) + '{% endfor %}'.repeat(6);
const BACKTRACKING = { type: 'Split', pattern: { Regex: '(a|a|a|a|aa)+$' }, behavior: 'Isolated', invert: false };
const DOUBLING = { type: 'Replace', pattern: { String: '☃' }, content: '☃☃' };
const GROWTH = { type: 'Sequence', normalizers: Array.from({ length: 26 }, () => DOUBLING) };

async function openHostile() {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-untrusted-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const nameOf = (what: string) => `untrusted-${what}-${process.pid}`;
  const copy = (of: string, what: string) => {
    const version = join(folder, nameOf(what), '1');
    cpSync(join(ROOT, 'models', of, '1'), version, { recursive: true });
    return version;
  };
  const change = (what: string, fields: object) => {
    const file = join(copy('wordnet-topic', what), 'tokenizer.json');
    writeFileSync(file, JSON.stringify({ ...(JSON.parse(readFileSync(file, 'utf8')) as object), ...fields }));
  };
  copy('wordnet-topic', 'honest');
  change('regex', { pre_tokenizer: BACKTRACKING });
  change('growth', { normalizer: GROWTH });
  writeFileSync(join(copy('wordnet-lm', 'loop'), 'chat_template.jinja'), LOOP);
  const api = await startApi({ redisUrl: inject('redisUrl'), env: { SHOAL_MODELS_DIR: folder } });
  onTestFinished(async () => void (await api.stop()));
  const submit = async (what: string, input: unknown) => {
    const response = await fetch(`${api.url}/v1/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: nameOf(what), input }),
    });
    const { code } = (await response.json()) as { code?: string };
    return [response.status, code];
  };
  return { api, nameOf, submit };
}

test('a tokenizer that could end the process, or fill its memory, is skipped with the reason', async () => {
  const { api, nameOf, submit } = await openHostile();
  const skipped = (what: string, field: string) =>
    new RegExp(`"event":"model.skipped","folder":"${nameOf(what)}/1",.*"message":"tokenizer.json: ${field}`);
  expect(api.output()).toMatch(skipped('regex', 'pre_tokenizer.pattern.Regex repeats what can match'));
  expect(api.output()).toMatch(skipped('growth', 'normalizer.normalizers.3. makes texts up to 16 times'));
  expect(await submit('regex', `${'a'.repeat(28)}b`)).toEqual([404, 'model_not_found']);
  expect(await submit('growth', '☃')).toEqual([404, 'model_not_found']);
  expect(await submit('honest', 'a small knob')).toEqual([202, undefined]);
});

test('a chat template that does not end fails its own requests, and the others go on meanwhile', async () => {
  const { submit } = await openHostile();
  let over = false;
  const looping = submit('loop', { messages: [{ role: 'user', content: 'Hello' }] }).finally(() => {
    over = true;
  });
  const meanwhile: unknown[] = [];
  while (!over) meanwhile.push(await submit('honest', 'a small knob'));
  expect(await looping).toEqual([500, 'inference_failed']);
  expect(meanwhile.length).toBeGreaterThan(1);
  expect(meanwhile).toEqual(meanwhile.map(() => [202, undefined]));
  // Without a template it is a model as any other.
  expect(await submit('loop', 'Define oak (noun).')).toEqual([202, undefined]);
});
