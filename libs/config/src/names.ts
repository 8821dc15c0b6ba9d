/** Every SHOAL_ variable that there is, so that a misspelt one is told instead of doing nothing. */
import { nearestNames } from '@shoal/contracts';
import type { Environment, Problem } from './environment.js';

/** Read by the processes and by `shoal`. A unit test holds this to their configs. */
export const VARIABLES = [
  'REDIS_URL',
  'PORT',
  'SHOAL_ACCURACY_UNDER_LOAD',
  'SHOAL_ADMINS',
  'SHOAL_API_KEYS',
  'SHOAL_AUTOSCALE_TOKEN',
  'SHOAL_CACHE_DIR',
  'SHOAL_CONCURRENT_RUNS',
  'SHOAL_CORS_ORIGINS',
  'SHOAL_DATA_DIR',
  'SHOAL_DELAY_OBJECTIVE',
  'SHOAL_DEVICE',
  'SHOAL_DEVICE_OPTIONS',
  'SHOAL_DRAIN_TIMEOUT',
  'SHOAL_EMBEDDINGS_TIMEOUT',
  'SHOAL_FILE_MAX_BYTES',
  'SHOAL_FILE_MAX_LINES',
  'SHOAL_GENERATION_TIMEOUT',
  'SHOAL_HF_TOKEN',
  'SHOAL_HOST',
  'SHOAL_GENERATION_THREADS',
  'SHOAL_INTRA_OP_THREADS',
  'SHOAL_KEY',
  'SHOAL_LOG',
  'SHOAL_LOG_LEVEL',
  'SHOAL_MAX_BODY_BYTES',
  'SHOAL_MEMORY_BUDGET',
  'SHOAL_METRICS_HOST',
  'SHOAL_METRICS_PORT',
  'SHOAL_MIN_REPLICAS',
  'SHOAL_MODELS',
  'SHOAL_MODEL_KEEP',
  'SHOAL_MODEL_MEMORY',
  'SHOAL_MODELS_DIR',
  'SHOAL_PREFIX_SHARING',
  'SHOAL_PUBLIC_URL',
  'SHOAL_QUEUE_MAX_TOKENS',
  'SHOAL_REDIS_ALLOW_EVICTION',
  'SHOAL_REDIS_CA',
  'SHOAL_REDIS_CLUSTER',
  'SHOAL_REDIS_FSYNC',
  'SHOAL_REDIS_SENTINELS',
  'SHOAL_REPLICA_TIMEOUT',
  'SHOAL_RESULT_TTL',
  'SHOAL_RUNTIME',
  'SHOAL_SECRET_KEY',
  'SHOAL_SOURCE_ALLOW',
  'SHOAL_STORE',
  'SHOAL_TEACHER_KEY',
  'SHOAL_TENANT_MAX_FILES',
  'SHOAL_TENANT_MAX_FILE_BYTES',
  'SHOAL_TENANT_MAX_TOKENS',
  'SHOAL_TENANT_MEMORY_PERCENT',
  'SHOAL_TRUSTED_PROXIES',
  'SHOAL_URL',
  'SHOAL_WEBHOOK_ALLOW',
  'SHOAL_WEBHOOK_CONCURRENCY',
  'SHOAL_WEBHOOK_RECEIVER_CONCURRENCY',
  'SHOAL_WEBHOOK_SCHEDULE',
  'SHOAL_WEBHOOK_TIMEOUT',
] as const;

/** Read by docker-compose.yml, the scripts of k8s/ and the tests, so they may stand in the same environment. */
const ELSEWHERE =
  /^SHOAL_(REDIS_(ADMIN_|KEDA_|METRICS_|WORKER_|WEBHOOKS_)?PASSWORD|REDIS_MAXMEMORY|VERSION|MODELS_PATH|GRAFANA_PORT|PROMETHEUS_PORT|TEST_\w+|FAULTS_\w+|\w+_IMAGE)$/;

/** Of docker-compose.yml, and what does the same for a process. */
const OF_COMPOSE: Readonly<Record<string, string>> = { SHOAL_PORT: 'PORT' };

/** What Kubernetes sets for a Service whose name begins with `shoal-`: its names, or `tcp://…` in one that ends with `_PORT`. */
const SERVICE_LINK = /_SERVICE_(HOST|PORT)(_\w+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/;
const SERVICE_ADDRESS = /^(tcp|udp|sctp):\/\//;

const SECRET = /KEY|SECRET|TOKEN|PASSW|CREDENTIAL|AUTH/;

/** The variables of `env` that begin with SHOAL_, in any case, and mean nothing. */
export function unknownVariables(env: Environment): Problem[] {
  return Object.entries(env)
    .filter(([name, value]) => /^shoal_/i.test(name) && value && !isKnown(name) && !isServiceLink(name, value))
    .map(([name]) => ({ variable: name, message: messageOf(name) }));
}

/** Those among them that look like a secret: whoever set one believes that something is closed. */
export function unknownSecrets(env: Environment): Problem[] {
  return unknownVariables(env).filter(({ variable }) => SECRET.test(variable.toUpperCase()));
}

function isKnown(name: string): boolean {
  const plain = name.replace(/_FILE$/, '');
  return (VARIABLES as readonly string[]).includes(plain) || ELSEWHERE.test(plain);
}

function isServiceLink(name: string, value: string): boolean {
  return SERVICE_LINK.test(name) || (name.endsWith('_PORT') && SERVICE_ADDRESS.test(value));
}

function messageOf(name: string): string {
  const here = OF_COMPOSE[name];
  if (here !== undefined) return `is docker compose's; here it is ${here}`;
  const near = nearestNames(name.replace(/_FILE$/i, ''), VARIABLES);
  return `is not a variable of Shoal${near.length > 0 ? `; did you mean ${near.join(' or ')}?` : ''}`;
}
