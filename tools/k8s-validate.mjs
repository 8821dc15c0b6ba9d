// @ts-check
/** `npm run k8s:validate`: renders every overlay and checks every object in it. */
import { readArguments } from './arguments.mjs';
import { ensureKustomize } from './k8s-kustomize.mjs';
import { checkComposeFile, checkOverlay, formatProblem, overlaysOf } from './k8s-validation.mjs';
import { checkNode, ensureInstalled } from './setup.mjs';
import { runCommand } from './user-error.mjs';

const HELP = `Renders every overlay of k8s/ with kustomize, which is fetched where it is not there, and checks every object.

npm run k8s:validate`;

await runCommand(async () => {
  if (readArguments(HELP, {}) === null) return 0;
  checkNode();
  await ensureInstalled();
  const kustomize = await ensureKustomize(console.log);
  const results = await Promise.all(
    overlaysOf().map(async (overlay) => ({ name: `overlay ${overlay}`, ...(await checkOverlay(kustomize, overlay)) })),
  );
  const compose = { name: 'docker-compose.yml', manifests: [], problems: await checkComposeFile() };
  for (const { name, manifests, problems } of [...results, compose]) {
    const objects = manifests.length === 0 ? '' : `, ${manifests.length} objects`;
    console.log(problems.length === 0 ? `${name}${objects}: valid` : `${name}: ${problems.length} problems`);
    for (const problem of problems) console.log(`  ${formatProblem(problem)}`);
  }
  return [...results, compose].every(({ problems }) => problems.length === 0) ? 0 : 1;
});
