/** The life of a process, the same for all of Shoal's: from its configuration to its exit code. */
import { ShoalError } from '@shoal/contracts';
import type { Problem } from './environment.js';
import { exitWithParent } from './parent.js';
import { ConfigError } from './read-config.js';
import { stopOnSignal } from './stop-on-signal.js';

/** What a logger must be able to do here. */
export interface ProcessLog {
  readonly info: (event: string) => void;
  readonly warn: (event: string, fields: { readonly variable: string; readonly reason: string }) => void;
  readonly error: (event: string, fields: Record<string, never>, error: unknown) => void;
  readonly fatal: (event: string, fields: Record<string, never>, error: unknown) => void;
}

/** What a config must have here. */
export interface ProcessConfig {
  /** Variables that mean nothing, and what may have been meant. */
  readonly unknown: readonly Problem[];
}

export interface ProcessOptions<Config extends ProcessConfig, Log extends ProcessLog> {
  /** `api`, `worker`, `webhooks`: events of the log begin with it. */
  readonly name: string;
  /** Throws ConfigError. */
  readonly load: () => Config;
  /** Without a config until there is one. */
  readonly openLog: (config?: Config) => Log;
  /** Opens what the process needs; resolves to what ends it again. */
  readonly start: (config: Config, log: Log) => Promise<() => Promise<void>>;
  /** Longest time in ms that the end may take. */
  readonly graceMs: (config: Config) => number;
}

/**
 * Configures and starts; then the process lives until a signal or the end of its parent. What the operator can mend (the
 * environment, or a ShoalError) is said in its own words on stderr, anything else is logged; both end in exit code 1.
 */
export async function runProcess<Config extends ProcessConfig, Log extends ProcessLog>(
  options: ProcessOptions<Config, Log>,
): Promise<void> {
  const { name, load, openLog, start, graceMs } = options;
  let log = openLog();
  try {
    const config = load();
    log = openLog(config);
    for (const { variable, message } of config.unknown) log.warn('config.unknown', { variable, reason: message });
    await stopOnSignal({
      // Before the start, which may wait for a Redis that has gone together with the parent.
      start: () => {
        exitWithParent();
        return start(config, log);
      },
      graceMs: graceMs(config),
      say: (stage, error) => {
        if (error === undefined) log.info(`${name}.${stage}`);
        else log.error(`${name}.${stage}`, {}, error);
      },
    });
  } catch (error) {
    if (error instanceof ConfigError || error instanceof ShoalError) process.stderr.write(`${error.message}\n`);
    else log.fatal(`${name}.start_failed`, {}, error);
    process.exit(1);
  }
}
