/** A Prometheus of one's own: started on a free loopback port, asked over its HTTP API, gone at the end. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePort } from '@shoal/tools/ports';

const SCRAPE_SECONDS = 2;
/** Five scrapes: what Grafana would put in the place of `$__rate_interval` is four. */
const RATE_SECONDS = 5 * SCRAPE_SECONDS;
const READY_MS = 30_000;

export interface Target {
  /** Which kind of process: the label `job`. */
  readonly job: string;
  /** The label `instance`. */
  readonly instance: string;
  readonly port: number;
}

export interface Series {
  readonly labels: Readonly<Record<string, string>>;
  /** Unix ms and value; a value is null where the expression has none. */
  readonly points: readonly (readonly [at: number, value: number | null])[];
}

export interface Prometheus {
  /** Evaluates an expression of the dashboard from `start` to `end` (Unix ms). */
  range(expr: string, start: number, end: number): Promise<Series[]>;
  stop(): Promise<void>;
}

export async function startPrometheus(targets: readonly Target[]): Promise<Prometheus> {
  const dir = await mkdtemp(join(tmpdir(), 'shoal-prometheus-'));
  const port = await freePort();
  const config = join(dir, 'prometheus.yml');
  await writeFile(config, JSON.stringify(configOf(targets)));
  const child = spawn(
    'prometheus',
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(dir, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  const ended = once(child, 'exit');
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    await rm(dir, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    await untilReady(url);
  } catch (error) {
    await stop();
    throw error;
  }
  return { stop, range: (expr, start, end) => queryRange(url, expr, start, end) };
}

/** JSON is YAML. */
function configOf(targets: readonly Target[]) {
  return {
    global: { scrape_interval: `${SCRAPE_SECONDS}s`, scrape_timeout: `${SCRAPE_SECONDS}s` },
    scrape_configs: [...new Set(targets.map(({ job }) => job))].map((job) => ({
      job_name: job,
      static_configs: targets
        .filter((target) => target.job === job)
        .map(({ instance, port }) => ({ targets: [`127.0.0.1:${port}`], labels: { instance } })),
    })),
  };
}

async function untilReady(url: string): Promise<void> {
  const deadline = performance.now() + READY_MS;
  while (performance.now() < deadline) {
    const ready = await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
    if (ready) return;
    await pause(100);
  }
  throw new Error(`Prometheus was not ready in ${READY_MS / 1000} s`);
}

async function queryRange(url: string, expr: string, start: number, end: number): Promise<Series[]> {
  const query = expr.replaceAll('$__rate_interval', `${RATE_SECONDS}s`).replaceAll('$model', '.+');
  const from = Math.floor(start / 1000);
  const to = Math.ceil(end / 1000);
  const search = new URLSearchParams({ query, start: `${from}`, end: `${to}`, step: `${SCRAPE_SECONDS}` });
  const response = await fetch(`${url}/api/v1/query_range?${search}`);
  const answer = (await response.json()) as Answer;
  if (answer.status !== 'success') throw new Error(`${expr}: ${answer.error}`);
  return answer.data.result.map(({ metric, values }) => {
    const at = new Map(values.map(([second, value]) => [second, Number(value)]));
    const seconds = Array.from(
      { length: Math.floor((to - from) / SCRAPE_SECONDS) + 1 },
      (_, n) => from + n * SCRAPE_SECONDS,
    );
    return { labels: metric, points: seconds.map((second) => [second * 1000, finite(at.get(second))] as const) };
  });
}

/** A quantile of nothing is NaN. */
function finite(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

type Answer =
  | {
      readonly status: 'success';
      readonly data: {
        readonly result: readonly {
          readonly metric: Readonly<Record<string, string>>;
          readonly values: readonly (readonly [second: number, value: string])[];
        }[];
      };
    }
  | { readonly status: 'error'; readonly error: string };
