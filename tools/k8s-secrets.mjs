// @ts-check
/** `npm run --silent k8s:secrets | kubectl create -f -`: what must not be in git, from the environment. */
import { randomBytes } from 'node:crypto';
import { readArguments } from './arguments.mjs';
import { secretManifests } from './k8s-secret-manifests.mjs';
import { runCommand, UserError } from './user-error.mjs';

const HELP = `Prints the Secrets of Shoal for kubectl create -f -. Nothing is kept here.

npm run --silent k8s:secrets [-- --dev] | kubectl create -f -

  --dev                  for the overlay dev: passwords for its Redis and an API key are made

  REDIS_URL              redis[s]://shoal:password@host:port
  SHOAL_REDIS_WORKER_PASSWORD, SHOAL_REDIS_WEBHOOKS_PASSWORD
                         of the users shoal-worker and shoal-webhooks (docker/redis/users.acl);
                         who has none is the user of REDIS_URL
  SHOAL_REDIS_CA         PEM file of a private authority of rediss://
  SHOAL_API_KEYS         tenant:key, separated by commas
  SHOAL_SECRET_KEY       seals the secrets of webhooks; made where left out
  SHOAL_AUTOSCALE_TOKEN  for KEDA; made where left out`;

await runCommand(async () => {
  const read = readArguments(HELP, { options: { dev: { type: 'boolean', default: false } } });
  if (read === null) return 0;
  if (process.stdout.isTTY) throw new UserError('secrets would be shown here: pipe this into kubectl create -f -');
  console.log(JSON.stringify(secretManifests(process.env, { dev: read.values.dev, random: randomBytes })));
  return 0;
});
