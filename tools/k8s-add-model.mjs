// @ts-check
/** `npm run k8s:add-model`: a component for one more model, listed in an overlay. */
import { HELP, parseModelOptions } from './k8s-model-options.mjs';
import { addModel } from './k8s-overlays.mjs';
import { ROOT } from './root.mjs';
import { runCommand } from './user-error.mjs';

await runCommand(async () => {
  const options = parseModelOptions(process.argv.slice(2));
  if (options === null) {
    console.log(HELP);
    return 0;
  }
  const { model, overlays, replace } = options;
  for (const file of addModel(model, { overlays, replace, root: ROOT })) console.log(`wrote ${file}`);
  if (model.source.kind === 'volume')
    console.log(`The claim ${model.source.claim} must be in the namespace, with ${model.name}/ in it.`);
  console.log(`Look at it and apply it: kubectl diff -k k8s/overlays/${overlays[0]}`);
  return 0;
});
