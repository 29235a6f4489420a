/** Rights and passwords that are taken away while Sluice writes to Kafka, with the whole product. */
import { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ResourcePatternTypes } from 'kafkajs';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Certificates, type KafkaServer, type PostgresServer, startKafka, startPostgres } from '../../servers/index.ts';
import { availableKafkas } from '../../support/available-servers.ts';
import { FaultRun, type FaultSink, kafkaFaultSink } from '../../support/fault-run.ts';
import { endRun, kafkaWorks, MODEST, sleep, startAgain, withAdmin } from '../../support/fault-sinks.ts';
import { KAFKA_DRIVERS } from '../../support/kafka-sinks.ts';
import { allow, createTopic } from '../../support/kafka-topics.ts';
import { LONG } from '../../support/long-form.ts';

const SESSION_MS = 4_000;
const USER = { name: 'sluice', password: 'sluice-secret' };

function secured(kafka: KafkaServer, prefix: string, driver: string): FaultSink {
  return kafkaFaultSink(kafka, prefix, {
    driver,
    brokers: kafka.saslBrokers,
    sasl: { mechanism: 'scram-sha-512', user: USER.name, password: USER.password },
    tls: { ca: (kafka.certificates as Certificates).ca },
  });
}

async function grant(kafka: KafkaServer, prefix: string): Promise<void> {
  const operations = ['write', 'read', 'describe', 'create', 'describe-configs'] as const;
  await allow(kafka, { user: USER.name, resource: 'topic', name: prefix, prefix: true, operations });
  await allow(kafka, { user: USER.name, resource: 'group', name: 'sluice-', prefix: true, operations: ['read'] });
}

async function revoke(kafka: KafkaServer, prefix: string): Promise<void> {
  const filter = {
    resourceType: AclResourceTypes.TOPIC,
    resourceName: prefix,
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: `User:${USER.name}`,
    host: '*',
    operation: AclOperationTypes.WRITE,
    permissionType: AclPermissionTypes.ALLOW,
  };
  await withAdmin(kafka, async (admin) => void (await admin.deleteAcls({ filters: [filter] })));
}

const drivers = LONG ? KAFKA_DRIVERS : KAFKA_DRIVERS.slice(0, 1);

describe.runIf(availableKafkas.length > 0)('access to Kafka (I1, I2, I3, I4, I8, I10, I12)', () => {
  let postgres: PostgresServer;
  let kafka: KafkaServer;
  let run: FaultRun | null = null;

  beforeAll(async () => {
    postgres = await startPostgres({ major: 17, own: true });
  });

  afterEach(async () => {
    await endRun(run);
    run = null;
  });

  afterAll(() => postgres.dispose());

  async function startSecure(settings: Record<string, string>): Promise<void> {
    kafka = await startKafka({ secure: true, settings });
    await createTopic(kafka, 'raw');
  }

  describe('sessions that end', () => {
    beforeAll(() => startSecure({ 'connections.max.reauth.ms': String(SESSION_MS) }));

    afterAll(() => kafka.dispose());

    it.each(drivers)(
      'connections that must prove themselves again while they are used (connections.max.reauth.ms): %s goes on (I10)',
      async (driver) => {
        const prefix = `sessions-${driver}`;
        await grant(kafka, prefix);
        run = await FaultRun.begin({ name: prefix, postgres, sink: secured(kafka, prefix, driver), load: MODEST });
        await sleep((LONG ? 20 : 3) * SESSION_MS);
        expect(run.daemon.log.filter(({ level }) => level === 'error')).toEqual([]);
        await run.recovers(`Kafka sessions renewed (${driver})`, () => kafkaWorks(kafka, 'raw'));
        await run.verify(`Kafka sessions renewed (${driver})`);
      },
    );
  });

  describe.each(drivers)('taken away from %s', (driver) => {
    beforeAll(() => startSecure({}));

    afterAll(() => kafka.dispose());

    it("the user's password is changed: said when a connection must prove itself, waited for, and gone on with when it is given back", async () => {
      const prefix = `password-${driver}`;
      await grant(kafka, prefix);
      run = await FaultRun.begin({ name: prefix, postgres, sink: secured(kafka, prefix, driver), load: MODEST });
      await run.committed(40);
      await run.caughtUp();
      await kafka.setPasswords([{ ...USER, password: 'another' }]);
      // Who is connected already is asked again only over a new connection.
      await kafka.restart('kill');
      // What was right before is taken for being exchanged, and is waited for.
      const { msg, remedy = '' } = await run.daemon.waitForLog(({ code }) => code === 'SLUICE_KAFKA_AUTH', 60_000);
      expect(`${msg} ${remedy}`).not.toContain(USER.password);
      expect(remedy).toContain('"sasl"');
      await run.committed(40);
      await kafka.setPasswords([USER]);
      await run.recovers(`Kafka password given back (${driver})`, () => kafkaWorks(kafka, 'raw'));
      await run.verify(`Kafka password changed and given back (${driver})`);
    });

    it('the right to write is taken away: a typed stop that names topic and right; goes on when it is given back', async () => {
      const prefix = `rights-${driver}`;
      await grant(kafka, prefix);
      run = await FaultRun.begin({ name: prefix, postgres, sink: secured(kafka, prefix, driver), load: MODEST });
      await run.committed(40);
      await revoke(kafka, prefix);
      const { msg, remedy } = await run.stopsWith('SLUICE_KAFKA_TOPIC_FORBIDDEN', 60_000);
      expect(msg).toMatch(new RegExp(`the right Write on the topic "${prefix}\\.public\\.`));
      expect(remedy).toContain('kafka-acls.sh');
      expect(remedy).toContain(`--topic ${prefix}.public.`);
      expect(await run.daemon.exit()).toBe(3);
      await run.committed(40);
      await grant(kafka, prefix);
      await startAgain(run);
      await run.verify(`Kafka right to write taken and given back (${driver})`);
    });
  });
});
