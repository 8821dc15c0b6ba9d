/** What a hub does not give, or says that nobody may do: told in words, and nothing is written. */
import { createHash } from 'node:crypto';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { listen } from '../testing/listen.js';
import { openBench } from '../testing/pulling.js';
import { serveBytes } from '../testing/serve-bytes.js';
import { bytes, FILES, serve, WEIGHTS, withToken } from '../testing/tiny-hub.js';

const { bench, refusal } = openBench();

describe('is refused with what to do:', () => {
  test('what is gated, with and without a token', async () => {
    const { hub, settings } = await serve({ token: 'canary', gated: true });
    const page = `${hub.url}/org/tiny`;
    expect(await refusal('hf:org/tiny', settings)).toBe(
      `hf:org/tiny is gated: accept its conditions on ${page}, then set HF_TOKEN to a token of that account.`,
    );
    expect(await refusal('hf:org/tiny', withToken(hub.url, 'other'))).toBe(
      `hf:org/tiny is gated: accept its conditions on ${page}, with the account that HF_TOKEN is of.`,
    );
  });

  test('what is private or is not there', async () => {
    const { hub, settings } = await serve({ token: 'canary' });
    expect(await refusal('hf:org/tiny', settings)).toMatch(
      /is not there: look at its name .*; if it is private, set HF_TOKEN to a token/,
    );
    expect(await refusal('hf:org/none', withToken(hub.url, 'canary'))).toMatch(
      /if it is private, HF_TOKEN may not read it\.$/,
    );
  });

  test('a token that is not taken', async () => {
    const { hub } = await serve();
    hub.intercept = (_, response) => {
      response.writeHead(401).end();
      return true;
    };
    const message = await refusal('hf:org/tiny', withToken(hub.url, 'canary'));
    expect(message).toBe(
      `hf:org/tiny: the hub does not take the token of HF_TOKEN; ${hub.url}/settings/tokens makes another.`,
    );
  });

  test('a revision and a file that there are not', async () => {
    const { settings } = await serve();
    expect(await refusal('hf:org/tiny@v9', settings)).toMatch(/^hf:org\/tiny has no revision v9; /);
    expect(await refusal('hf:org/tiny/none.gguf', settings)).toBe('hf:org/tiny has no none.gguf.');
  });

  test.each<[Readonly<Record<string, Buffer>>, RegExp]>([
    [
      { 'config.json': bytes('{}'), 'pytorch_model.bin': bytes('x') },
      /has its weights as a pickle \(pytorch_model\.bin\), which can run code/,
    ],
    [{ 'adapter_model.safetensors': bytes('x') }, /is a LoRA adapter/],
    [
      { 'model.onnx': bytes('x'), 'model.onnx_data': bytes('x'), 'model.onnx_data/more': bytes('x') },
      /lists model\.onnx_data as a file and as a folder: nothing of it is taken\.$/,
    ],
    [{ 'README.md': bytes('x') }, /has neither model\.safetensors, nor a GGUF, nor an ONNX file\.$/],
    [
      { 'onnx/model_a.onnx': bytes('x'), 'onnx/model_b.onnx': bytes('y') },
      /holds 2 ONNX files; name the one to take:\n {2}hf:org\/tiny\/onnx\/model_a/,
    ],
  ])('a repository of %j', async (files, message) => {
    const { settings } = await serve({ files });
    expect(await refusal('hf:org/tiny', settings)).toMatch(message);
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  test('a pickle that is named', async () => {
    const { settings } = await serve();
    expect(await refusal('hf:org/tiny/pytorch_model.bin', settings)).toMatch(/is a pickle, which can run code/);
  });

  test.each([
    '../../evil.json',
    '/etc/evil.json',
    'a/../../evil.json',
    'a\\..\\evil.json',
    'c:evil.json',
    'evil\u202egnp.json',
    `${'x'.repeat(245)}.json`,
    'a//b.json',
  ])('a list with the name %j: nothing of it is taken', async (name) => {
    const { settings } = await serve({ files: { ...FILES, [name]: bytes('x') } });
    expect(await refusal('hf:org/tiny', settings)).toMatch(
      /^[^\p{Cc}\p{Cf}]*lists a file by a path that leads elsewhere [^\p{Cc}\p{Cf}]*$/u,
    );
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  test('a folder by a name that is too long', async () => {
    const { settings } = await serve();
    const to = join(bench.folder, 'x'.repeat(250));
    expect(await refusal('hf:org/tiny', settings, { to })).toBe(`${to} cannot be made (ENAMETOOLONG).`);
  });

  test('a folder in the place of a file', async () => {
    const { hub, settings } = await serve();
    hub.intercept = (request) => {
      if (!request.url?.includes('/resolve/')) return false;
      const [partial = ''] = readdirSync(bench.folder).filter((name) => name.endsWith('.partial'));
      mkdirSync(join(bench.folder, partial, 'config.json'), { recursive: true });
      return false;
    };
    const message = await refusal('hf:org/tiny', settings, { to: join(bench.folder, 'tiny') });
    expect(message).toMatch(/config\.json cannot be written \(\w+\); what has come is kept\.$/);
  });

  test('more than may be, before anything is fetched', async () => {
    const { hub, settings } = await serve();
    expect(await refusal('hf:org/tiny', settings, { maxBytes: 1_000_000 })).toMatch(
      /has 3\.0 MB, and --max-size allows 1\.0 MB\.$/,
    );
    expect(await refusal('hf:org/tiny', settings, { maxBytes: 1024 })).toMatch(/allows 1024 bytes\.$/);
    // Rounded they would be the same.
    expect(await refusal('hf:org/tiny', settings, { maxBytes: 2_999_999 })).toMatch(
      /has 30000\d\d bytes, and --max-size allows 2999999 bytes\.$/,
    );
    expect(hub.asked.some((request) => request.path.includes('/resolve/'))).toBe(false);
  });

  test('what there is no room for, before anything is fetched', async () => {
    const { hub, settings } = await serve();
    const huge = 2 ** 52;
    hub.intercept = (request, response) => {
      if (!request.url?.includes('/tree/')) return false;
      const oid = createHash('sha256').update('x').digest('hex');
      response.end(
        JSON.stringify([{ type: 'file', path: 'model.safetensors', size: huge, oid, lfs: { oid, size: huge } }]),
      );
      return true;
    };
    expect(await refusal('hf:org/tiny', settings, { maxBytes: 2 ** 53 })).toMatch(
      /has room for .*, and \d+\.\d GB are still to come\.$/,
    );
    expect(hub.asked.some((request) => request.path.includes('/resolve/'))).toBe(false);
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  test('a list with one name twice', async () => {
    const { hub, settings } = await serve();
    hub.intercept = (request, response) => {
      if (!request.url?.includes('/tree/')) return false;
      const oid = 'a'.repeat(64);
      const entry = { type: 'file', path: 'model.safetensors', size: 5, oid, lfs: { oid, size: 5 } };
      response.end(JSON.stringify([entry, entry]));
      return true;
    };
    expect(await refusal('hf:org/tiny', settings)).toMatch(/lists model\.safetensors twice: nothing of it is taken\.$/);
    expect(readdirSync(bench.folder)).toEqual([]);
  });

  test('a folder that holds something else', async () => {
    const { settings } = await serve();
    const to = join(bench.folder, 'mine');
    mkdirSync(to);
    writeFileSync(join(to, 'a'), '');
    expect(await refusal('hf:org/tiny', settings, { to })).toMatch(
      /mine is there and holds something else: remove it first/,
    );
    expect(readdirSync(to)).toEqual(['a']);
  });
});

describe('redirects', () => {
  test('into a private network are refused, unless that is allowed', async () => {
    const cdn = await listen((request, response) => serveBytes(request, response, { bytes: WEIGHTS }));
    onTestFinished(() => cdn.close());
    const { settings } = await serve({}, { files: cdn.url });
    expect(await refusal('hf:org/tiny', settings)).toMatch(
      new RegExp(`is redirected to, over http://.* SHOAL_SOURCE_ALLOW=127\\.0\\.0\\.1/32:${cdn.port}\\.$`),
    );
    expect(cdn.asked).toEqual([]);
  });

  test.each([
    [
      'https://10.0.0.1/x',
      /^https:\/\/10\.0\.0\.1\/x is redirected to, and is not on the public internet;.*SHOAL_SOURCE_ALLOW=10\.0\.0\.1\/32:443/,
    ],
    ['https://[::1]/x', /not on the public internet;.*SHOAL_SOURCE_ALLOW=\[::1\]\/128:443/],
    ['https://169.254.169.254/latest/meta-data', /not on the public internet/],
    ['https://localhost/x', /not on the public internet/],
    ['https://2130706433/x', /not on the public internet/],
    ['http://8.8.8.8/x', /over http:\/\//],
    ['file:///etc/passwd', /is no https:\/\/ URL/],
    ['https://me:secret@8.8.8.8/x', /must not hold a user name/],
    ['http://[', /redirects to what is no URL/],
  ])('to %s are refused', async (location, message) => {
    const { hub, settings } = await serve();
    hub.intercept = (request, response) => {
      if (!request.url?.startsWith('/blobs/')) return false;
      response.writeHead(302, { location }).end();
      return true;
    };
    const said = await refusal('hf:org/tiny', settings);
    expect(said).toMatch(message);
    expect(said).not.toContain('secret');
  });

  test('in a circle end', async () => {
    const { hub, settings } = await serve();
    hub.intercept = (_, response) => {
      response.writeHead(307, { location: '/again' }).end();
      return true;
    };
    expect(await refusal('hf:org/tiny', settings)).toMatch(/redirects more than 5 times\.$/);
  });
});
