/** What a worker tells in Prometheus's format. */

/** Each metric's sum over all models; 0 where it has no value yet. */
export async function readSums<Name extends string>(
  metricsUrl: string,
  names: readonly Name[],
): Promise<Record<Name, number>> {
  const lines = (await (await fetch(metricsUrl)).text()).split('\n');
  const sums = names.map((name) => {
    const values = lines.filter((line) => line.startsWith(`${name}{`));
    return [name, values.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0)];
  });
  return Object.fromEntries(sums) as Record<Name, number>;
}
