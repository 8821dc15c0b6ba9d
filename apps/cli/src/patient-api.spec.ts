/** Calls of an API that is busy, or away for a while. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { freePort } from '@shoal/tools/ports';
import { UserError } from '@shoal/tools/user-error';
import { expect, onTestFinished, test } from 'vitest';
import { PatientApi } from './patient-api.js';

const quiet = new AbortController().signal;

async function serve(answer: RequestListener, port = 0): Promise<{ readonly url: string; readonly server: Server }> {
  const server = createServer(answer).listen(port, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => void server.close());
  return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

/** Answers with each of these in turn, and with the last one from then on. */
function inTurn(...answers: readonly (readonly [status: number, body: unknown, retryAfter?: string])[]) {
  let asked = 0;
  const listener: RequestListener = (_, response) => {
    const [status, body, retryAfter] = answers[Math.min(asked, answers.length - 1)]!;
    asked += 1;
    response.writeHead(status, { ...(retryAfter !== undefined && { 'retry-after': retryAfter }) });
    response.end(JSON.stringify(body));
  };
  return { listener, asked: () => asked };
}

test('it says who calls, what is sent and where', async () => {
  const seen: unknown[] = [];
  const { url } = await serve((request, response) => {
    const { method, headers } = request;
    let text = '';
    request.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    request.on('end', () => {
      seen.push([
        method,
        request.url,
        headers.authorization,
        headers['content-type'],
        headers['idempotency-key'],
        text,
      ]);
      response.end('{"a":1}');
    });
  });
  const api = new PatientApi(`${url}/shoal/`, 'secret');
  const headers = { 'idempotency-key': 'k' };
  expect(await api.call('POST', '/v1/jobs', quiet, { body: { x: 'é' }, headers })).toEqual({
    status: 200,
    body: { a: 1 },
  });
  await new PatientApi(url, undefined).call('GET', '/v1/models/m@1:fp32', quiet);
  expect(seen).toEqual([
    ['POST', '/shoal/v1/jobs', 'Bearer secret', 'application/json', 'k', '{"x":"é"}'],
    ['GET', '/v1/models/m@1:fp32', undefined, undefined, undefined, ''],
  ]);
});

test('one that is busy is asked again for as long as that lasts, when it says so', async () => {
  const { listener, asked } = inTurn([429, { detail: 'Too much.' }, '1'], [429, {}, '1'], [200, { done: true }]);
  const { url } = await serve(listener);
  const started = performance.now();
  const api = new PatientApi(url, undefined, { patienceMs: 0 });
  expect(await api.call('GET', '/', quiet, { patience: 'busy' })).toMatchObject({ body: { done: true } });
  expect([asked(), performance.now() - started >= 2000]).toEqual([3, true]);
});

test('that it is busy is said once for each reason, with the reason', async () => {
  const { listener } = inTurn([429, { detail: 'Too much.' }], [429, { detail: 'Too much.' }], [429, {}], [200, {}]);
  const { url } = await serve(listener);
  const said: string[] = [];
  await new PatientApi(url, undefined, { say: (line) => void said.push(line) }).call('GET', '/', quiet);
  expect(said).toEqual([
    `${url} takes no more now: Too much. It is asked again until it does.`,
    `${url} takes no more now: status 429. It is asked again until it does.`,
  ]);
});

test('a call that has a limit ends with it, whether the other one is busy or does not answer', async () => {
  for (const listener of [() => {}, inTurn([429, {}, '60']).listener]) {
    const { url, server } = await serve(listener);
    const ended = new PatientApi(url, undefined).call('GET', '/', quiet, { withinMs: 100 });
    await expect(ended).rejects.toThrow(UserError);
    await expect(ended).rejects.toThrow(`${url} has not answered within 0.1 s.`);
    server.closeAllConnections();
  }
});

test.each([301, 302, 307, 308])(
  'one that points elsewhere by %i is not followed, and it is said where',
  async (status) => {
    const seen: unknown[] = [];
    const { url } = await serve((request, response) => {
      seen.push(request.method);
      response.writeHead(status, { location: `https://shoal.example.com/a${request.url}` }).end();
    });
    const ended = new PatientApi(url, 'secret').call('POST', '/v1/jobs', quiet, { body: {} });
    await expect(ended).rejects.toThrow(UserError);
    await expect(ended).rejects.toThrow(
      `${url} points to https://shoal.example.com/a: give that address in its place.`,
    );
    expect(seen).toEqual(['POST']);
  },
);

test.each([408, 502, 503, 504])(
  'one that answers %i is asked again until it has been away for too long',
  async (status) => {
    const { listener } = inTurn(
      [status, { detail: 'Redis is away.' }],
      [200, {}],
      [status, { detail: 'Redis is away.' }],
    );
    const { url } = await serve(listener);
    const said: string[] = [];
    let at = 0;
    const now = () => {
      at += 40_000;
      return at;
    };
    const api = new PatientApi(url, undefined, { patienceMs: 60_000, now, say: (line) => void said.push(line) });
    expect(await api.call('GET', '/', quiet)).toMatchObject({ status: 200 });
    expect(said).toEqual([`${url} does not answer: Redis is away. It is asked again for 1 min.`]);
    const ended = api.call('GET', '/', quiet);
    await expect(ended).rejects.toThrow(UserError);
    await expect(ended).rejects.toThrow(
      `${url} has not answered for 1 min: Redis is away; once it does, the same command goes on where it was.`,
    );
  },
);

test('one that nobody listens for yet is asked again until somebody does; nothing else is said of it', async () => {
  const port = await freePort();
  const said: string[] = [];
  const api = new PatientApi(`http://127.0.0.1:${port}`, 'canary', { say: (line) => void said.push(line) });
  const reply = api.call('GET', '/', quiet);
  await expect.poll(() => said.length).toBe(1);
  await serve((_, response) => void response.end('{}'), port);
  expect(await reply).toEqual({ status: 200, body: {} });
  expect(said[0]).toMatch(
    /^http:\/\/127\.0\.0\.1:\d+ does not answer: .*ECONNREFUSED.*\. It is asked again for 3 min\.$/,
  );
});

test('where it is only tried, nobody waits', async () => {
  const url = `http://127.0.0.1:${await freePort()}`;
  const tried = new PatientApi(url, undefined).call('GET', '/', quiet, { patience: 'busy' });
  await expect(tried).rejects.toThrow(new RegExp(`^${url} does not answer: .*ECONNREFUSED`));
  const { url: busy } = await serve(inTurn([429, { detail: 'Too much.' }, '60']).listener);
  const once = new PatientApi(busy, undefined).call('GET', '/', quiet, { patience: 'none' });
  await expect(once).rejects.toThrow(`${busy} takes no more now: Too much.`);
});

test('a port that is kept for another protocol is named', async () => {
  const tried = new PatientApi('http://127.0.0.1:9', undefined).call('GET', '/', quiet, { patience: 'busy' });
  await expect(tried).rejects.toThrow('http://127.0.0.1:9 does not answer: port 9 may not be used by HTTP clients.');
});

test('what is refused is no trouble, and an answer that is no JSON has no body', async () => {
  const { url } = await serve((_, response) => void response.writeHead(404).end('<html>'));
  expect(await new PatientApi(url, undefined).call('GET', '/', quiet)).toEqual({ status: 404, body: undefined });
});

test('stopped, it rejects with the reason, while it asks and while it waits', async () => {
  const reason = new Error('Ctrl-C');
  for (const listener of [() => {}, inTurn([429, {}, '60']).listener]) {
    const stop = new AbortController();
    const { url, server } = await serve(listener);
    const ended = new PatientApi(url, undefined).call('GET', '/', stop.signal);
    await once(server, 'request');
    stop.abort(reason);
    await expect(ended).rejects.toBe(reason);
    server.closeAllConnections();
  }
});
