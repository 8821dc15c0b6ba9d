/**
 * Where the process begins: every forward pass in flight takes a thread of libuv's pool, which files and DNS share and which
 * has 4 unless told otherwise. Its size is read once, when it is first used, and loading a module of today's kind uses it:
 * so this file is one of the older kind, and sets the size before it loads anything.
 */
import os = require('node:os');

/** For files and DNS beside the passes: as many as Node.js has by itself. */
const SPARE_THREADS = 4;

if (!process.env.UV_THREADPOOL_SIZE) {
  // What does not count as a number is config.ts's to refuse.
  const runs = Math.max(os.availableParallelism(), Number(process.env.SHOAL_CONCURRENT_RUNS) || 0);
  process.env.UV_THREADPOOL_SIZE = String(runs + SPARE_THREADS);
}

void import('./main.js');
