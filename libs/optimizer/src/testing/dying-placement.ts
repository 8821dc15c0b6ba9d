/**
 * A variant takes its place in a process that is ended before its nth change of the disk: `node dying-placement.js <model folder> <graph>
 * <mean> <n>`; 0: never. The variant is called `new`, and its figures are known by their mean. Prints how many changes there were.
 */
import fs from 'node:fs';
import promises from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { identityOf, openModel } from '@shoal/models';
import { writeQuality } from '../quality/quality-file.js';
import { placeVariant } from '../run/place-variant.js';
import { measured } from './measured.js';

const [folder = '', from = '', mean = '0', death = '0'] = process.argv.slice(2);
let changes = 0;

/** The same, unless it is the one that is not lived to see. */
function counted<A extends readonly unknown[], R>(change: (...given: A) => R): (...given: A) => R {
  return (...given) => {
    changes += 1;
    if (changes === Number(death)) process.kill(process.pid, 'SIGKILL');
    return change(...given);
  };
}

const { copyFileSync, renameSync, rmSync, writeFileSync } = fs;
Object.assign(fs, {
  copyFileSync: counted(copyFileSync),
  renameSync: counted(renameSync),
  rmSync: counted(rmSync),
  writeFileSync: counted(writeFileSync),
});
const { rename, writeFile } = promises;
Object.assign(promises, { rename: counted(rename), writeFile: counted(writeFile) });
syncBuiltinESMExports();

const [original] = await openModel(folder);
const { sha256 } = await identityOf(from);
const beside = await identityOf(original!.variants.fp32!);
await placeVariant(original!, 'new', from, async (stamp) => {
  await writeQuality(original!.folder, 'new', measured(Number(mean), { sha256, stamp }, beside), 'fp32');
});
process.stdout.write(String(changes));
