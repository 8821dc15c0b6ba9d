/**
 * Connects to a server that takes writes: one that is a read-only replica is left at once, before any command is sent to it,
 * and tried again after the pause of a connection that fails. Behind a name that a managed failover moves, each try resolves
 * the name anew.
 */
import { connect as connectTcp, type NetConnectOpts } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { AbstractConnector, type RedisOptions } from 'ioredis';

/** The server may be read only: an old primary after a failover, or a replica that the URL names. */
export class ReadOnlyError extends Error {
  constructor() {
    super('this Redis is a read-only replica (READONLY); the primary is needed');
    this.name = 'ReadOnlyError';
  }
}

type Emit = Parameters<AbstractConnector['connect']>[0];
type Stream = AbstractConnector['stream'];

export class PrimaryConnector extends AbstractConnector {
  readonly #options: RedisOptions;
  #emit: Emit = () => undefined;

  /** As ioredis makes it: `options` are those of the connection. */
  constructor(options: unknown) {
    const own = options as RedisOptions & { disconnectTimeout: number };
    super(own.disconnectTimeout);
    this.#options = own;
  }

  /** `info` is what INFO told, field by field: nothing where the user may not ask. */
  override check({ role }: { readonly role?: string }): boolean {
    if (role !== 'slave') return true;
    this.#emit('error', new ReadOnlyError());
    return false;
  }

  override async connect(emit: Emit): Promise<Stream> {
    this.#emit = emit;
    const { host, port, tls } = this.#options;
    const address = { host, port } as NetConnectOpts & ConnectionOptions;
    const stream = tls ? connectTls({ ...address, ...tls }) : connectTcp(address);
    stream.once('error', (error) => {
      this.firstError = error;
    });
    this.stream = stream;
    return stream;
  }
}
