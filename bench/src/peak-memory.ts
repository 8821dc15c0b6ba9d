/** Loaded into a process by `--import`: prints its largest resident set as the last thing it does. */
import { writeSync } from 'node:fs';

process.on('exit', () =>
  writeSync(2, `peak resident set in MiB: ${Math.round(process.resourceUsage().maxRSS / 1024)}\n`),
);
