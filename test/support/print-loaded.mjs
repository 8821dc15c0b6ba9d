/** For `node --import`: at its end the process prints how many modules of OpenTelemetry’s SDK it has loaded. */
import { createRequire } from 'node:module';

process.on('exit', () => {
  const modules = Object.keys(createRequire(import.meta.url).cache);
  // The API alone does nothing; prom-client has it, too.
  const loaded = modules.filter((path) => /@opentelemetry\/(?!api\/)/.test(path));
  console.log(`modules of OpenTelemetry’s SDK: ${loaded.length}`);
});
