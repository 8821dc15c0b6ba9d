/** Metrics of models that generate text, by vLLM's names for them. The rules of metrics.ts hold here as well. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

const MODEL = ['model', 'version', 'variant'] as const;
/** 5 ms to 84 s, by the square root of two: a text begins within seconds, and what is felt are fractions of them. */
const FIRST_TOKEN_SECONDS = Array.from({ length: 29 }, (_, n) => 0.005 * 2 ** (n / 2));
/** 1 ms to 2 s, by the square root of two. */
const TOKEN_SECONDS = Array.from({ length: 23 }, (_, n) => 0.001 * 2 ** (n / 2));
const TOKENS = Array.from({ length: 17 }, (_, n) => 2 ** n);

export type GenerationMetrics = ReturnType<typeof createGenerationMetrics>;

/** Registers what a worker process tells of the texts that it makes. Call once per registry. */
export function createGenerationMetrics(registry: Registry) {
  const registers = [registry];
  const counter = (name: string, help: string) => new Counter({ name, help, labelNames: MODEL, registers });
  const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: MODEL, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new Histogram({ name, help, labelNames: MODEL, buckets, registers });
  const watchers = new Set<() => void>();
  // The first of all: what the watchers set is read after it.
  const running = new Gauge({
    name: 'shoal_num_requests_running',
    help: 'Rows in use: answers that grow now.',
    labelNames: MODEL,
    registers,
    collect() {
      for (const look of watchers) look();
    },
  });
  return {
    /** Called before each reading, to set what an engine counts by itself, until the returned function is called. */
    watch(look: () => void): () => void {
      watchers.add(look);
      return () => void watchers.delete(look);
    },
    running,
    timeToFirstToken: histogram(
      'shoal_time_to_first_token_seconds',
      'From admission to the first token of an answer; not of answers that went on here.',
      FIRST_TOKEN_SECONDS,
    ),
    interTokenLatency: histogram(
      'shoal_inter_token_latency_seconds',
      'Between tokens of one answer, as the engine gave them.',
      TOKEN_SECONDS,
    ),
    promptTokens: counter('shoal_prompt_tokens_total', 'Tokens of prompts whose answers began, cached ones included.'),
    generationTokens: counter('shoal_generation_tokens_total', 'Tokens of answers.'),
    requestPromptTokens: histogram('shoal_request_prompt_tokens', 'Tokens of a prompt.', TOKENS),
    requestGenerationTokens: histogram(
      'shoal_request_generation_tokens',
      'Tokens of an answer that has ended.',
      TOKENS,
    ),
    rows: gauge('shoal_num_rows', 'Rows of the KV cache.'),
    cacheBytes: gauge(
      'shoal_kv_cache_bytes',
      'Bytes of the KV cache that hold tokens, of running rows and of prefixes.',
    ),
    prefixQueries: counter('shoal_prefix_cache_queries_total', 'Tokens of prompts, found in the prefix cache or not.'),
    prefixHits: counter('shoal_prefix_cache_hits_total', 'Tokens of prompts that were found there.'),
    preemptions: counter('shoal_num_preemptions_total', 'Answers that were returned for more urgent ones.'),
    draftTokens: counter(
      'shoal_spec_decode_num_draft_tokens_total',
      'Tokens that were proposed by prompt lookup or a prediction.',
    ),
    acceptedTokens: counter('shoal_spec_decode_num_accepted_tokens_total', 'Those of them that were right.'),
  };
}
