/** Inputs as they are read: by lines and rows with their numbers, in jobs of bounded size, never more of them than is asked for. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { fileInputs, type Input, inOrder, jobsOf, streamInputs } from './predict-inputs.js';

async function all(pieces: AsyncIterable<readonly Input[]>): Promise<Input[]> {
  const inputs: Input[] = [];
  for await (const piece of pieces) inputs.push(...piece);
  return inputs;
}

const read = (...pieces: readonly (string | Buffer)[]) =>
  all(streamInputs(Readable.from(pieces.map((piece) => Buffer.from(piece))), 'the input').pieces);

function fileWith(name: string, content: string | Buffer): string {
  const folder = mkdtempSync(join(tmpdir(), 'shoal-inputs-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  writeFileSync(join(folder, name), content);
  return join(folder, name);
}

const rowsOf = async (name: string, content: string | Buffer, column?: string) =>
  (await all(fileInputs(fileWith(name, content), column).pieces)).map(({ line, value, fault }) => [
    line,
    fault ?? value,
  ]);

test('a line is a text, however the stream is cut: without a byte order mark and carriage returns', async () => {
  const bytes = Buffer.from('\ufeffé fish\r\n\na house');
  const wanted = [
    { line: 1, value: 'é fish', end: expect.any(Number) },
    { line: 2, value: '', end: expect.any(Number) },
    { line: 3, value: 'a house', end: expect.any(Number) },
  ];
  for (let cut = 0; cut <= bytes.length; cut++) {
    expect(await read(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(wanted);
  }
  expect(await read('a\n')).toHaveLength(1);
  expect(await read()).toEqual([]);
});

test('a line that is too long is told, and not held', async () => {
  const long = 'x'.repeat(1024 * 1024);
  const inputs = await read('a\n', long, long, long, long, 'y\nb\n', long, long, long);
  const fault = 'is longer than 2,097,152 characters';
  expect(inputs.map((input) => input.fault ?? input.value)).toEqual(['a', fault, 'b', fault]);
});

test('what is no UTF-8 is told with where it is', async () => {
  await expect(read('a\n', Buffer.from([0xff, 0x0a]))).rejects.toThrow(
    'the input is not UTF-8 text (line 2 or after it).',
  );
  await expect(read('a', Buffer.from([0xc3]))).rejects.toThrow('the input is not UTF-8 text (line 1 or after it).');
});

test('a file is read by its ending', async () => {
  expect(await rowsOf('a.txt', 'a\nb')).toEqual([
    [1, 'a'],
    [2, 'b'],
  ]);
  expect(await rowsOf('a.jsonl', '"a"\n\n{"text":"b"}\nb\n')).toEqual([
    [1, 'a'],
    [3, { text: 'b' }],
    [4, 'is not valid JSON'],
  ]);
  expect(await rowsOf('a.CSV', '\ufeffid, text\n1,"a, ""b""\nc"\n\n2,d\n')).toEqual([
    [3, 'a, "b"\nc'],
    [5, 'd'],
  ]);
  expect(await rowsOf('a.csv', 'id,text\n1,a\n', 'id')).toEqual([[2, '1']]);
});

test('what cannot be read is told', async () => {
  expect(() => fileInputs('a.parquet', undefined)).toThrow(
    '--file takes .txt, .jsonl or .csv; a.parquet is none of them.',
  );
  expect(() => fileInputs('/none/a.txt', undefined)).toThrow('there is no file /none/a.txt.');
  expect(() => fileInputs('/none/a.txt', 'b')).toThrow('--column is for --file <name>.csv.');
  await expect(rowsOf('a.csv', 'id,text\n1,a\n', 'body')).rejects.toThrow('has no column body, but id, text: name one');
  await expect(rowsOf('a.csv', 'id,text\n1,a\n2,"a" b\n')).rejects.toThrow(
    /a\.csv: line 3 is not valid CSV \(CSV_\w+\)\.$/,
  );
  await expect(rowsOf('a.csv', 'id,text\n1\n')).rejects.toThrow('is not valid CSV (CSV_RECORD_INCONSISTENT_COLUMNS).');
});

const input = (value: unknown, line = 1): Input => ({ line, value, end: 0 });

test('a job has a bounded number of inputs and of bytes', async () => {
  const sizes = async (most: number, values: readonly unknown[]) => {
    const sizes: number[] = [];
    const pieces = (async function* () {
      yield values.map((value) => input(value));
    })();
    for await (const job of jobsOf(pieces, most)) sizes.push(job.length);
    return sizes;
  };
  expect(await sizes(3, Array.from('abcdefg'))).toEqual([3, 3, 1]);
  const half = 'x'.repeat(600_000);
  expect(await sizes(3, [half, half, 'a', 'b', half + half, 'c'])).toEqual([1, 3, 1, 1]);
  expect(await sizes(3, [])).toEqual([]);
});

test('a stream that has no more for now sends what it has', async () => {
  const stream = new PassThrough();
  const jobs = jobsOf(streamInputs(stream, 'the input').pieces, 64);
  stream.write('a\nb\n');
  expect((await jobs.next()).value).toMatchObject([{ value: 'a' }, { value: 'b' }]);
  stream.end('c');
  expect((await jobs.next()).value).toMatchObject([{ value: 'c' }]);
  expect((await jobs.next()).done).toBe(true);
});

test('results come in order, and no more is read than may be under way', async () => {
  let read = 0;
  const source = (async function* () {
    for (; read < 100; read++) yield read;
  })();
  const ends: (() => void)[] = [];
  const results = inOrder(source, 3, (n) => new Promise<number>((resolve) => ends.push(() => resolve(n))));
  const first = results.next();
  await expect.poll(() => ends.length).toBe(3);
  ends[2]!();
  ends[1]!();
  ends[0]!();
  expect([(await first).value, (await results.next()).value, (await results.next()).value]).toEqual([0, 1, 2]);
  expect(read).toBeLessThanOrEqual(6);
});

test('a result comes although the source has no more yet, and a fault when it is its turn', async () => {
  const never = new PassThrough({ objectMode: true });
  never.write('a');
  never.write('b');
  const results = inOrder(never as AsyncIterable<string>, 3, async (text) => {
    if (text === 'b') throw new Error('b is wrong');
    return text;
  });
  expect((await results.next()).value).toBe('a');
  await expect(results.next()).rejects.toThrow('b is wrong');
});
