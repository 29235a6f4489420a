/** Loaded into the built daemon before it starts (kill-step.ts). JavaScript: a loader for TypeScript would take longer than the daemon. */
import { Socket } from 'node:net';

async function patch({ step, n = 1 }) {
  if (step === undefined) return;
  let left = n;
  await POINTS[step]((kill = die) => {
    if (--left !== 0) return false;
    kill();
    return true;
  });
}

function die() {
  process.kill(process.pid, 'SIGKILL');
}

/** A step: calls its function at each time it is reached. */
const POINTS = {
  'between LevelDB and the side file': async (reached) => {
    const { Level } = await import('level');
    resolved(Level.prototype, 'batch', () => reached());
  },
  'after the first place': async (reached) => {
    const { StateStore } = await built('src/state/state-store.js');
    resolved(StateStore, 'savePlace', () => reached());
    resolved(StateStore, 'save', once(reached));
  },
  'after receive': async (reached) => {
    const { BatchQueue } = await built('src/plugin/batch-queue.js');
    resolved(BatchQueue, 'next', (_, batch) => void (countOf(batch) > 0 && reached()));
  },
  'after encode': async (reached) => {
    const { BatchEncoder } = await built('src/pipeline/encode.js');
    around(BatchEncoder, 'encode', (messages) => {
      if (countOf(messages) > 0) reached();
      return messages;
    });
  },
  'half-way through a request': async (reached) => {
    let armed = false;
    await eachWrite((batch) => {
      armed ||= countOf(batch) > 0;
    });
    halveWrites(() => armed, reached);
  },
  'half-way through a write': async (reached) => {
    let pending = 0;
    await eachWrite((batch, done) => {
      if (countOf(batch) < 2) return;
      pending++;
      void done.finally(() => pending--).catch(() => undefined);
    });
    // Whatever is confirmed while a batch of several messages is not.
    const confirmed = () => void setImmediate(() => pending > 0 && reached());
    const [{ Publisher }, { Lane }] = await Promise.all([built('connectors/nats/publisher.js'), built('connectors/kafka/lane.js')]);
    around(Publisher, 'answer', confirmed);
    around(Lane, 'confirmed', confirmed);
  },
  'after durable': async (reached) => {
    await eachWrite((batch, done) => {
      if (countOf(batch) > 0)
        void done.then(
          () => reached(),
          () => undefined,
        );
    });
  },
  'after save': async (reached) => {
    const { StateStore } = await built('src/state/state-store.js');
    resolved(StateStore, 'save', () => reached());
  },
  'after acknowledge': async (reached) => {
    const [{ ReplicationSession }, { MysqlLogSource }] = await Promise.all([
      built('connectors/postgres/log/session.js'),
      built('connectors/mysql/source.js'),
    ]);
    for (const source of [ReplicationSession, MysqlLogSource]) around(source, 'acknowledge', () => void reached());
  },
  'after the status was sent': async (reached) => {
    const { LogicalReplicationService } = await import('pg-logical-replication');
    resolved(LogicalReplicationService.prototype, 'acknowledge', () => reached());
  },
};

/** Prototypes of a built module's classes. */
async function built(path) {
  const module = await import(new URL(`../../dist/${path}`, import.meta.url).href);
  return Object.fromEntries(Object.entries(module).map(([name, value]) => [name, value.prototype]));
}

/** After each call: `then` may give another result. */
function around(prototype, method, then) {
  const original = prototype?.[method];
  if (prototype === undefined || original === undefined) throw new Error(`kill-step: the built product has no ${method}() here any more`);
  prototype[method] = function (...args) {
    const result = original.apply(this, args);
    return then(result, args) ?? result;
  };
}

/** When the promise of a call resolves, before whoever called goes on. */
function resolved(prototype, method, then) {
  around(prototype, method, (promise, args) =>
    promise.then((result) => {
      then(args, result);
      return result;
    }),
  );
}

async function eachWrite(then) {
  const [{ NatsSink }, { KafkaSink }] = await Promise.all([built('connectors/nats/sink.js'), built('connectors/kafka/sink.js')]);
  for (const sink of [NatsSink, KafkaSink]) {
    around(sink, 'write', (done, [batch]) => {
      then(batch, done);
      return done;
    });
  }
}

/** Of a request with messages in it only the first half goes out when `reached` kills; nothing after it. */
function halveWrites(armed, reached) {
  const prototype = Socket.prototype;
  const write = prototype['write'];
  let isDead = false;
  prototype['write'] = function (...args) {
    if (isDead) return true;
    const [chunk] = args;
    if (!armed() || !(chunk instanceof Uint8Array) || !publishes(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length))) {
      return write.apply(this, args);
    }
    isDead = reached(() => write.call(this, chunk.subarray(0, chunk.length >> 1), die));
    return isDead ? true : write.apply(this, args);
  };
}

/** A message to NATS, or Kafka's request 0 in one of its versions of today. */
function publishes(bytes) {
  if (bytes.includes('HPUB ')) return true;
  return bytes.length > 100 && bytes.readInt32BE(0) > 100 && bytes.readInt16BE(4) === 0 && bytes.readInt16BE(6) >= 3 && bytes.readInt16BE(6) < 20;
}

function once(action) {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}

function countOf(batch) {
  return batch?.count ?? 0;
}

const order = process.env.SLUICE_TEST_KILL;
if (order !== undefined && process.argv[1]?.endsWith('/dist/src/main.js') === true) await patch(JSON.parse(order));
