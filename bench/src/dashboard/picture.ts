/**
 * The picture of the dashboard (docs/dashboard.png): Redis, an API, two workers, the webhooks process and a Prometheus that
 * scrapes them, under some minutes of mixed load in which a worker joins, and Redis goes away and comes back.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { dashboard } from '@shoal/tools/dashboard';
import { freePort } from '@shoal/tools/ports';
import { startRedis } from '@shoal/tools/redis';
import { startProcess } from '../processes.js';
import { ROOT } from '../root.js';
import { type Intensity, startCallers } from './load.js';
import { type Series, startPrometheus } from './prometheus.js';
import { type DrawnSeries, drawDashboard, isChart } from './render.js';

const FILE = join(ROOT, 'docs/dashboard.png');
const API_KEY = randomBytes(16).toString('hex');

/** What happens, in order: seconds, who calls, and what else. */
const CALM: Intensity = { singles: 4, bulk: 0, streams: 1, embeddings: 1, texts: 2, mistakes: 1 };
const BUSY: Intensity = { singles: 10, bulk: 1, streams: 2, embeddings: 2, texts: 8, mistakes: 2 };
const FLOOD: Intensity = { ...BUSY, bulk: 10 };
const REDIS_AWAY_S = 6;

const closers: (() => Promise<unknown>)[] = [];

async function run(): Promise<void> {
  const receiver = await startReceiver();
  const dir = await mkdtemp(join(tmpdir(), 'shoal-dashboard-redis-'));
  closers.push(() => rm(dir, { recursive: true, force: true }));
  const redisPort = await freePort();
  const openRedis = () => startRedis({ dir, persist: true, port: redisPort });
  let redis = await openRedis();
  closers.push(() => redis.stop());
  const [api, webhooks, first, second] = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
  const origin = `http://127.0.0.1:${await freePort()}`;
  const shared = {
    REDIS_URL: redis.url,
    SHOAL_SECRET_KEY: randomBytes(32).toString('base64'),
    SHOAL_MODELS_DIR: join(ROOT, 'models'),
    SHOAL_CACHE_DIR: join(ROOT, '.shoal/bench/dashboard-cache'),
    SHOAL_CONCURRENT_RUNS: '1',
    SHOAL_WEBHOOK_ALLOW: `127.0.0.0/8:${new URL(receiver).port}`,
  };
  const start = async (app: string, port: number, more: Record<string, string> = {}) => {
    const ready = `"event":"${app}.ready"`;
    const settings = { ...shared, SHOAL_METRICS_PORT: String(port), ...more };
    const { running } = await startProcess({ script: `apps/${app}/dist/main.js`, env: settings, ready });
    closers.push(() => running.stop());
    return running;
  };
  await start('api', api, {
    PORT: new URL(origin).port,
    SHOAL_API_KEYS: `demo:${API_KEY}`,
    // So small that a flood is turned away.
    SHOAL_TENANT_MAX_TOKENS: '60000',
  });
  await start('worker', first);
  await start('webhooks', webhooks, { SHOAL_WEBHOOK_SCHEDULE: '0,2s,10s' });
  const prometheus = await startPrometheus([
    { job: 'api', instance: 'api-1', port: api },
    { job: 'worker', instance: 'worker-1', port: first },
    { job: 'worker', instance: 'worker-2', port: second },
    { job: 'webhooks', instance: 'webhooks-1', port: webhooks },
  ]);
  closers.push(() => prometheus.stop());
  const began = Date.now();
  const callers = startCallers({ origin, apiKey: API_KEY, receiver }, 1);
  const stage = async (seconds: number, what: string, intensity: Intensity) => {
    console.log(`${Math.round((Date.now() - began) / 1000)} s: ${what}`);
    callers.setIntensity(intensity);
    await pause(seconds * 1000);
  };
  await stage(40, 'calm', CALM);
  await stage(45, 'busy', BUSY);
  await start('worker', second);
  await stage(30, 'busy, with a second worker', BUSY);
  await stage(30, 'more than the tenant may have', FLOOD);
  await stage(20, 'busy', BUSY);
  await redis.stop();
  await stage(REDIS_AWAY_S, 'Redis is away', BUSY);
  redis = await openRedis();
  await stage(35, 'calm', CALM);
  await callers.stop();
  const ended = Date.now();
  const seriesOf = new Map<number, DrawnSeries[]>();
  for (const panel of dashboard().panels.filter(isChart)) {
    const drawn: DrawnSeries[] = [];
    for (const { expr, legendFormat } of panel.targets) {
      const found = await prometheus.range(expr, began, ended);
      drawn.push(...found.map((series) => ({ ...series, name: nameOf(series, legendFormat) })));
    }
    if (drawn.length === 0) console.log(`no data: ${panel.title}`);
    seriesOf.set(
      panel.id,
      drawn.toSorted((a, b) => (a.name < b.name ? -1 : 1)),
    );
  }
  const minutes = ((ended - began) / 60_000).toFixed(1);
  const caption = `Shoal: ${minutes} minutes of mixed load on ${availableParallelism()} cores, from a real Prometheus; a second worker joins, a flood is turned away, Redis is away for ${REDIS_AWAY_S} s`;
  await drawDashboard(FILE, caption, seriesOf);
  console.log(`wrote ${FILE}`);
}

/** `{{label}}` of Grafana's legends. */
function nameOf({ labels }: Series, legend: string): string {
  return legend.replaceAll(/\{\{(\w+)\}\}/g, (_, label: string) => labels[label] ?? '');
}

/** A receiver of webhooks that fails now and then. */
async function startReceiver(): Promise<string> {
  let count = 0;
  const server = createServer((request, response) => {
    request.resume();
    request.on('end', () => response.writeHead(++count % 8 === 0 ? 503 : 200).end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
}

try {
  await run();
} finally {
  for (const close of closers.reverse()) await close();
}
