/** What is in Shoal's images and how they start. */
import { describe, expect, inject, test } from 'vitest';
import { docker, run } from './docker.js';
import { IMAGES } from './images.setup.js';

const LOOK = `
  const { readdirSync } = require('node:fs');
  const files = readdirSync('/app', { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => entry.parentPath + '/' + entry.name);
  console.log(JSON.stringify(files));
`;

/** As in production: nobody's user, nothing writable but /tmp, no way to anywhere. */
const HARDENED = ['--read-only', '--tmpfs', '/tmp', '--cap-drop', 'ALL', '--network', 'none'];

describe.each(IMAGES)('%s', (name) => {
  const image = () => `${name}:${inject('tag')}`;
  const runIn = (...command: string[]) => docker('run', '--rm', ...HARDENED, image(), ...command);

  test('runs its own process, as a user without rights, and is asked for its health', async () => {
    const config = JSON.parse(await docker('image', 'inspect', '--format', '{{json .Config}}', image()));
    expect(config).toMatchObject({
      User: '10001:10001',
      Cmd: [
        'node',
        name === 'shoal-worker' ? 'apps/worker/dist/start.cjs' : `apps/${name.replace('shoal-', '')}/dist/main.js`,
      ],
      Healthcheck: { Test: ['CMD', 'node', 'docker/healthcheck.mjs'] },
      Labels: {
        'org.opencontainers.image.title': name,
        'org.opencontainers.image.version': inject('tag'),
        'org.opencontainers.image.licenses': 'Apache-2.0',
      },
    });
    expect(config.Entrypoint ?? []).toEqual([]);
  });

  test('holds what runs: no sources, tests, compilers or development packages', async () => {
    const files: string[] = JSON.parse(await runIn('node', '-e', LOOK));
    const ours = files.filter((file) => !file.includes('/node_modules/'));
    expect(ours).toContain('/app/models/wordnet-topic/1/config.json');
    expect(ours.filter((file) => /\.ts$|\.map$|\.spec\.|\/src\/|\/test\/|tsconfig|package-lock/.test(file))).toEqual(
      [],
    );
    const unwanted = /\/node_modules\/(typescript|@typescript|vitest|@biomejs|testcontainers|openai)\/|\/\.npm\//;
    expect(files.filter((file) => unwanted.test(file))).toEqual([]);
  });

  test('holds ONNX Runtime for this platform alone, and only where models run', async () => {
    const files: string[] = JSON.parse(await runIn('node', '-e', LOOK));
    const platforms = files.map((file) => /onnxruntime-node\/bin\/napi-v6\/(\w+\/\w+)/.exec(file)?.[1]);
    const found = new Set(platforms.filter((platform) => platform !== undefined));
    expect([...found]).toEqual(name === 'shoal-worker' ? [`linux/${process.arch}`] : []);
  });

  test('has the command line', async () => {
    expect(await runIn('node', 'apps/cli/dist/main.js', '--help')).toContain('shoal');
  });
});

test('the API says what it lacks, and ends', async () => {
  const start = run('docker', ['run', '--rm', ...HARDENED, `shoal-api:${inject('tag')}`]);
  await expect(start).rejects.toThrow(/ended with 1:.*SHOAL_HOST.*SHOAL_API_KEYS/s);
});

test('SIGTERM ends a process that still starts, as one that waits for Redis', async () => {
  // The first process is told to end by another one that reads its log, at the first line: a folder without a model.
  const script = `mkfifo /tmp/log; (read -r line; kill -TERM 1; cat) </tmp/log >/dev/null &
    exec node apps/worker/dist/start.cjs >/tmp/log`;
  const broken = ['--tmpfs', '/app/models/broken/1'];
  // Resolves where the container ends with 0; a worker that finds no Redis ends with 1.
  await docker('run', '--rm', ...HARDENED, ...broken, `shoal-worker:${inject('tag')}`, 'sh', '-c', script);
});
