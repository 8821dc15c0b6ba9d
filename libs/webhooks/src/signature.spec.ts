import { WebhookSecret } from '@shoal/contracts';
import { Webhook } from 'standardwebhooks';
import { expect, test } from 'vitest';
import { newSecret, signatureOf } from './signature.js';

test('the known vector of the specification', () => {
  const message = {
    id: 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    timestamp: 1614265330,
    body: Buffer.from('{"test": 2432232314}'),
  };
  expect(signatureOf(message, ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'])).toBe(
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  );
});

test('standardwebhooks verifies with each of the secrets, and with no other', () => {
  const secrets = [newSecret(), newSecret()];
  const timestamp = Math.floor(Date.now() / 1000);
  const body = Buffer.from('{"type":"job.completed","text":"große Fische"}');
  const headers = {
    'webhook-id': 'msg_1',
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatureOf({ id: 'msg_1', timestamp, body }, secrets),
  };
  for (const secret of secrets) expect(new Webhook(secret).verify(body, headers)).toHaveProperty('type');
  expect(() => new Webhook(newSecret()).verify(body, headers)).toThrow();
  expect(() => new Webhook(secrets[0]!).verify(`${body.toString()} `, headers)).toThrow();
});

test('a new secret is one that callers could have given', () => {
  expect(WebhookSecret.safeParse(newSecret()).success).toBe(true);
});
