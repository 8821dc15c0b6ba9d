/** A Redis Cluster of one test's own: three masters on loopback that share the slots, and replicas where a test adds them. */
import { freePort } from '@shoal/tools/ports';
import { Redis } from 'ioredis';
import { onTestFinished } from 'vitest';
import { type LastingRedis, startLastingRedis } from './lasting-redis.js';
import { uniqueQueue } from './queue-harness.js';

const SLOTS = 16384;
const MASTERS = 3;

export interface ClusterNode extends LastingRedis {
  /** Of the port that speaks TLS; without certificates there is none. */
  readonly tlsUrl: string;
  /** Straight to this node. */
  readonly client: Redis;
}

export interface RedisCluster {
  readonly masters: readonly ClusterNode[];
  /** Adds a replica of a master; resolves when it has caught up. */
  addReplica(master: number): Promise<ClusterNode>;
  /** The number of the master that has the key's slot. */
  masterOf(key: string): Promise<number>;
  /** The name of a queue whose slot this master has. */
  queueOn(master: number): Promise<string>;
}

/** `tls` are directives of redis.conf with certificates: nodes then speak TLS to each other and, on a second port, to clients. */
export async function startRedisCluster(tls?: Readonly<Record<string, string>>): Promise<RedisCluster> {
  const masters = await Promise.all(Array.from({ length: MASTERS }, () => startNode(tls)));
  const size = Math.ceil(SLOTS / MASTERS);
  for (const [n, { client }] of masters.entries()) {
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', n + 1);
    await client.call('CLUSTER', 'ADDSLOTSRANGE', n * size, Math.min(SLOTS, (n + 1) * size) - 1);
  }
  for (const node of masters.slice(1)) await meet(masters[0]!, node);
  await agree(masters, MASTERS);
  const masterOf = async (key: string) => {
    const slot = Number(await masters[0]!.client.call('CLUSTER', 'KEYSLOT', key));
    return Math.floor(slot / size);
  };
  return {
    masters,
    masterOf,
    async addReplica(master) {
      const replica = await startNode(tls);
      await meet(masters[0]!, replica);
      const id = String(await masters[master]!.client.call('CLUSTER', 'MYID'));
      await until(async () => String(await replica.client.call('CLUSTER', 'NODES')).includes(id));
      await replica.client.call('CLUSTER', 'REPLICATE', id);
      await until(async () => /master_link_status:up/.test(await replica.client.info('replication')));
      await agree([...masters, replica], MASTERS + 1);
      return replica;
    },
    async queueOn(master) {
      for (;;) {
        const queue = uniqueQueue();
        if ((await masterOf(`{shoal:${queue}}`)) === master) return queue;
      }
    },
  };
}

async function startNode(tls?: Readonly<Record<string, string>>): Promise<ClusterNode> {
  const tlsPort = String(await freePort());
  const node = await startLastingRedis({
    'cluster-enabled': 'yes',
    'cluster-port': String(await freePort()),
    // A machine that is busy must not look like one that is gone.
    'cluster-node-timeout': '5000',
    // Else the loss of one node without a replica would take the others along.
    'cluster-require-full-coverage': 'no',
    ...(tls && { ...tls, 'tls-port': tlsPort, 'tls-cluster': 'yes' }),
  });
  const client = new Redis(node.url, { maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  onTestFinished(() => client.disconnect());
  return { ...node, tlsUrl: `rediss://127.0.0.1:${tlsPort}`, client };
}

async function meet(one: ClusterNode, other: ClusterNode): Promise<void> {
  const { port } = new URL(other.url);
  const busPort = String(((await other.client.config('GET', 'cluster-port')) as string[])[1]);
  await one.client.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort);
}

/** Until every node knows all of them and all slots. */
async function agree(nodes: readonly ClusterNode[], count: number): Promise<void> {
  for (const { client } of nodes) {
    await until(async () => {
      const info = String(await client.call('CLUSTER', 'INFO'));
      return [/cluster_state:ok/, /cluster_slots_ok:16384/, new RegExp(`cluster_known_nodes:${count}\\b`)].every(
        (line) => line.test(info),
      );
    });
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setTimeout(resolve, 50));
}
