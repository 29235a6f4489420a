import { describe } from 'vitest';
import { type FaultProxy, startKafka, startProxy } from '../../servers/index.ts';
import { availableKafkas } from '../../support/available-servers.ts';
import { type FaultLink, startLink } from '../../support/fault-link.ts';
import { type NetworkSide, networkFaults } from '../../support/fault-network.ts';
import { kafkaFaultSink } from '../../support/fault-run.ts';
import { kafkaAnswers } from '../../support/fault-sinks.ts';
import { KAFKA_DRIVERS } from '../../support/kafka-sinks.ts';
import { LONG } from '../../support/long-form.ts';

async function setUp(driver: string): Promise<NetworkSide> {
  let before: { readonly proxy: FaultProxy; readonly link: FaultLink } | undefined;
  const kafka = await startKafka({
    own: true,
    advertise: async ({ port }) => {
      const proxy = await startProxy(`127.0.0.1:${port}`);
      const link = await startLink(`127.0.0.1:${proxy.port}`);
      before = { proxy, link };
      return { host: link.host, port: link.port };
    },
  });
  if (before === undefined) throw new Error('no proxy');
  const { proxy, link } = before;
  return {
    link,
    proxy,
    sink: (name, timeout) => kafkaFaultSink(kafka, name, { driver, request: { timeout } }),
    works: () => kafkaAnswers(link.address),
    dispose: async () => {
      await link.close();
      await proxy.close();
      await kafka.dispose();
    },
  };
}

describe.runIf(availableKafkas.length > 0)('faults of the network', () => {
  for (const driver of LONG ? KAFKA_DRIVERS : KAFKA_DRIVERS.slice(0, 1)) networkFaults(`Kafka/${driver}`, () => setUp(driver));
});
