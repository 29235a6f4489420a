import { SluiceError } from '#plugin';
import { type Access, Client } from './client.ts';
import type { MysqlConfig } from './config.ts';
import type { ServerFacts } from './server.ts';

/** What is asked of a server for its preflight alone. */
export interface Vitals {
  /** By its clock, microseconds since the epoch. */
  readonly nowMicros: number;
  /** As the server knows the session's account, quoted: `'sluice'@'%'`. */
  readonly account: string;
  readonly encrypted: boolean;
  /** Lines of SHOW GRANTS. */
  readonly grants: readonly string[];
  /** Server ids of replicas; empty where the account may not see them. */
  readonly replicaIds: readonly string[];
  /** It reads the log of another server. */
  readonly isReplica: boolean;
  /** By which this server is told from others, and that of another connection to the same address. */
  readonly servers: readonly [string, string];
}

/** Throws a SluiceError. */
export async function readVitals(client: Client, config: MysqlConfig, { system }: ServerFacts, runtime: Access): Promise<Vitals> {
  const [row] = await client.rows<{ now: string; account: string }>('its clock', 'SELECT UNIX_TIMESTAMP(NOW(6)) AS now, CURRENT_USER() AS account');
  const [cipher] = await client.rows<{ Value: string }>('how the session is encrypted', "SHOW SESSION STATUS LIKE 'Ssl_cipher'");
  const grants = await client.rows<Record<string, string>>('its grants', 'SHOW GRANTS');
  const [user = '', host = ''] = (row?.account ?? '').split(/@(?=[^@]*$)/);
  return {
    nowMicros: Number(row?.now) * 1e6,
    account: `${quoted(user)}@${quoted(host)}`,
    encrypted: (cipher?.Value ?? '') !== '',
    grants: grants.map((each) => Object.values(each)[0] ?? ''),
    replicaIds: await replicaIds(client, system),
    isReplica: await isReplica(client, system),
    servers: await bothServers(client, config, runtime, system),
  };
}

function quoted(name: string): string {
  return `'${name.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

/** Readers that are no replicas do not stand there. */
async function replicaIds(client: Client, system: ServerFacts['system']): Promise<string[]> {
  const rows = await allowed(() =>
    client.rows<Record<string, string | number>>('its replicas', system === 'mysql' ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS'),
  );
  return rows.map((row) => String(row['Server_Id'] ?? row['Server_id']));
}

async function isReplica(client: Client, system: ServerFacts['system']): Promise<boolean> {
  if (system === 'mysql') return (await allowed(() => client.rows('what it replicates', 'SHOW REPLICA STATUS'))).length > 0;
  const [running] = await client.rows<{ Value: string }>('what it replicates', "SHOW GLOBAL STATUS LIKE 'Slaves_running'");
  return Number(running?.Value ?? 0) > 0;
}

/** Nothing, where the account may not ask it: that is no fault. */
async function allowed<T>(ask: () => Promise<T[]>): Promise<T[]> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof SluiceError && error.kind.retry !== 'auto') return [];
    throw error;
  }
}

/** A second connection that is not let in says nothing of who would answer it. */
async function bothServers(client: Client, config: MysqlConfig, runtime: Access, system: ServerFacts['system']): Promise<[string, string]> {
  const first = await whoIs(client, system);
  let another: Client | null = null;
  try {
    another = await Client.connect(config, runtime);
    return [first, await whoIs(another, system)];
  } catch (error) {
    if (error instanceof SluiceError) return [first, first];
    throw error;
  } finally {
    another?.close();
  }
}

async function whoIs(client: Client, system: ServerFacts['system']): Promise<string> {
  const identity = system === 'mysql' ? '@@server_uuid' : "CONCAT('server id ', @@server_id)";
  const [row] = await client.rows<{ who: string }>('who it is', `SELECT CONCAT(${identity}, ' on ', @@hostname, ':', @@port) AS who`);
  return row?.who ?? '';
}
