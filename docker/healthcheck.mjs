// @ts-check
/** `node docker/healthcheck.mjs [/path]`: 0 where this container's private port answers the path (/healthz) with success. */
const port = process.env.SHOAL_METRICS_PORT ?? '9464';
const path = process.argv[2] ?? '/healthz';
const response = await fetch(`http://127.0.0.1:${port}${path}`, { signal: AbortSignal.timeout(4000) });
if (!response.ok) throw new Error(`${path} answers ${response.status}`);
