// Stands in for an app in specs of the supervisor: `node stand-in.mjs <behaviour>`.
const log = (level, event, fields) => console.log(JSON.stringify({ level, event, ...fields }));

const behaviours = {
  ready() {
    log('info', 'worker.ready', { pid: process.pid });
  },
  /** Complains, but works. */
  grumbling() {
    log('error', 'cache.lost', { error: { message: 'the cache is gone' } });
    log('info', 'worker.ready', { pid: process.pid });
  },
  slow() {
    log('info', 'model.loading', { pid: process.pid });
  },
  stubborn() {
    process.on('SIGTERM', () => log('info', 'worker.draining'));
    log('info', 'worker.ready', { pid: process.pid });
  },
  failing() {
    log('info', 'runtime.ready');
    log('fatal', 'worker.start_failed', { error: { message: 'no model could be read' } });
    process.exit(1);
  },
  throwing() {
    throw new TypeError('models is not iterable');
  },
  refusing() {
    process.stderr.write('PORT: must be a whole number\nTOKEN: must be set\n');
    process.exit(1);
  },
};

behaviours[process.argv[2]]();
setInterval(() => {}, 1000);
