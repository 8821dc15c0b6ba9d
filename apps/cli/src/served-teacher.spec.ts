import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Model } from '@shoal/models';
import { UserError } from '@shoal/tools/user-error';
import { expect, onTestFinished, test } from 'vitest';
import { PatientApi } from './patient-api.js';
import { ServedTeacher } from './served-teacher.js';

const quiet = new AbortController().signal;
const ORIGINAL = {
  name: 'm',
  version: 1,
  variant: 'fp32',
  task: 'text-classification',
  labels: [],
} as unknown as Model;
const PAGE = { key: 'k', questions: ['a'], parameters: {} };

const busy: RequestListener = (_, response) => {
  response.writeHead(429, { 'retry-after': '1' }).end('{"detail":"Too much."}');
};

async function serve(answer: RequestListener): Promise<{ readonly url: string; readonly teacher: ServedTeacher }> {
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { url, teacher: new ServedTeacher(new PatientApi(url, undefined), { findMs: 200, forgetMs: 200 }) };
}

test('what takes a job and does not say which it is, as a list does, is no API of Shoal', async () => {
  let calls = 0;
  const { url, teacher } = await serve((_, response) => {
    calls += 1;
    response.end('{"jobs":[]}');
  });
  await expect(teacher.answer(ORIGINAL, PAGE, quiet)).rejects.toThrow(
    `what answers on ${url} is no API of Shoal (status 200).`,
  );
  expect(calls).toBe(1);
});

test('one that takes no more, or does not answer, is looked for in as long as that may take', async () => {
  for (const answer of [busy, () => {}] satisfies RequestListener[]) {
    const { url, teacher } = await serve(answer);
    await expect(teacher.find(ORIGINAL, quiet)).rejects.toThrow(`${url} has not answered within 0.2 s.`);
  }
});

test('one that takes no more, or does not answer, keeps nobody from going on who has its answers', async () => {
  const job = { id: 'j', status: 'completed', error: null, errors: [], output: [] };
  for (const toForget of [busy, () => {}] satisfies RequestListener[]) {
    let told = 0;
    const { teacher } = await serve((request, response) => {
      if (request.method !== 'DELETE') return void response.end(JSON.stringify(job));
      told += 1;
      toForget(request, response);
    });
    const { taken } = await teacher.answer(ORIGINAL, { ...PAGE, questions: [] }, quiet);
    await taken(quiet);
    expect(told).toBe(1);
  }
});

test('where every job is gone at once, it ends after so many, each with a key of its own', async () => {
  const keys = new Set<unknown>();
  const { url, teacher } = await serve((request, response) => {
    if (request.method === 'POST') keys.add(request.headers['idempotency-key']);
    response.writeHead(request.method === 'POST' ? 202 : 404).end('{"id":"j","detail":"No such job."}');
  });
  await expect(teacher.answer(ORIGINAL, PAGE, quiet)).rejects.toThrow(
    `${url} has not kept any of 50 jobs of 1 texts until they were answered`,
  );
  expect(keys.size).toBe(50);
});

test.each(['token-classification', 'text-generation'] as const)(
  'a model of %s is not asked for elsewhere, which is said before anybody is called',
  (task) => {
    const teacher = new ServedTeacher(new PatientApi('http://127.0.0.1:1', undefined));
    const check = () => teacher.check({ name: 'm', task });
    expect(check).toThrow(UserError);
    expect(check).toThrow(
      `--teacher is for text-classification, feature-extraction, rerank; m serves ${task}: leave it out.`,
    );
  },
);
