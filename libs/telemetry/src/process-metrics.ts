/** What every process tells of itself, whatever it does; names and units as in metrics.ts. */
import { Counter, collectDefaultMetrics, Gauge, type Registry } from 'prom-client';
import { VERSION } from './version.js';

/** Call once per registry. */
export function createProcessMetrics(registry: Registry) {
  const registers = [registry];
  let redisAnswers: () => boolean | Promise<boolean> = () => false;
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'shoal_build_info',
    help: 'Always 1; the label is the version that runs.',
    labelNames: ['version'],
    registers,
  }).set({ version: VERSION }, 1);
  new Gauge({
    name: 'shoal_redis_up',
    help: 'Whether this process reaches Redis: 1 or 0.',
    registers,
    async collect() {
      this.set(Number(await redisAnswers()));
    },
  });
  return {
    /** `answers` is asked at each scrape, within the time that a scrape may take; before, Redis counts as away. */
    watchRedis(answers: () => boolean | Promise<boolean>): void {
      redisAnswers = answers;
    },
    redisErrors: new Counter({
      name: 'shoal_redis_errors_total',
      help: 'Errors of this process’s connections to Redis: lost, refused, or not there yet.',
      registers,
    }),
  };
}
