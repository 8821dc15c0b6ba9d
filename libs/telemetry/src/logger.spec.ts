import { ShoalError } from '@shoal/contracts';
import { describe, expect, test } from 'vitest';
import { createLogger, type LoggerOptions } from './logger.js';

function capture(options: Partial<LoggerOptions> = {}) {
  const lines: string[] = [];
  const logger = createLogger({ name: 'worker', destination: { write: (line) => void lines.push(line) }, ...options });
  return { logger, lines, last: () => JSON.parse(lines.at(-1) ?? '') as Record<string, unknown> };
}

describe('a log line', () => {
  test('is JSON with the level’s name, an ISO time, the service and the event', () => {
    const { logger, last } = capture();
    logger.info('model.loaded', { model: 'wordnet-topic', ms: 12 });
    expect(last()).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      service: 'worker',
      event: 'model.loaded',
      model: 'wordnet-topic',
      ms: 12,
    });
  });

  test('below the level is not written', () => {
    const { logger, lines } = capture({ level: 'warn' });
    logger.info('model.loaded');
    expect(lines).toEqual([]);
  });

  test('never shows credentials', () => {
    const { logger, lines } = capture();
    logger.info('request.refused', { authorization: 'Bearer canary', 'x-api-key': 'canary', password: 'canary' });
    expect(lines.join()).not.toContain('canary');
  });
});

describe('an error in a log line', () => {
  test('keeps type, message, code, stack and cause', () => {
    const { logger, last } = capture();
    const cause = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
    logger.error('redis.lost', {}, new ShoalError('redis_unavailable', 'The queue is away.', { cause }));
    expect(last().error).toEqual({
      type: 'ShoalError',
      message: 'The queue is away.',
      code: 'redis_unavailable',
      stack: expect.stringContaining('logger.spec.ts'),
      cause: { type: 'Error', message: 'connect ECONNREFUSED', code: 'ECONNREFUSED', stack: expect.any(String) },
    });
  });

  test('does not quote the text that could not be parsed', () => {
    const { logger, lines } = capture();
    try {
      JSON.parse('canary');
    } catch (error) {
      logger.error('body.malformed', {}, error);
    }
    logger.error('thrown', {}, 'canary');
    expect(lines).toHaveLength(2);
    expect(lines.join()).not.toContain('canary');
  });
});

test('a pretty line is level, event and fields', () => {
  const { logger, lines } = capture({ pretty: true });
  logger.info('model.loaded', { model: 'wordnet-topic', ms: 12 });
  logger.error('redis.lost', {}, new Error('gone'));
  expect(lines).toEqual(['info  model.loaded model=wordnet-topic ms=12\n', 'error redis.lost (gone)\n']);
});
