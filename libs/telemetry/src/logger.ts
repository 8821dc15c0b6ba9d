/**
 * The logger: one JSON line per event, on stdout.
 *
 *   {"level":"info","time":"2026-01-05T09:30:00.000Z","service":"worker","event":"model.loaded","model":"wordnet-topic"}
 *
 * A line is an event's name and a few flat fields. There is no way to log a sentence or a nested object, so that a
 * request's input, its output or its headers cannot slip in: log ids, names, counts and times.
 */
import { type DestinationStream, type Logger as PinoLogger, pino } from 'pino';
import { describeError } from './describe-error.js';
import { formatLine } from './format-line.js';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined | readonly string[]>>;

/**
 * `event` is dotted lower case, the subject first: `worker.ready`, `model.loaded`, `redis.lost`. `error` is whatever was
 * thrown; its type, message, code and stack become the field `error`.
 */
type LogMethod = (event: string, fields?: LogFields, error?: unknown) => void;

export interface Logger {
  readonly debug: LogMethod;
  readonly info: LogMethod;
  readonly warn: LogMethod;
  readonly error: LogMethod;
  readonly fatal: LogMethod;
  /** Whether lines of this level are written: what is costly to gather need not be. */
  enabled(level: Exclude<LogLevel, 'silent'>): boolean;
}

export interface LoggerOptions {
  /** Which process this is: `api`, `worker`. */
  readonly name: string;
  readonly level?: LogLevel;
  /** Lines for a person at a terminal instead of JSON. */
  readonly pretty?: boolean;
  /** Where lines go; stdout where left out. */
  readonly destination?: DestinationStream;
}

/** Fields that are never shown, should a caller pass them on from a request. */
const REDACTED = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'x-api-key', 'password', 'secret'];

/** A logger whose lines are written before the call returns, so that none is lost when the process ends. */
export function createLogger({ name, level = 'info', pretty = false, destination }: LoggerOptions): Logger {
  const out = destination ?? pino.destination({ fd: 1, sync: true });
  const logger = pino(
    {
      level,
      base: { service: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: REDACTED.map((field) => `["${field}"]`), censor: '[redacted]' },
    },
    pretty ? { write: (line: string) => void out.write(`${formatLine(line)}\n`) } : out,
  );
  return wrap(logger);
}

function wrap(logger: PinoLogger): Logger {
  const method =
    (level: Exclude<LogLevel, 'silent'>): LogMethod =>
    (event, fields, error) => {
      const described = error === undefined ? undefined : describeError(error);
      logger[level]({ event, ...fields, ...(described && { error: described }) });
    };
  return {
    debug: method('debug'),
    info: method('info'),
    warn: method('warn'),
    error: method('error'),
    fatal: method('fatal'),
    enabled: (level) => logger.isLevelEnabled(level),
  };
}
