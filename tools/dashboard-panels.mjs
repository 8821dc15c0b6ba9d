// @ts-check
/**
 * What the Grafana dashboard shows, as data: sections of panels, each with its PromQL. `$model` is the variable at its top;
 * `$__rate_interval` is Grafana's. Gauges that every replica reads from Redis are joined by max: their sum would count
 * the same jobs once per replica.
 */

/**
 * @typedef {object} Target
 * @property {string} expr
 * @property {string} legend labels in double braces
 *
 * @typedef {object} Panel
 * @property {string} title
 * @property {string} about what it tells, and what to do about it
 * @property {string} unit of Grafana: `s`, `bytes`, `percentunit`, `reqps`, `short` ...
 * @property {Target[]} targets
 * @property {boolean} [stacked] parts of one whole
 * @property {number} [max] end of the axis, where it is known
 *
 * @typedef {object} Section
 * @property {string} title
 * @property {Panel[]} panels
 */

const OF_MODEL = 'model=~"$model"';
/** A queue is `<model>.<version>.<variant>.<shard>`. */
const OF_QUEUE = 'queue=~"($model)[.].+"';

/** @param {string} counter name and labels */
const perSecond = (counter) => `rate(${counter}[$__rate_interval])`;

/**
 * Median, p95 and p99 of a histogram, over all models chosen.
 *
 * @param {string} histogram
 * @param {string} labels
 * @returns {Target[]}
 */
function quantiles(histogram, labels) {
  const buckets = perSecond(`${histogram}_bucket{${labels}}`);
  return [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, sum by (le) (${buckets}))`,
    legend: `p${quantile * 100}`,
  }));
}

/** Of Shoal's processes only: others have metrics of these names, too. */
const OURS = 'and on (job, instance) shoal_build_info';

/** @type {Section[]} */
export const SECTIONS = [
  {
    title: 'Requests',
    panels: [
      {
        title: 'Jobs asked for',
        about: 'Accepted or not, by model.',
        unit: 'reqps',
        targets: [{ expr: `sum by (model) (${perSecond(`shoal_requests_total{${OF_MODEL}}`)})`, legend: '{{model}}' }],
      },
      {
        title: 'Jobs ended',
        about: 'By final state. Failed: every item of the job failed.',
        unit: 'reqps',
        stacked: true,
        targets: [
          {
            expr: `sum by (state) (max by (queue, state) (${perSecond(`shoal_jobs_ended_total{${OF_QUEUE}}`)}))`,
            legend: '{{state}}',
          },
        ],
      },
      {
        title: 'Jobs refused',
        about: 'By error code. invalid_request and its like are callers’ mistakes; *_full means too much work.',
        unit: 'reqps',
        stacked: true,
        targets: [
          {
            expr: `sum by (code) (${perSecond('shoal_request_failure_total{model=~"$model|unknown"}')})`,
            legend: '{{code}}',
          },
        ],
      },
      {
        title: 'HTTP latency, p95',
        about: 'By route, from the first byte to the end of the answer: waiting for a job included.',
        unit: 's',
        targets: [
          {
            expr: `histogram_quantile(0.95, sum by (method, route, le) (${perSecond('shoal_http_request_duration_seconds_bucket{route=~"/v1/.*"}')}))`,
            legend: '{{method}} {{route}}',
          },
        ],
      },
      {
        title: 'Told to come back (429, 503)',
        about: '429: a tenant or a queue has too much unfinished work, or memory is short. 503: Redis is away.',
        unit: 'reqps',
        stacked: true,
        targets: [
          {
            expr: `sum by (status) (${perSecond('shoal_http_request_duration_seconds_count{status=~"429|503"}')})`,
            legend: '{{status}}',
          },
        ],
      },
      {
        title: 'Open waits',
        about: 'Requests that wait for a job’s result, and streams of events.',
        unit: 'short',
        stacked: true,
        targets: [{ expr: 'sum by (kind) (shoal_waiters)', legend: '{{kind}}' }],
      },
    ],
  },
  {
    title: 'Queue and replicas',
    panels: [
      {
        title: 'Jobs in queue',
        about: 'Admitted and not ended, running ones included.',
        unit: 'short',
        targets: [{ expr: `max by (queue) (shoal_queue_jobs{${OF_QUEUE}})`, legend: '{{queue}}' }],
      },
      {
        title: 'Tokens in queue',
        about: 'Of jobs that have not ended: the work that is ahead.',
        unit: 'short',
        targets: [{ expr: `max by (queue) (shoal_queue_tokens{${OF_QUEUE}})`, legend: '{{queue}}' }],
      },
      {
        title: 'Replicas needed and running',
        about: 'What autoscaling asks for, and the workers that have the model loaded.',
        unit: 'short',
        targets: [
          { expr: `max by (queue) (shoal_autoscale_replicas_needed{${OF_QUEUE}})`, legend: 'needed {{queue}}' },
          { expr: `count by (model) (shoal_model_info{${OF_MODEL}})`, legend: 'running {{model}}' },
        ],
      },
    ],
  },
  {
    title: 'Where an item’s time goes',
    panels: [
      {
        title: 'Queue wait',
        about: 'From admission to a worker. Rises first where workers are too few.',
        unit: 's',
        targets: quantiles('shoal_queue_duration_seconds', OF_MODEL),
      },
      {
        title: 'Batch wait',
        about: 'In a worker, until its forward pass began.',
        unit: 's',
        targets: quantiles('shoal_batching_duration_seconds', OF_MODEL),
      },
      {
        title: 'Compute',
        about: 'One forward pass.',
        unit: 's',
        targets: quantiles('shoal_compute_duration_seconds', OF_MODEL),
      },
      {
        title: 'Publish',
        about: 'Writing one micro-batch’s results to Redis.',
        unit: 's',
        targets: quantiles('shoal_publish_duration_seconds', OF_MODEL),
      },
    ],
  },
  {
    title: 'Micro-batches',
    panels: [
      {
        title: 'Batch size, mean',
        about: 'Items per forward pass: inferences ÷ executions.',
        unit: 'short',
        targets: [
          {
            expr: `sum by (model) (${perSecond(`shoal_inferences_total{${OF_MODEL}}`)}) / sum by (model) (${perSecond(`shoal_executions_total{${OF_MODEL}}`)})`,
            legend: '{{model}}',
          },
        ],
      },
      {
        title: 'Padded share',
        about: 'Share of the tokens that ran which was padding.',
        unit: 'percentunit',
        targets: [
          {
            expr: `sum by (model) (${perSecond(`shoal_padding_tokens_total{${OF_MODEL}}`)}) / (sum by (model) (${perSecond(`shoal_padding_tokens_total{${OF_MODEL}}`)}) + sum by (model) (${perSecond(`shoal_tokens_total{${OF_MODEL}}`)}))`,
            legend: '{{model}}',
          },
        ],
      },
      {
        title: 'Tokens per second',
        about: 'Tokens that ran, padding left out.',
        unit: 'short',
        targets: [{ expr: `sum by (model) (${perSecond(`shoal_tokens_total{${OF_MODEL}}`)})`, legend: '{{model}}' }],
      },
      {
        title: 'Why batches closed',
        about: 'idle: the device was free. size, tokens: it was full. delay: its first item had waited long enough.',
        unit: 'ops',
        stacked: true,
        targets: [
          {
            expr: `sum by (closed_by) (${perSecond(`shoal_executions_total{${OF_MODEL}}`)})`,
            legend: '{{closed_by}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Generated texts',
    panels: [
      {
        title: 'Time to first token',
        about: 'From admission. Rises where prompts wait for a row: workers are too few, or prompts are long.',
        unit: 's',
        targets: quantiles('shoal_time_to_first_token_seconds', OF_MODEL),
      },
      {
        title: 'Inter-token latency',
        about: 'Between tokens of one answer. Rises with the rows that run together, and beside prompts.',
        unit: 's',
        targets: quantiles('shoal_inter_token_latency_seconds', OF_MODEL),
      },
      {
        title: 'Tokens of prompts and answers per second',
        about: 'Of prompts, those in the prefix cache included.',
        unit: 'short',
        targets: [
          {
            expr: `sum by (model) (${perSecond(`shoal_prompt_tokens_total{${OF_MODEL}}`)})`,
            legend: 'prompts {{model}}',
          },
          {
            expr: `sum by (model) (${perSecond(`shoal_generation_tokens_total{${OF_MODEL}}`)})`,
            legend: 'answers {{model}}',
          },
        ],
      },
      {
        title: 'Rows running',
        about: 'Answers that grow now, and the rows that there are for them.',
        unit: 'short',
        targets: [
          { expr: `sum by (model) (shoal_num_requests_running{${OF_MODEL}})`, legend: 'running {{model}}' },
          { expr: `sum by (model) (shoal_num_rows{${OF_MODEL}})`, legend: 'rows {{model}}' },
        ],
      },
      {
        title: 'KV cache',
        about: 'Memory of running rows and of prefixes.',
        unit: 'bytes',
        targets: [{ expr: `sum by (model) (shoal_kv_cache_bytes{${OF_MODEL}})`, legend: '{{model}}' }],
      },
      {
        title: 'Prefix cache hits',
        about: 'Share of the tokens of prompts that need not be processed again.',
        unit: 'percentunit',
        max: 1,
        targets: [
          {
            expr: `sum by (model) (${perSecond(`shoal_prefix_cache_hits_total{${OF_MODEL}}`)}) / sum by (model) (${perSecond(`shoal_prefix_cache_queries_total{${OF_MODEL}}`)})`,
            legend: '{{model}}',
          },
        ],
      },
      {
        title: 'Preemptions',
        about: 'Answers that were returned for more urgent ones, and go on later or elsewhere.',
        unit: 'ops',
        targets: [
          { expr: `sum by (model) (${perSecond(`shoal_num_preemptions_total{${OF_MODEL}}`)})`, legend: '{{model}}' },
        ],
      },
      {
        title: 'Proposals accepted',
        about: 'Share of the tokens proposed by lookup or a prediction that were right. No line: none was proposed.',
        unit: 'percentunit',
        max: 1,
        targets: [
          {
            expr: `sum by (model) (${perSecond(`shoal_spec_decode_num_accepted_tokens_total{${OF_MODEL}}`)}) / sum by (model) (${perSecond(`shoal_spec_decode_num_draft_tokens_total{${OF_MODEL}}`)})`,
            legend: '{{model}}',
          },
        ],
      },
    ],
  },
  {
    title: 'Processes and Redis',
    panels: [
      {
        title: 'Event-loop lag, p99',
        about: 'Of each process. Above 0.1 s something holds the event loop: locks are renewed late.',
        unit: 's',
        targets: [
          { expr: `max by (job, instance) (nodejs_eventloop_lag_p99_seconds ${OURS})`, legend: '{{job}} {{instance}}' },
        ],
      },
      {
        title: 'Memory',
        about: 'Resident, of each process.',
        unit: 'bytes',
        targets: [
          { expr: `max by (job, instance) (process_resident_memory_bytes ${OURS})`, legend: '{{job}} {{instance}}' },
        ],
      },
      {
        title: 'Redis reached',
        about: '1 where every process of a kind reaches Redis.',
        unit: 'short',
        max: 1,
        targets: [{ expr: 'min by (job) (shoal_redis_up)', legend: '{{job}}' }],
      },
      {
        title: 'Redis connection errors',
        about: 'Connections that were lost, refused or not there yet.',
        unit: 'ops',
        targets: [{ expr: `sum by (job) (${perSecond('shoal_redis_errors_total')})`, legend: '{{job}}' }],
      },
    ],
  },
  {
    title: 'Webhooks',
    panels: [
      {
        title: 'Attempts',
        about: 'By outcome: delivered, refused, or why there was no answer.',
        unit: 'ops',
        stacked: true,
        targets: [{ expr: `sum by (outcome) (${perSecond('shoal_webhook_attempts_total')})`, legend: '{{outcome}}' }],
      },
      {
        title: 'Backlog',
        about: 'Messages that are due, delayed until their next attempt or turn, or being sent.',
        unit: 'short',
        targets: [{ expr: 'max by (state) (shoal_webhook_backlog)', legend: '{{state}}' }],
      },
      {
        title: 'Attempt duration',
        about: 'From name resolution to the receiver’s answer.',
        unit: 's',
        targets: quantiles('shoal_webhook_attempt_duration_seconds', ''),
      },
    ],
  },
];
