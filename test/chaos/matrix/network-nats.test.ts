import { describe } from 'vitest';
import { startNats, startProxy } from '../../servers/index.ts';
import { natsAvailable } from '../../support/available-servers.ts';
import { startLink } from '../../support/fault-link.ts';
import { networkFaults } from '../../support/fault-network.ts';
import { natsFaultSink } from '../../support/fault-run.ts';
import { natsWorks } from '../../support/fault-sinks.ts';

describe.runIf(natsAvailable)('faults of the network', () => {
  networkFaults('NATS', async () => {
    const nats = await startNats({ own: true });
    const proxy = await startProxy(nats.url);
    const link = await startLink(`127.0.0.1:${proxy.port}`);
    const url = `nats://${link.address}`;
    const streamOf = (name: string): string => name.toUpperCase();
    return {
      link,
      proxy,
      sink: (name, publishTimeout) => natsFaultSink(nats, streamOf(name), { servers: [url], publishTimeout }),
      works: (name) => natsWorks(url, streamOf(name)),
      dispose: async () => {
        await link.close();
        await proxy.close();
        await nats.dispose();
      },
    };
  });
});
