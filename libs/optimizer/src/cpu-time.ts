/** CPU time of this process, in ms: `cpu` of a Context. */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
